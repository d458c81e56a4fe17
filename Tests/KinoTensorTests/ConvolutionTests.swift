import KinoTensor
import KinoTestSupport
import Testing

/// Convolutions by minimal filtering against LibTorch's own in float64, at every level of instructions.
@Suite(.serialized) struct ConvolutionTests {
  struct Example: Sendable, CustomTestStringConvertible {
    var samples = 1
    var inputs = 16
    var outputs = 16
    var frames = 3
    var past = 0
    var size = (height: 16, width: 16)
    var reach = 3
    var testDescription: String {
      "\(samples)x\(inputs)x\(past)+\(frames)x\(size.height)x\(size.width) to \(outputs), \(reach)"
    }
  }

  private static let examples = [
    Example(), Example(samples: 2, inputs: 24, outputs: 40, size: (13, 10)),
    Example(inputs: 32, frames: 1, past: 2, size: (17, 21)),
    Example(outputs: 56, frames: 4, past: 1, size: (9, 23)),
    Example(inputs: 48, frames: 12, past: 2, size: (3, 2)),
    Example(samples: 3, inputs: 16, outputs: 24, frames: 2, size: (11, 9), reach: 2),
    // So many channels that kernels and tiles are taken in parts.
    Example(inputs: 400, outputs: 96, frames: 2, past: 2, size: (12, 12)),
    // Left to LibTorch: too few positions, channels that are no multiple of eight.
    Example(frames: 1, past: 2, size: (5, 7)), Example(inputs: 12, outputs: 20, past: 1),
  ]

  private struct Operands {
    var x: Tensor
    var past: Tensor?
    var weight: Tensor
    var bias: Tensor

    init(_ example: Example, seed: UInt64) {
      var source = RandomSource(seed: seed)
      let (height, width) = example.size
      let frames = { (count: Int, source: inout RandomSource) in
        source.normal([example.samples, example.inputs, count, height, width]).channelsLast()
      }
      x = frames(example.frames, &source)
      past = example.past > 0 ? frames(example.past, &source) : nil
      let fanIn = Double(example.inputs * example.reach * 9)
      weight =
        source.normal([example.outputs, example.inputs, example.reach, 3, 3]) / fanIn.squareRoot()
      bias = source.normal([example.outputs])
    }

    func cast(to dtype: DType) -> Operands {
      var copy = self
      copy.x = x.cast(to: dtype)
      copy.past = past?.cast(to: dtype)
      copy.weight = weight.cast(to: dtype)
      copy.bias = bias.cast(to: dtype)
      return copy
    }

    /// The result and the gradients of input, weight and bias.
    func run() -> [Tensor] {
      let leaves = [x, weight, bias].map { $0.copied().requiringGradient() }
      let y = leaves[0].causallyConvolved(weight: leaves[1], bias: leaves[2], past: past)
      var source = RandomSource(seed: 99)
      y.backward(source.normal(y.shape).cast(to: y.dtype))
      return [y.detached()] + leaves.compactMap(\.gradient)
    }
  }

  @Test(arguments: examples)
  func `Values and gradients agree with LibTorch's in float64`(example: Example) {
    let operands = Operands(example, seed: 1)
    let expected = operands.cast(to: .float64).run()
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { operands.run() }
      #expect(found.count == 4 && expected.count == 4)
      for (index, name) in ["value", "input gradient", "weight gradient", "bias gradient"]
        .enumerated()
      {
        expectClose(found[index], expected[index], tolerance: 3e-6, "\(name), \(level)")
      }
    }
  }

  @Test func `bfloat16 loses no more than its own rounding`() {
    let operands = Operands(Example(inputs: 32, past: 2), seed: 2).cast(to: .bfloat16)
    let expected = operands.cast(to: .float64).run()
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { operands.run() }
      for (found, expected) in zip(found, expected) {
        #expect(found.dtype == .bfloat16)
        expectClose(found, expected, tolerance: 4e-3, "\(level)")
      }
    }
  }

  @Test func `Pictures are convolved as clips of one frame`() {
    var source = RandomSource(seed: 3)
    let x = source.normal([2, 16, 18, 14]).channelsLast()
    let (weight, bias) = (source.normal([24, 16, 3, 3]), source.normal([24]))
    let found = x.convolved(weight: weight, bias: bias, stride: [1, 1], padding: [1, 1])
    let expected = x.cast(to: .float64).convolved(
      weight: weight.cast(to: .float64), bias: bias.cast(to: .float64), stride: [1, 1],
      padding: [1, 1])
    expectClose(found, expected, tolerance: 2e-6)
  }

  @Test func `Zeros around time and other layouts give the same`() {
    var source = RandomSource(seed: 4)
    let weight = source.normal([16, 16, 3, 3, 3])
    let views = [
      source.normal([1, 16, 5, 12, 12]), source.normal([1, 5, 12, 12, 16]).permuted(0, 4, 1, 2, 3),
      source.normal([1, 5, 12, 17, 19]).permuted(0, 4, 1, 2, 3).slice(1, 1..<17).slice(3, from: 5),
      source.normal([2, 16, 9, 12, 12]).channelsLast().slice(2, 1..<9, step: 2),
    ].map { $0.slice(0, 0..<1) }
    for view in views {
      let (x, w) = (view.copied(), weight.copied())
      let found = view.convolved(weight: weight, stride: [1, 1, 1], padding: [1, 1, 1])
      let expected = x.cast(to: .float64).convolved(
        weight: w.cast(to: .float64), stride: [1, 1, 1], padding: [1, 1, 1])
      expectClose(found, expected, tolerance: 2e-6, "\(view.shape)")
    }
  }

  @Test func `A clip in pieces gives the clip`() {
    var operands = Operands(Example(inputs: 32, frames: 7, size: (20, 16)), seed: 5)
    let whole = operands.x.causallyConvolved(weight: operands.weight, bias: operands.bias)
    var pieces: [Tensor] = []
    for range in [0..<2, 2..<3, 3..<7] {
      let x = operands.x.slice(2, range)
      pieces.append(
        x.causallyConvolved(weight: operands.weight, bias: operands.bias, past: operands.past))
      operands.past = operands.x.slice(2, max(0, range.upperBound - 2)..<range.upperBound)
    }
    #expect(concatenate(pieces, along: 2).floats() == whole.floats())
  }

  @Test(arguments: [(16, 24, 9, 7), (32, 16, 4, 13), (12, 20, 6, 6)])
  func `Doubling as it is read is doubling before`(
    inputs: Int, outputs: Int, height: Int, width: Int
  ) {
    var source = RandomSource(seed: 9)
    let x = source.normal([3, inputs, height, width]).channelsLast()
    let (weight, bias) = (source.normal([outputs, inputs, 3, 3]) / 12, source.normal([outputs]))
    let upstream = source.normal([3, outputs, height * 2, width * 2])
    func run(_ dtype: DType, _ body: (Tensor, Tensor, Tensor) -> Tensor) -> [Tensor] {
      let leaves = [x, weight, bias].map { $0.cast(to: dtype).copied().requiringGradient() }
      let y = body(leaves[0], leaves[1], leaves[2])
      y.backward(upstream.cast(to: dtype))
      return [y.detached()] + leaves.compactMap(\.gradient)
    }
    let expected = run(.float64) {
      $0.upsampledNearest(to: [height * 2, width * 2])
        .convolved(weight: $1, bias: $2, stride: [1, 1], padding: [1, 1])
    }
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { run(.float32) { $0.doubledAndConvolved(weight: $1, bias: $2) } }
      #expect(found.count == 4 && found[0].shape == upstream.shape)
      for (found, expected) in zip(found, expected) {
        expectClose(found, expected, tolerance: 3e-6, "\(level)")
      }
    }
  }

  @Test(arguments: [Float.nan, .infinity])
  func `What is not finite spoils what sees it and no tile further`(bad: Float) {
    var values = [Float](repeating: 1, count: 24 * 24 * 16)
    values[(13 * 24 + 13) * 16 + 5] = bad
    let x = Tensor(values, shape: [1, 24, 24, 16]).permuted(0, 3, 1, 2)
    let y = x.convolved(weight: .ones([16, 16, 3, 3]), stride: [1, 1], padding: [1, 1])
    #expect(!y.slice(2, 12..<15).slice(3, 12..<15).isFinite().any())
    #expect(y.slice(2, 0..<12).isFinite().all() && y.slice(2, from: 16).isFinite().all())
    #expect(y.slice(3, 0..<12).isFinite().all() && y.slice(3, from: 16).isFinite().all())
  }

  @Test func `The thread count changes no number`() {
    let operands = Operands(Example(samples: 2, inputs: 48, outputs: 72, size: (30, 26)), seed: 6)
    let results = [1, 2].map { threads in
      withThreads(threads) {
        operands.run().map { $0.floats() }
      }
    }
    #expect(results[0] == results[1])
  }

  @Test func `A past that is learnt gets its gradient`() throws {
    let operands = Operands(Example(past: 2), seed: 7)
    let past = try #require(operands.past).requiringGradient()
    let y = operands.x.causallyConvolved(weight: operands.weight, past: past)
    y.backward(.ones(y.shape))
    let gradient = try #require(past.gradient)
    #expect(gradient.shape == past.shape && gradient.abs().max().item() > 0)
  }

  @Test func `More of a past than kernels see is refused`() {
    let operands = Operands(Example(past: 3), seed: 8)
    #expect(throws: TensorError.self) {
      try withTensorErrors {
        _ = operands.x.causallyConvolved(weight: operands.weight, past: operands.past)
      }
    }
  }
}
