import KinoTensor
import KinoTestSupport
import Testing

/// The transformer's CPU kernels against their compositions of LibTorch's operations, on both
/// instruction sets.
@Suite(.serialized) struct TokenKernelTests {
  /// How modulation is shared among tokens.
  enum Sharing: String, CaseIterable, Sendable {
    case perSample, byIndex, perToken, byAll
  }

  struct Example: Sendable, CustomTestStringConvertible {
    var length: Int
    var width: Int
    var dtype: DType
    var sharing: Sharing
    var testDescription: String { "\(length)x\(width) \(dtype) \(sharing)" }
  }

  private static let examples = Sharing.allCases.flatMap { sharing in
    [DType.float32, .bfloat16].flatMap { dtype in
      [(1, 3), (5, 16), (130, 33)].map {
        Example(length: $0.0, width: $0.1, dtype: dtype, sharing: sharing)
      }
    }
  }

  /// The result for `leaves`, and their gradients.
  private func run(
    _ leaves: [Tensor], upstream: Tensor, _ body: ([Tensor]) -> Tensor
  ) -> [Tensor] {
    let inputs = leaves.map { $0.copied().requiringGradient() }
    let y = body(inputs)
    y.backward(upstream.cast(to: y.dtype))
    return [y.detached()] + inputs.compactMap(\.gradient)
  }

  private func compare(
    _ leaves: [Tensor], upstream: Tensor, tolerance: Double, _ body: ([Tensor], Bool) -> Tensor
  ) {
    let expected = run(leaves, upstream: upstream) { body($0, false) }
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { run(leaves, upstream: upstream) { body($0, true) } }
      #expect(found.count == leaves.count + 1)
      #expect(found.map(\.dtype) == expected.map(\.dtype))
      #expect(found.map(\.shape) == expected.map(\.shape))
      for (index, pair) in zip(found, expected).enumerated() {
        expectClose(
          pair.0.cast(to: .float32), pair.1.cast(to: .float32), tolerance: tolerance,
          "\(index == 0 ? "value" : "gradient \(index)"), \(level)")
      }
    }
  }

  /// Rows `[B, K, D]` of modulation and the index that goes with them, for two samples.
  private func rows(
    _ example: Example, _ source: inout RandomSource
  ) -> (make: (inout RandomSource) -> Tensor, index: Tensor?) {
    let (batch, count) =
      switch example.sharing {
      case .perSample: (2, 1)
      case .byIndex: (2, 3)
      case .perToken: (2, example.length)
      case .byAll: (1, 1)
      }
    let index =
      example.sharing == .byIndex
      ? Tensor(
        (0..<2 * example.length).map { Int64($0 * 7 % 3) }, shape: [2, example.length])
      : nil
    return ({ $0.normal([batch, count, example.width]) }, index)
  }

  @Test(arguments: examples)
  func `Modulated norms agree with their composition`(example: Example) {
    var source = RandomSource(seed: 1)
    let (make, index) = rows(example, &source)
    let shape = [2, example.length, example.width]
    let leaves = [source.normal(shape) * 3 + 1, make(&source), make(&source)]
    compare(
      leaves, upstream: source.normal(shape).cast(to: example.dtype),
      tolerance: example.dtype == .float32 ? 5e-6 : 4e-3
    ) { leaves, isFused in
      leaves[0].modulatedNorm(
        shift: leaves[1], scale: leaves[2], index: index, epsilon: 1e-6, dtype: example.dtype,
        isFused: isFused)
    }
  }

  @Test(arguments: examples)
  func `Gated sums agree with their composition`(example: Example) {
    var source = RandomSource(seed: 2)
    let (make, index) = rows(example, &source)
    let shape = [2, example.length, example.width]
    let leaves = [
      source.normal(shape), source.normal(shape).cast(to: example.dtype), make(&source),
    ]
    compare(
      leaves, upstream: source.normal(shape), tolerance: example.dtype == .float32 ? 2e-6 : 4e-3
    ) { leaves, isFused in
      leaves[0].adding(leaves[1], gate: leaves[2], index: index, isFused: isFused)
    }
  }

  @Test(arguments: [DType.float32, .bfloat16], [1, 3, 130])
  func `Norms with and without a turn agree with their composition`(dtype: DType, length: Int) {
    var source = RandomSource(seed: 3)
    for (heads, half) in [(1, 1), (3, 8), (2, 17)] {
      let width = heads * half * 2
      let shape = [2, length, width]
      let angles = source.normal([length, half])
      for rotation in [nil, (cosine: angles.cos(), sine: angles.sin())] {
        compare(
          [source.normal(shape).cast(to: dtype), source.normal([width])],
          upstream: source.normal(shape), tolerance: dtype == .float32 ? 5e-6 : 4e-3
        ) { leaves, isFused in
          leaves[0].rmsNormalized(
            weight: leaves[1], epsilon: 1e-6, rotation: rotation, isFused: isFused)
        }
      }
    }
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `GELU agrees with LibTorch's, to its ends`(dtype: DType) {
    var source = RandomSource(seed: 6)
    let edges = Tensor([Float(0), -0.0, 30, -30, 1e4, -1e4, 1e-6, 3, -3])
    let x = concatenate([edges, source.normal([40_000]) * 3], along: 0).cast(to: dtype)
    // LibTorch's own in float64, which our kernel leaves to it.
    let expected = run([x.cast(to: .float64)], upstream: .ones([40_009])) { $0[0].geluTanh() }
    for level in Engine.KernelLevel.runnable {
      let found = at(level) { run([x], upstream: .ones([40_009])) { $0[0].geluTanh() } }
      for (found, expected) in zip(found, expected) {
        expectClose(
          found.cast(to: .float32), expected.cast(to: .float32),
          tolerance: dtype == .float32 ? 2e-6 : 4e-3, "\(level)")
      }
    }
    #expect(Tensor([Float.nan]).geluTanh().item().isNaN)
  }

  @Test func `Views of rows, and tokens with gaps, are read right`() {
    var source = RandomSource(seed: 4)
    let table = source.normal([2, 3, 6, 16])
    let index = Tensor([Int64(0), 2, 1, 1, 0, 2, 2, 0, 1, 0], shape: [2, 5])
    let wide = source.normal([2, 5, 32])
    compare([wide, table], upstream: source.normal([2, 5, 16]), tolerance: 5e-6) {
      leaves, isFused in
      let x = leaves[0].slice(2, 0..<32, step: 2)
      let parts = (0..<3).map { leaves[1].select(2, $0 * 2) }
      return x.adding(
        x.modulatedNorm(
          shift: parts[0], scale: parts[1], index: index, epsilon: 1e-6, dtype: .float32,
          isFused: isFused), gate: parts[2], index: index, isFused: isFused)
    }
  }

  @Test func `The results do not depend on the thread count`() {
    var source = RandomSource(seed: 5)
    let shape = [1, 700, 48]
    let index = Tensor((0..<700).map { Int64($0 % 2) }, shape: [1, 700])
    let angles = source.normal([700, 8])
    let leaves = [
      source.normal(shape), source.normal([1, 2, 48]), source.normal([1, 2, 48]),
      source.normal([48]),
    ]
    let upstream = source.normal(shape)
    let results = [1, 2].map { threads in
      withThreads(threads) {
        run(leaves, upstream: upstream) { leaves in
          let x = leaves[0].modulatedNorm(
            shift: leaves[1], scale: leaves[2], index: index, epsilon: 1e-6, dtype: .bfloat16)
          let y = x.rmsNormalized(
            weight: leaves[3], epsilon: 1e-6, rotation: (angles.cos(), angles.sin()))
          return leaves[0].adding(y, gate: leaves[1], index: index)
        }.map { $0.floats() }
      }
    }
    #expect(results[0] == results[1])
  }

  @Test func `NaN stays with its token`() {
    let x = Tensor([Float.nan, 1, 2, 3, 1, 2, 3, 4], shape: [1, 2, 4])
    let rows = Tensor.ones([1, 1, 4])
    for level in Engine.KernelLevel.runnable {
      let found = at(level) {
        [
          x.modulatedNorm(shift: rows, scale: rows, epsilon: 1e-6, dtype: .bfloat16),
          x.rmsNormalized(weight: .ones([4]), epsilon: 1e-6, rotation: nil),
        ]
      }
      for y in found {
        #expect(!y.slice(1, 0..<1).isFinite().any() && y.slice(1, from: 1).isFinite().all())
      }
      #expect(
        at(level) { x.adding(x, gate: rows) }.isFinite().cast(to: .float32).floats() == [
          0, 1, 1, 1, 1, 1, 1, 1,
        ])
    }
  }

  @Test func `Shapes and indices that do not fit are refused`() {
    let x = Tensor.ones([2, 5, 8])
    func modulated(_ rows: [Int], index: Tensor? = nil) -> Tensor {
      x.modulatedNorm(
        shift: .ones(rows), scale: .ones(rows), index: index, epsilon: 1e-6, dtype: .float32)
    }
    let bad: [() -> Tensor] = [
      { modulated([2, 3, 8]) }, { modulated([2, 1, 4]) }, { modulated([3, 1, 8]) },
      { modulated([2, 2, 8], index: .zeros([2, 4], dtype: .int64)) },
      { modulated([2, 2, 8], index: .full(2, shape: [2, 5]).cast(to: .int64)) },
      { modulated([2, 2, 8], index: .full(-1, shape: [2, 5]).cast(to: .int64)) },
      { x.adding(.ones([2, 5, 4]), gate: .ones([2, 1, 8])) },
      { x.adding(x, gate: .ones([2, 4, 8])) },
      { x.rmsNormalized(weight: .ones([4]), epsilon: 1e-6, rotation: nil) },
      {
        x.rmsNormalized(
          weight: .ones([8]), epsilon: 1e-6, rotation: (.ones([4, 2]), .ones([4, 2])))
      },
      {
        x.rmsNormalized(
          weight: .ones([8]), epsilon: 1e-6, rotation: (.ones([5, 3]), .ones([5, 3])))
      },
    ]
    for (number, body) in bad.enumerated() {
      #expect(throws: TensorError.self, "case \(number)") { try withTensorErrors { _ = body() } }
    }
  }
}
