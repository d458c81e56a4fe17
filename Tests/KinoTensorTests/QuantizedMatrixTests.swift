import KinoTensor
import KinoTestSupport
import Testing

/// Products with 8-bit weights against the same rounding written as LibTorch's operations, on every
/// instruction set.
@Suite(.serialized) struct QuantizedMatrixTests {
  struct Size: Sendable, CustomTestStringConvertible {
    var rows: Int
    var inputs: Int
    var outputs: Int
    var testDescription: String { "\(rows)x\(inputs) to \(outputs)" }
  }

  static let sizes = [
    Size(rows: 1, inputs: 1, outputs: 1), Size(rows: 5, inputs: 3, outputs: 63),
    Size(rows: 6, inputs: 64, outputs: 64), Size(rows: 7, inputs: 257, outputs: 65),
    Size(rows: 241, inputs: 130, outputs: 130),
  ]

  /// Whole numbers up to 127 and the scale of every row.
  private func rounded(_ x: Tensor) -> (whole: Tensor, scale: Tensor) {
    let top = x.abs().max(along: -1, keepingDimensions: true)
    return ((x * (Tensor.full(127, shape: top.shape) / top)).rounded(), top / 127)
  }

  /// `[rows, inputs]` and `[outputs, inputs]`; sums of the rounded products are exact in float32.
  private func operands(_ size: Size) -> (x: Tensor, weight: Tensor, bias: Tensor) {
    var source = RandomSource(seed: 5)
    return (
      source.normal([size.rows, size.inputs]), source.normal([size.outputs, size.inputs]),
      source.normal([size.outputs])
    )
  }

  @Test(
    "a product is that of the rounded numbers, and the same on every instruction set",
    arguments: sizes)
  func product(_ size: Size) {
    let (x, weight, bias) = operands(size)
    let (left, right) = (rounded(x), rounded(weight))
    let expected =
      left.whole.matmul(right.whole.transposed(0, 1)) * left.scale
      * right.scale.reshaped(to: 1, size.outputs) + bias
    let results = Engine.KernelLevel.runnable.map { level in
      at(level) { QuantizedMatrix(weight).linear(x, bias: bias) }
    }
    for result in results {
      expectClose(result, expected, tolerance: 1e-6)
      #expect(result.floats() == results[0].floats())
    }
  }

  @Test("bfloat16 and views give what float32 and copies give")
  func types() {
    let (x, weight, bias) = operands(Size(rows: 12, inputs: 96, outputs: 70))
    let narrow = x.cast(to: .bfloat16)
    let matrix = QuantizedMatrix(weight.cast(to: .bfloat16))
    let result = matrix.linear(narrow, bias: bias)
    #expect(result.dtype == .bfloat16)
    let wide = matrix.linear(narrow.cast(to: .float32), bias: bias)
    #expect(result.floats() == wide.cast(to: .bfloat16).floats())
    let view = x.transposed(0, 1).contiguous().transposed(0, 1)
    #expect(!view.isContiguous)
    let plain = QuantizedMatrix(weight)
    #expect(plain.linear(view).floats() == plain.linear(x).floats())
    let stacked = plain.linear(x.reshaped(to: 3, 4, 96))
    #expect(stacked.shape == [3, 4, 70])
    #expect(stacked.floats() == plain.linear(x).floats())
  }

  @Test("GELU after the product is GELU of the product")
  func gelu() {
    let (x, weight, bias) = operands(Size(rows: 9, inputs: 40, outputs: 66))
    for level in Engine.KernelLevel.runnable {
      at(level) {
        let matrix = QuantizedMatrix(weight)
        expectClose(
          matrix.linear(x, bias: bias, appliesGELU: true), matrix.linear(x, bias: bias).geluTanh(),
          tolerance: 1e-6)
      }
    }
  }

  @Test("rows that are not finite give NaN, rows of zeros the bias, and neighbours are untouched")
  func hostileRows() {
    let size = Size(rows: 4, inputs: 20, outputs: 8)
    let (x, weight, bias) = operands(size)
    var values = x.floats()
    values[3] = .nan
    values[20 + 7] = -.infinity
    for index in 40..<60 { values[index] = index == 41 ? 1e-44 : 0 }
    for level in Engine.KernelLevel.runnable {
      let rows = at(level) {
        QuantizedMatrix(weight).linear(Tensor(values, shape: [4, 20]), bias: bias).floats()
      }
      #expect(rows[0..<16].allSatisfy { $0.isNaN })
      for (found, expected) in zip(rows[16..<24], bias.floats()) {
        #expect(abs(found - expected) < 1e-6)
      }
      let alone = at(level) {
        QuantizedMatrix(weight).linear(x.slice(0, 3..<4), bias: bias).floats()
      }
      #expect(Array(rows[24...]) == alone)
    }
  }

  @Test("the product is within a hundredth of the exact one")
  func accuracy() {
    let (x, weight, _) = operands(Size(rows: 64, inputs: 512, outputs: 128))
    let exact = x.linear(weight: weight)
    let error = (QuantizedMatrix(weight).linear(x) - exact).squared().mean().floats()[0]
    #expect(error / exact.squared().mean().floats()[0] < 1.5e-4)
  }

  @Test("sizes that do not fit are told")
  func misfit() {
    let (x, weight, _) = operands(Size(rows: 2, inputs: 16, outputs: 8))
    #expect(throws: TensorError.self) {
      try withTensorErrors { QuantizedMatrix(weight).linear(x.slice(1, 0..<13)) }
    }
  }
}
