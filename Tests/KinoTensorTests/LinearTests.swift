import KinoTensor
import KinoTestSupport
import Testing

/// Products with weights, plain and packed, against matrix products in float64.
@Suite(.serialized) struct LinearTests {
  struct Size: Sendable, CustomTestStringConvertible {
    var rows: [Int]
    var inputs: Int
    var outputs: Int
    var testDescription: String { "\(rows)x\(inputs) to \(outputs)" }
  }

  static let sizes = [
    Size(rows: [1], inputs: 1, outputs: 1), Size(rows: [3, 5], inputs: 7, outputs: 33),
    Size(rows: [2, 3, 4], inputs: 64, outputs: 48), Size(rows: [300], inputs: 130, outputs: 257),
  ]

  private struct Operands {
    let x: Tensor, weight: Tensor, bias: Tensor, upstream: Tensor

    init(_ size: Size) {
      var source = RandomSource(seed: 11)
      x = source.normal(size.rows + [size.inputs])
      weight = source.normal([size.outputs, size.inputs])
      bias = source.normal([size.outputs])
      upstream = source.normal(size.rows + [size.outputs])
    }

    /// The value and the gradients of all three, in the type.
    func run(_ dtype: DType, _ operation: (Tensor, Tensor, Tensor) -> Tensor) -> [Tensor] {
      let leaves = [x, weight, bias].map { $0.cast(to: dtype).requiringGradient() }
      let y = operation(leaves[0], leaves[1], leaves[2])
      y.backward(upstream.cast(to: dtype))
      return [y] + leaves.compactMap(\.gradient)
    }
  }

  @Test(arguments: sizes)
  func `Values and gradients are those of the definition on every instruction set`(_ size: Size) {
    let operands = Operands(size)
    let expected = operands.run(.float64) { $0.matmul($1.transposed(0, 1)) + $2 }
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { operands.run(.float32) { $0.linear(weight: $1, bias: $2) } }
      #expect(found.count == 4)
      for (found, expected) in zip(found, expected) {
        expectClose(found, expected, tolerance: 1e-6, "\(level)")
      }
    }
  }

  /// Which of the input and the weights learn, with or without a bias.
  struct Setting: Sendable, CustomTestStringConvertible {
    var learnsInput: Bool
    var learnsWeight: Bool
    var hasBias: Bool
    var testDescription: String {
      "input \(learnsInput), weight \(learnsWeight), bias \(hasBias)"
    }
  }

  @Test(
    arguments: [(true, true), (true, false), (false, true)].flatMap { pair in
      [true, false].map { Setting(learnsInput: pair.0, learnsWeight: pair.1, hasBias: $0) }
    })
  func `Views, frozen leaves and one gradient for all rows give what the definition gives`(
    _ setting: Setting
  ) {
    var source = RandomSource(seed: 12)
    let wide = [source.normal([6, 40]), source.normal([24, 16]), source.normal([24, 2])]
    func run(_ dtype: DType, _ operation: (Tensor, Tensor, Tensor?) -> Tensor) -> [Tensor] {
      let leaves = wide.map { $0.cast(to: dtype) }
      let x = setting.learnsInput ? leaves[0].requiringGradient() : leaves[0]
      let weight = setting.learnsWeight ? leaves[1].requiringGradient() : leaves[1]
      let y = operation(
        x.slice(1, 8..<24), weight, setting.hasBias ? leaves[2].select(1, 1) : nil)
      y.sum(along: 0).slice(0, 3..<20).sum().backward()
      return [y] + [x, weight].compactMap(\.gradient)
    }
    let expected = run(.float64) { x, weight, bias in
      let y = x.matmul(weight.transposed(0, 1))
      return bias.map { y + $0 } ?? y
    }
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { run(.float32) { $0.linear(weight: $1, bias: $2) } }
      #expect(found.count == expected.count)
      for (found, expected) in zip(found, expected) {
        expectClose(found, expected, tolerance: 1e-6, "\(level)")
      }
    }
  }

  @Test(
    .enabled(if: !packedTypes.isEmpty, "this processor multiplies plain weights as fast"),
    arguments: packedTypes)
  func `A packed product reads a bias of any stride`(dtype: DType) throws {
    var source = RandomSource(seed: 13)
    let x = source.normal([3, 16]).cast(to: dtype)
    let weight = source.normal([8, 16]).cast(to: dtype)
    let packed = try #require(PackedMatrix(weight))
    let wide = source.normal([8, 2]).cast(to: dtype)
    let half = Tensor([Float(0.5)]).cast(to: dtype)
    for bias in [wide.select(1, 1), half.expanded(to: [8])] {
      let expected = x.cast(to: .float32).linear(weight: weight.cast(to: .float32)) + bias
      expectClose(
        packed.linear(x, bias: bias).cast(to: .float32), expected.cast(to: .float32),
        tolerance: dtype == .float32 ? 1e-6 : 1e-2)
    }
  }

  /// Types whose packed weights this processor multiplies faster.
  static let packedTypes = [DType.float32, .bfloat16].filter {
    PackedMatrix(.ones([1, 1]).cast(to: $0)) != nil
  }

  @Test(
    .enabled(if: !packedTypes.isEmpty, "this processor multiplies plain weights as fast"),
    arguments: sizes, packedTypes)
  func `Packed weights give what plain ones give`(_ size: Size, dtype: DType) throws {
    let operands = Operands(size)
    let (x, weight) = (operands.x.cast(to: dtype), operands.weight.cast(to: dtype))
    let bias = operands.bias.cast(to: dtype)
    let packed = try #require(PackedMatrix(weight))
    for bias in [bias, nil] {
      let plain = x.linear(weight: weight, bias: bias)
      let found = packed.linear(x, bias: bias)
      #expect(found.dtype == dtype)
      expectClose(found, plain, tolerance: dtype == .float32 ? 1e-6 : 0)
      let curved = packed.linear(x, bias: bias, appliesGELU: true)
      expectClose(
        curved.cast(to: .float32), plain.cast(to: .float32).geluTanh(),
        tolerance: dtype == .float32 ? 2e-6 : 4e-3)
    }
    let gapped = stack([x, x], along: -1).select(-1, 0)
    #expect(!gapped.isContiguous || gapped.shape == [1, 1])
    #expect(packed.linear(gapped).equals(packed.linear(x)).all())
  }

  @Test func `A row that is not finite leaves its neighbours alone`() {
    let operands = Operands(Size(rows: [4], inputs: 20, outputs: 8))
    var values = operands.x.floats()
    values[3] = .nan
    values[20 + 7] = .infinity
    let spoiled = Tensor(values, shape: [4, 20])
    var products = Engine.KernelLevel.runnable.map { level in
      at(level) { spoiled.linear(weight: operands.weight, bias: operands.bias) }
    }
    if let packed = PackedMatrix(operands.weight) {
      products.append(packed.linear(spoiled, bias: operands.bias))
    }
    let whole = operands.x.linear(weight: operands.weight, bias: operands.bias)
    for y in products {
      #expect(!y.select(0, 0).equals(y.select(0, 0)).any())
      #expect(!y.select(0, 1).isFinite().any())
      expectClose(y.slice(0, from: 2), whole.slice(0, from: 2), tolerance: 1e-6)
    }
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `The thread count changes no number of a product by oneDNN`(dtype: DType) {
    let operands = Operands(Size(rows: [330], inputs: 576, outputs: 192))
    let packed = PackedMatrix(operands.weight.cast(to: dtype))
    let results = [1, 2].map { threads in
      withThreads(threads) {
        let plain = operands.run(dtype) { $0.linear(weight: $1, bias: $2) }
        let other = packed?.linear(operands.x.cast(to: dtype), appliesGELU: true)
        return (plain + (other.map { [$0] } ?? [])).map { $0.floats() }
      }
    }
    #expect(results[0] == results[1])
  }

  @Test func `No rows give no rows`() {
    let operands = Operands(Size(rows: [3], inputs: 16, outputs: 8))
    let none = operands.x.slice(0, 0..<0)
    #expect(none.linear(weight: operands.weight).shape == [0, 8])
    if let packed = PackedMatrix(operands.weight) { #expect(packed.linear(none).shape == [0, 8]) }
  }

  @Test func `Only matrices of the two types are packed`() {
    #expect(PackedMatrix(.ones([8, 16], dtype: .float64)) == nil)
    #expect(PackedMatrix(.ones([8])) == nil)
    #expect(PackedMatrix(.ones([0, 16])) == nil)
  }

  @Test func `Sizes and types that do not fit are told`() {
    let operands = Operands(Size(rows: [2], inputs: 16, outputs: 8))
    let narrow = operands.x.slice(1, 0..<13)
    #expect(throws: TensorError.self) {
      try withTensorErrors { narrow.linear(weight: operands.weight) }
    }
    guard let packed = PackedMatrix(operands.weight) else { return }
    for misfit in [narrow, operands.x.cast(to: .bfloat16)] {
      #expect(throws: TensorError.self) { try withTensorErrors { packed.linear(misfit) } }
    }
    #expect(throws: TensorError.self) {
      try withTensorErrors { packed.linear(operands.x, bias: .zeros([7])) }
    }
  }
}
