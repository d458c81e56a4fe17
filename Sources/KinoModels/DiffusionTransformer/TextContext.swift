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

  /// Turns how often rows count, `[B, S]`, into what is added to their logits, `[B, 1, 1, S]`.
  static func bias(mask: Tensor, computeType: DType) -> Tensor {
    let counts = mask.cast(to: .float32)
    // Finite, so that a text without any row gives numbers; small enough to vanish in float32 and
    // large enough for float16.
    let hidden = Tensor(-30000).moved(to: mask.device)
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
