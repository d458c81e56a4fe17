import KinoTensor
import KinoTestSupport
import Testing

/// Attention in both types at every level of instructions, against its definition in float64.
@Suite(.serialized) struct AttentionTests {
  struct Example: Sendable, CustomTestStringConvertible {
    var batch = 2
    var heads = 3
    var queries: Int
    var keys: Int
    var width: Int
    var hasBias = false
    var testDescription: String {
      "\(queries) queries, \(keys) keys of \(width)\(hasBias ? ", bias" : "")"
    }
  }

  private static let examples = [
    Example(queries: 1, keys: 1, width: 16), Example(queries: 80, keys: 80, width: 64),
    Example(queries: 49, keys: 65, width: 32, hasBias: true),
    Example(queries: 130, keys: 33, width: 128, hasBias: true),
    Example(batch: 1, heads: 1, queries: 7, keys: 200, width: 256),
    Example(queries: 97, keys: 63, width: 48, hasBias: true),
    // Tiles of queries that see the keys together; the last of them are fewer.
    Example(heads: 4, queries: 412, keys: 150, width: 32, hasBias: true),
    // Heads that the kernel leaves to LibTorch.
    Example(queries: 20, keys: 30, width: 24), Example(batch: 1, queries: 5, keys: 6, width: 272),
  ]

  /// `[B, heads, L, D]` with the heads of a token next to each other, as the layers make it.
  private func tokens(
    _ source: inout RandomSource, _ example: Example, _ length: Int, _ dtype: DType
  ) -> Tensor {
    (source.normal([example.batch, length, example.heads, example.width]) * 1.5)
      .cast(to: dtype).transposed(1, 2)
  }

  private static let types = [DType.bfloat16, .float32]

  /// What rounding to the type may do to a result.
  private func tolerance(_ dtype: DType) -> Double { dtype == .bfloat16 ? 1e-2 : 3e-6 }

  private func definition(_ x: [Tensor], bias: Tensor?) -> Tensor {
    let scale = 1 / Double(x[0].size(3)).squareRoot()
    var logits = x[0].matmul(x[1].transposed(2, 3)) * scale
    if let bias { logits = logits + bias.cast(to: .float64) }
    return logits.softmax(along: -1).matmul(x[2])
  }

  /// The result and the gradients of queries, keys and values.
  private func run(_ leaves: [Tensor], _ upstream: Tensor, _ body: ([Tensor]) -> Tensor) -> [Tensor]
  {
    let inputs = leaves.map { $0.copied().requiringGradient() }
    let y = body(inputs)
    y.backward(upstream.cast(to: y.dtype))
    return [y.detached()] + inputs.compactMap(\.gradient)
  }

  @Test(arguments: examples, types)
  func `Values and gradients agree with the definition`(example: Example, dtype: DType) {
    var source = RandomSource(seed: 1)
    let leaves = [example.queries, example.keys, example.keys].map {
      tokens(&source, example, $0, dtype)
    }
    let upstream = tokens(&source, example, example.queries, dtype)
    for shared in [false, true] {
      let bias =
        example.hasBias
        ? source.normal([shared ? 1 : example.batch, 1, 1, example.keys]).cast(to: dtype) : nil
      let expected = run(leaves.map { $0.cast(to: .float64) }, upstream) {
        definition($0, bias: bias)
      }
      for level in Engine.KernelLevel.runnable {
        let found = at(level) {
          run(leaves, upstream) {
            scaledDotProductAttention(queries: $0[0], keys: $0[1], values: $0[2], bias: bias)
          }
        }
        for (index, name) in ["value", "queries", "keys", "values"].enumerated() {
          let (found, expected) = (found[index].cast(to: .float32), expected[index])
          if example.keys == 1 && (index == 1 || index == 2) {
            // One key is always taken whole: nothing depends on it.
            #expect(found.abs().max().item() < tolerance(dtype))
            continue
          }
          expectClose(
            found, expected.cast(to: .float32), tolerance: tolerance(dtype), "\(name), \(level)")
        }
      }
    }
  }

  @Test(arguments: types)
  func `Large logits, hidden keys and NaN`(dtype: DType) {
    var source = RandomSource(seed: 2)
    let example = Example(batch: 1, heads: 1, queries: 50, keys: 70, width: 32)
    let (q, k, v) = (
      tokens(&source, example, 50, dtype) * 30, tokens(&source, example, 70, dtype) * 30,
      tokens(&source, example, 70, dtype)
    )
    let hidden = Tensor((0..<70).map { $0 < 40 ? 0 : -Float.infinity }, shape: [1, 1, 1, 70])
      .cast(to: dtype)
    for level in Engine.KernelLevel.runnable {
      func attention(_ q: Tensor, bias: Tensor? = nil) -> Tensor {
        at(level) { scaledDotProductAttention(queries: q, keys: k, values: v, bias: bias) }
      }
      #expect(attention(q).isFinite().all())
      expectClose(
        attention(q, bias: hidden).cast(to: .float32),
        at(level) {
          scaledDotProductAttention(
            queries: q, keys: k.slice(2, 0..<40), values: v.slice(2, 0..<40))
        }.cast(to: .float32), tolerance: tolerance(dtype), "\(level)")
      var values = [Float](repeating: 1, count: 50 * 32)
      values[33] = .nan
      let spoiled = attention(Tensor(values, shape: [1, 1, 50, 32]).cast(to: dtype))
      #expect(!spoiled.slice(2, 1..<2).isFinite().any(), "\(level)")
      #expect(
        spoiled.slice(2, 0..<1).isFinite().all() && spoiled.slice(2, from: 2).isFinite().all())
    }
  }

  @Test(arguments: types)
  func `The result does not depend on the thread count, nor on the other samples`(dtype: DType) {
    var source = RandomSource(seed: 3)
    let example = Example(queries: 200, keys: 150, width: 64)
    let leaves = [200, 150, 150].map { tokens(&source, example, $0, dtype) }
    let upstream = tokens(&source, example, 200, dtype)
    let results = [1, 2].map { threads in
      withThreads(threads) {
        run(leaves, upstream) {
          scaledDotProductAttention(queries: $0[0], keys: $0[1], values: $0[2])
        }
      }
    }
    for (one, two) in zip(results[0], results[1]) { #expect(one.equals(two).all()) }
    let alone = leaves.map { $0.slice(0, 1..<2) }
    let second = scaledDotProductAttention(queries: alone[0], keys: alone[1], values: alone[2])
    #expect(second.equals(results[0][0].slice(0, 1..<2)).all())
  }

  @Test(arguments: types)
  func `Views with gaps give what their copies give`(dtype: DType) {
    var source = RandomSource(seed: 4)
    let wide = source.normal([2, 4, 60, 64]).cast(to: dtype)
    let views = [
      wide.slice(3, 0..<32), wide.slice(3, 0..<64, step: 2),
      wide.slice(1, 0..<4).slice(2, 7..<60)
        .slice(3, 16..<48),
    ]
    for view in views {
      let copy = view.contiguous().copied()
      let found = scaledDotProductAttention(queries: view, keys: view, values: view)
      let expected = scaledDotProductAttention(queries: copy, keys: copy, values: copy)
      #expect(found.equals(expected).all())
    }
  }
}
