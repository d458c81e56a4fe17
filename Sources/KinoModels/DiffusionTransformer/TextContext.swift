internal import KinoNN
internal import KinoTensor

/// What the blocks attend to: the keys and values of a batch of texts, for every block.
///
/// They do not depend on the timestep: make a context once per clip. In training it is made in
/// every step, and gradients flow through it to the hidden states.
public struct TextContext: Sendable {
  /// One pair per block.
  let memories: [AttentionMemory]
  /// Added to the logits, `[B, 1, 1, S]`.
  let bias: Tensor?

  /// The number of texts.
  public var batchSize: Int { memories[0].keys.size(0) }

  /// The number of rows that are attended to.
  public var length: Int { memories[0].keys.size(2) }

  /// Joins contexts of single texts to one batch; the shorter get rows that do not count.
  ///
  /// - Returns: `nil` if a context has no bias to say so with.
  public static func batch(_ contexts: [TextContext]) -> TextContext? {
    let biases = contexts.compactMap(\.bias)
    guard let first = contexts.first, biases.count == contexts.count else { return nil }
    if contexts.count == 1 { return first }
    let length = contexts.map(\.length).max() ?? 0
    func padded(_ x: Tensor, along axis: Int, value: Double) -> Tensor {
      var shape = x.shape
      shape[axis] = length - shape[axis]
      if shape[axis] == 0 { return x }
      let rows = Tensor.full(value, shape: shape, dtype: x.dtype).moved(to: x.device)
      return concatenate([x, rows], along: axis)
    }
    func joined(_ part: (AttentionMemory) -> Tensor, _ block: Int) -> Tensor {
      concatenate(contexts.map { padded(part($0.memories[block]), along: 2, value: 0) }, along: 0)
    }
    return TextContext(
      memories: first.memories.indices.map {
        AttentionMemory(keys: joined(\.keys, $0), values: joined(\.values, $0))
      },
      bias: concatenate(biases.map { padded($0, along: 3, value: hidden) }, along: 0))
  }

  /// The bias of a row that does not count: finite, so that a text without any row gives numbers; small
  /// enough to vanish in float32 and large enough for float16.
  private static let hidden = -30000.0

  /// Turns how often rows count, `[B, S]`, into what is added to their logits, `[B, 1, 1, S]`.
  static func bias(mask: Tensor, computeType: DType) -> Tensor {
    let counts = mask.cast(to: .float32)
    let hidden = Tensor(Self.hidden).moved(to: mask.device)
    return counts.log().replacing(with: hidden, where: counts.equals(0))
      .expandingDimension(at: 1).expandingDimension(at: 1).cast(to: computeType)
  }
}

/// Maps the text encoder's hidden states to the transformer's width.
struct TextEmbedder: Sendable {
  let first: Linear
  let second: Linear

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let width = configuration.width
    first = Linear(scope["linear_1"], inputs: configuration.textWidth, outputs: width)
    second = Linear(scope["linear_2"], inputs: width, outputs: width)
  }

  /// Maps `[B, S, textWidth]` to `[B, S, D]`.
  func callAsFunction(_ hiddenStates: Tensor) -> Tensor {
    second(first(hiddenStates).geluTanh())
  }
}
