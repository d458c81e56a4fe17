internal import KinoNN
internal import KinoTensor

/// What the blocks attend to: the keys and values of a batch of texts, and of pictures if the model
/// reads them, for every block.
///
/// They do not depend on the timestep: make a context once per clip. In training it is made in
/// every step, and gradients flow through it to the hidden states.
public struct TextContext: Sendable {
  /// One pair per block.
  let memories: [AttentionMemory]
  /// One pair per block, or none.
  var images: [AttentionMemory] = []
  /// Added to the logits, `[B, 1, 1, S]`.
  let bias: Tensor?

  /// The number of texts.
  public var batchSize: Int { memories[0].keys.size(0) }

  /// The number of rows that are attended to.
  public var length: Int { memories[0].keys.size(2) }

  /// Joins contexts of single texts to one batch; the shorter get rows that do not count.
  ///
  /// - Returns: `nil` if a context has no bias to say so with, or not all have as many rows of pictures.
  public static func batch(_ contexts: [TextContext]) -> TextContext? {
    let biases = contexts.compactMap(\.bias)
    guard let first = contexts.first, biases.count == contexts.count else { return nil }
    if contexts.count == 1 { return first }
    let rows = Set(contexts.map { $0.images.first?.keys.size(2) ?? 0 })
    guard rows.count == 1 else { return nil }
    let length = contexts.map(\.length).max() ?? 0
    func padded(_ x: Tensor, along axis: Int, value: Double) -> Tensor {
      var shape = x.shape
      shape[axis] = length - shape[axis]
      if shape[axis] == 0 { return x }
      let rows = Tensor.full(value, shape: shape, dtype: x.dtype).moved(to: x.device)
      return concatenate([x, rows], along: axis)
    }
    func joinedImages(_ part: (AttentionMemory) -> Tensor, _ block: Int) -> Tensor {
      concatenate(contexts.map { part($0.images[block]) }, along: 0)
    }
    func joined(_ part: (AttentionMemory) -> Tensor, _ block: Int) -> Tensor {
      concatenate(contexts.map { padded(part($0.memories[block]), along: 2, value: 0) }, along: 0)
    }
    return TextContext(
      memories: first.memories.indices.map {
        AttentionMemory(keys: joined(\.keys, $0), values: joined(\.values, $0))
      },
      images: first.images.indices.map {
        AttentionMemory(keys: joinedImages(\.keys, $0), values: joinedImages(\.values, $0))
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

/// Maps an image encoder's hidden states to the transformer's width.
struct ImageEmbedder: Sendable {
  let positions: Tensor?  // [1, S, imageWidth]
  let inputNorm: LayerNorm
  let expansion: Linear
  let contraction: Linear
  let outputNorm: LayerNorm

  /// Takes its parameters, if the model reads pictures.
  init?(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    guard let inputs = configuration.imageWidth else { return nil }
    // PyTorch's default, in the reference, whatever the epsilon of the other norms.
    let epsilon = 1e-5
    positions = configuration.positionEmbeddingLength.map {
      scope.parameter("pos_embed", shape: [1, $0, inputs], initializer: .zeros, precision: .exact)
    }
    inputNorm = LayerNorm(scope["norm1"], width: inputs, epsilon: epsilon, isAffine: true)
    expansion = Linear(scope["ff"]["net"][0]["proj"], inputs: inputs, outputs: inputs)
    contraction = Linear(scope["ff"]["net"][2], inputs: inputs, outputs: configuration.width)
    outputNorm = LayerNorm(
      scope["norm2"], width: configuration.width, epsilon: epsilon, isAffine: true)
  }

  /// Maps `[B, S, imageWidth]` to `[B, S, D]`.
  func callAsFunction(_ hiddenStates: Tensor) -> Tensor {
    let x = positions.map { (hiddenStates + $0).cast(to: hiddenStates.dtype) } ?? hiddenStates
    return outputNorm(contraction(expansion(inputNorm(x)).gelu()))
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
