import KinoTensor
import KinoTestSupport
import Testing

/// Our own CPU kernel against its composition of LibTorch's operations, on both instruction sets.
@Suite(.serialized) struct ChannelNormTests {
  struct Example: Sendable, CustomTestStringConvertible {
    var shape: [Int]
    var dtype = DType.float32
    var appliesSiLU = true
    var testDescription: String { "\(shape) \(dtype)\(appliesSiLU ? " silu" : "")" }
  }

  private static let channelCounts = [1, 3, 16, 33, 128]
  private static let examples = channelCounts.flatMap { channels in
    [DType.float32, .bfloat16].flatMap { dtype in
      [
        Example(shape: [1, channels, 7, 5], dtype: dtype, appliesSiLU: false),
        Example(shape: [2, channels, 3, 5, 3], dtype: dtype),
      ]
    }
  }

  /// The result and the gradients of input and gain.
  private func run(_ x: Tensor, _ gain: Tensor, _ upstream: Tensor, silu: Bool, isFused: Bool)
    -> [Tensor]
  {
    let (input, weight) = (x.requiringGradient(), gain.requiringGradient())
    let y = input.channelNormalized(gain: weight, appliesSiLU: silu, isFused: isFused)
    y.backward(upstream)
    return [y] + [input, weight].compactMap(\.gradient)
  }

  private func compare(
    _ x: Tensor, _ gain: Tensor, silu: Bool, tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var source = RandomSource(seed: 99)
    let upstream = source.normal(x.shape).cast(to: x.dtype)
    let expected = run(x, gain, upstream, silu: silu, isFused: false)
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { run(x, gain, upstream, silu: silu, isFused: true) }
      #expect(found.count == 3 && found.map(\.dtype) == expected.map(\.dtype))
      for (index, name) in ["value", "input gradient", "gain gradient"].enumerated() {
        if index == 1 && x.size(1) == 1 {
          // The direction of a single number is constant: what is left is rounding.
          #expect((found[1] * x).abs().max().item() < 1e-5 * upstream.abs().max().item())
          continue
        }
        expectClose(
          found[index], expected[index], tolerance: tolerance, "\(name), \(level)",
          sourceLocation: sourceLocation)
      }
    }
  }

  @Test(arguments: examples)
  func `The kernel agrees with the composition`(example: Example) {
    var source = RandomSource(seed: 1)
    let x = (source.normal(example.shape) * 3).cast(to: example.dtype)
    let axes = Array(repeating: 1, count: example.shape.count - 2)
    let gain = source.normal([example.shape[1]] + axes)
    // Both compute in float32; in bfloat16 they round once, some numbers to the other neighbour.
    let tolerance = example.dtype == .float32 ? 2e-6 : 2e-3
    let input = example.shape.count == 5 ? x.channelsLast() : x
    compare(input, gain, silu: example.appliesSiLU, tolerance: tolerance)
  }

  @Test func `More positions than one task takes give the same sums`() {
    var source = RandomSource(seed: 2)
    let x = source.normal([1, 3, 70, 61]).channelsLast()
    compare(x, source.normal([3, 1, 1]), silu: true, tolerance: 5e-6)
  }

  @Test func `Views with gaps or an odd start are read right`() {
    var source = RandomSource(seed: 3)
    for dtype in [DType.float32, .bfloat16] {
      let tolerance = dtype == .float32 ? 2e-6 : 2e-3
      let gain = source.normal([33, 1, 1])
      let x = source.normal([3, 33, 5, 7]).cast(to: dtype).channelsLast()
      let views = [
        x.slice(0, 1..<2), x.slice(2, 1..<4), x.slice(3, from: 3), x.slice(3, 0..<7, step: 2),
        x.transposed(2, 3), x.select(0, 2).expandingDimension(at: 0),
        source.normal([2, 35, 5, 7]).cast(to: dtype).slice(1, 1..<34),
      ]
      for view in views { compare(view, gain, silu: true, tolerance: tolerance) }
    }
  }

  @Test func `Gain may be expanded, and the upstream gradient of another layout`() {
    var source = RandomSource(seed: 4)
    let x = source.normal([2, 16, 4, 4])
    compare(x, Tensor(1.5).expanded(to: 16, 1, 1), silu: true, tolerance: 2e-6)
    compare(
      x.channelsLast(), source.normal([16]).reshaped(to: 16, 1, 1), silu: false, tolerance: 2e-6)
  }

  @Test func `Vectors of zeros give zeros and finite gradients`() {
    var source = RandomSource(seed: 5)
    let x = source.normal([1, 16, 3, 3])
    let mask = Tensor([Float(0), 1, 1, 0, 1, 1, 1, 0, 1], shape: [1, 1, 3, 3])
    compare(x * mask, source.normal([16, 1, 1]), silu: true, tolerance: 2e-6)
    for level in Engine.KernelLevel.runnable {
      let found = at(level) {
        run(
          .zeros([1, 16, 2, 2]), .ones([16, 1, 1]), .ones([1, 16, 2, 2]), silu: true, isFused: true)
      }
      #expect(found[0].equals(0).all() && found[1].isFinite().all() && found[2].equals(0).all())
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func `NaN and infinity spoil their own position and no other`(bad: Float) {
    for dtype in [DType.float32, .bfloat16] {
      for channels in [3, 16, 33] {
        var values = [Float](repeating: 1, count: channels * 4)
        values[channels - 1] = bad
        // [1, H, W, C] seen as [1, C, H, W].
        let x = Tensor(values, shape: [1, 2, 2, channels]).cast(to: dtype).permuted(0, 3, 1, 2)
        let gain = Tensor.ones([channels, 1, 1])
        for silu in [false, true] {
          let expected = x.channelNormalized(gain: gain, appliesSiLU: silu, isFused: false)
          for level in Engine.KernelLevel.runnable {
            let found = at(level) { x.channelNormalized(gain: gain, appliesSiLU: silu) }
            #expect(found.isFinite().equals(expected.isFinite()).all(), "\(level) \(channels)")
            let nan = { (t: Tensor) in t.floats().map(\.isNaN) }
            #expect(nan(found) == nan(expected), "\(level) \(channels)")
            #expect(found.slice(2, from: 1).isFinite().all())
          }
        }
      }
    }
  }

  @Test func `NaN reaches the gradients`() {
    let x = Tensor([Float.nan, 1, 1, 1], shape: [1, 4, 1, 1])
    for level in Engine.KernelLevel.runnable {
      let found = at(level) {
        run(x, .ones([4, 1, 1]), .ones([1, 4, 1, 1]), silu: true, isFused: true)
      }
      #expect(!found[1].isFinite().any() && !found[2].isFinite().any())
    }
  }

  @Test func `Very large and very small inputs keep their direction`() {
    for scale in [1e-9, 1e15] {
      var source = RandomSource(seed: 6)
      compare(
        source.normal([1, 16, 3, 3]) * scale, .ones([16, 1, 1]), silu: true, tolerance: 1e-5)
    }
    // A steep gain drives the sigmoid to its ends.
    var source = RandomSource(seed: 7)
    compare(
      source.normal([1, 16, 3, 3]), .full(200, shape: [16, 1, 1]), silu: true, tolerance: 1e-5)
  }

  @Test func `Nothing in gives nothing out`() {
    let empty = Tensor.zeros([1, 16, 0, 4])
    #expect(
      empty.channelNormalized(gain: .ones([16, 1, 1]), appliesSiLU: true).shape == empty.shape)
  }

  @Test func `The result does not depend on the thread count`() {
    let before = Engine.threadCount
    defer { Engine.threadCount = before }
    var source = RandomSource(seed: 8)
    let x = source.normal([2, 16, 60, 51]).channelsLast()
    let (gain, upstream) = (source.normal([16, 1, 1]), source.normal(x.shape))
    let results = [1, 2].map { threads in
      Engine.threadCount = threads
      return run(x, gain, upstream, silu: true, isFused: true).map { $0.floats() }
    }
    #expect(results[0] == results[1])
  }

  @Test func `A gain of the wrong length is refused`() {
    #expect(throws: TensorError.self) {
      try withTensorErrors {
        _ = Tensor.ones([1, 16, 2, 2]).channelNormalized(gain: .ones([8, 1, 1]), appliesSiLU: true)
      }
    }
  }
}
