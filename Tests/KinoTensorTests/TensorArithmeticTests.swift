import Foundation
import KinoTensor
import KinoTestSupport
import Testing

struct TensorArithmeticTests {
  private let x = Tensor([Float(-2), -0.5, 0.25, 3])

  private func expect(
    _ found: Tensor, _ expected: (Double) -> Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let values = x.floats().map { Float(expected(Double($0))) }
    expectClose(found, Tensor(values), tolerance: 1e-6, sourceLocation: sourceLocation)
  }

  @Test func `Functions of one operand are those of the C library`() {
    expect(-x) { -$0 }
    expect(x.abs(), Swift.abs)
    expect(x.exp(), exp)
    expect(x.abs().log()) { log(Swift.abs($0)) }
    expect(x.abs().squareRoot()) { Swift.abs($0).squareRoot() }
    expect(x.abs().reciprocalSquareRoot()) { 1 / Swift.abs($0).squareRoot() }
    expect(x.squared()) { $0 * $0 }
    expect(x.sin(), sin)
    expect(x.cos(), cos)
    expect(x.tanh(), tanh)
    expect(x.sigmoid()) { 1 / (1 + exp(-$0)) }
    expect(x.relu()) { max(0, $0) }
    expect(x.silu()) { $0 / (1 + exp(-$0)) }
    expect(x.gelu()) { $0 * 0.5 * (1 + erf($0 / 2.0.squareRoot())) }
    expect(x.geluTanh()) {
      0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
    }
    expect(x.reciprocal()) { 1 / $0 }
    expect(x.floor(), floor)
    expect(x.rounded()) { $0.rounded(.toNearestOrEven) }
    expect(x.softplus()) { log(1 + exp($0)) }
  }

  @Test func `Numbers stand on either side`() {
    expect(x + 2) { $0 + 2 }
    expect(2 + x) { $0 + 2 }
    expect(x - 2) { $0 - 2 }
    expect(2 - x) { 2 - $0 }
    expect(x * 3) { $0 * 3 }
    expect(3 * x) { $0 * 3 }
    expect(x / 4) { $0 / 4 }
    expect(4 / x) { 4 / $0 }
    expect(x.power(3)) { $0 * $0 * $0 }
    expect(x.clamped(to: -1...0.5)) { min(max($0, -1), 0.5) }
  }

  @Test func `Operands broadcast along axes of length one`() {
    let column = Tensor([Float(10), 20], shape: [2, 1])
    let row = Tensor([Float(1), 2, 3])
    #expect((column + row).shape == [2, 3])
    #expect((column + row).floats() == [11, 12, 13, 21, 22, 23])
    #expect((column - row).floats() == [9, 8, 7, 19, 18, 17])
    #expect((column * row).floats() == [10, 20, 30, 20, 40, 60])
    #expect((column / row).floats() == [10, 5, 10 / 3, 20, 10, 20 / 3])
    #expect(row.maximum(Tensor([Float(2)])).floats() == [2, 2, 3])
    #expect(row.minimum(Tensor([Float(2)])).floats() == [1, 2, 2])
  }

  @Test func `Comparisons give booleans that choose between values`() {
    let positive = x.greater(than: 0)
    #expect(positive.dtype == .bool && positive.scalars(Bool.self) == [false, false, true, true])
    #expect((!positive).scalars(Bool.self) == [true, true, false, false])
    #expect(x.less(than: -1).scalars(Bool.self) == [true, false, false, false])
    #expect(x.less(than: -x).scalars(Bool.self) == [true, true, false, false])
    #expect(x.greater(than: -x).scalars(Bool.self) == [false, false, true, true])
    #expect(x.equals(3).scalars(Bool.self) == [false, false, false, true])
    #expect(x.equals(x).all() && !x.equals(3).all() && x.equals(3).any() && !x.equals(4).any())
    #expect(x.replacing(with: Tensor(9), where: positive).floats() == [-2, -0.5, 9, 9])
  }

  @Test func `Types of mixed operands widen as in PyTorch, and numbers keep the tensor's`() {
    #expect((Tensor.ones([1], dtype: .bfloat16) + Tensor.ones([1])).dtype == .float32)
    #expect((Tensor.ones([1], dtype: .bfloat16) + 1.5).dtype == .bfloat16)
    #expect((Tensor.ones([1], dtype: .int32) * Tensor.ones([1], dtype: .int64)).dtype == .int64)
  }

  @Test func `Infinity and NaN are told from finite numbers`() {
    let values = Tensor([Float.nan, .infinity, -.infinity, 1])
    #expect(values.isFinite().scalars(Bool.self) == [false, false, false, true])
  }

  @Test func `Reductions run over all axes, or those named`() {
    let x = Tensor([Float(1), 5, 3, 2, 0, 7], shape: [2, 3])
    #expect(x.sum().item() == 18 && x.mean().item() == 3 && x.max().item() == 7)
    #expect(x.min().item() == 0 && x.sum().rank == 0)
    #expect(x.sum(along: 0).floats() == [3, 5, 10])
    #expect(x.sum(along: -1, keepingDimensions: true).shape == [2, 1])
    #expect(x.mean(along: 1).floats() == [3, 3])
    #expect(x.max(along: 1).floats() == [5, 7] && x.min(along: 0).floats() == [1, 0, 3])
    #expect(x.argmax(along: 1).scalars(Int64.self) == [1, 2])
    #expect(x.cumulativeSum(along: 1).floats() == [1, 6, 9, 2, 2, 9])
    #expect(x.sum(along: 0, 1).item() == 18)
  }

  @Test func `The variance divides by the count`() {
    let x = Tensor([Float(1), 3, 1, 7], shape: [2, 2])
    #expect(x.variance(along: 1).floats() == [1, 9] && x.variance().item() == 6)
  }

  @Test func `A softmax sums to one and does not overflow`() {
    let x = Tensor([Float(1000), 1000, -1000, 0, 0, 0], shape: [2, 3])
    let y = x.softmax(along: 1)
    expectClose(
      y, Tensor([Float(0.5), 0.5, 0, 1 / 3, 1 / 3, 1 / 3], shape: [2, 3]), tolerance: 1e-6)
  }
}
