internal import KinoNN
internal import KinoTensor

/// Keys and values, each `[B, heads, S, headDimension]`.
struct AttentionMemory: Sendable {
  let keys: Tensor
  let values: Tensor
}

/// Projections to queries, keys and values; queries and keys are normalised over all heads
/// together.
struct AttentionProjections: Sendable {
  let headCount: Int
  let queries: Linear
  let keys: Linear
  let values: Linear
  let output: Linear
  let queryNorm: RMSNorm
  let keyNorm: RMSNorm

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let width = configuration.width
    func linear(_ scope: ParameterScope) -> Linear {
      Linear(scope, inputs: width, outputs: width, isLarge: true)
    }
    headCount = configuration.headCount
    queries = linear(scope["to_q"])
    keys = linear(scope["to_k"])
    values = linear(scope["to_v"])
    output = linear(scope["to_out"][0])
    queryNorm = RMSNorm(scope["norm_q"], width: width, epsilon: configuration.epsilon)
    keyNorm = RMSNorm(scope["norm_k"], width: width, epsilon: configuration.epsilon)
  }

  /// Splits `[B, L, D]` to `[B, L, heads, headDimension]`.
  func split(_ x: Tensor) -> Tensor {
    let (batch, length, width) = x.shape3
    return x.reshaped(to: batch, length, headCount, width / headCount)
  }

  /// Joins `[B, heads, L, headDimension]` to `[B, L, D]` and projects it.
  func joined(_ x: Tensor) -> Tensor {
    let (batch, heads, length, channels) = x.shape4
    return output(x.transposed(1, 2).reshaped(to: batch, length, heads * channels))
  }
}

/// Attention among the tokens of a clip, all to all.
struct SelfAttention: Sendable {
  let projections: AttentionProjections

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    projections = AttentionProjections(scope, configuration: configuration)
  }

  /// Maps `[B, L, D]` to the same shape and type.
  ///
  /// Norm and rotation are one float32 passage; the reference rounds to the compute type between.
  func callAsFunction(_ x: Tensor, rotary: RotaryTable) -> Tensor {
    let p = projections
    func rotated(_ x: Tensor, _ norm: RMSNorm) -> Tensor {
      p.split(
        x.rmsNormalized(
          weight: norm.weight, epsilon: norm.epsilon, rotation: (rotary.cosine, rotary.sine))
      ).transposed(1, 2)
    }
    return p.joined(
      scaledDotProductAttention(
        queries: rotated(p.queries(x), p.queryNorm), keys: rotated(p.keys(x), p.keyNorm),
        values: p.split(p.values(x)).transposed(1, 2)))
  }
}

/// Attention of a clip's tokens to the rows of a text, and apart from it to those of pictures.
struct CrossAttention: Sendable {
  /// Projections of pictures to keys and values.
  private struct ImageProjections: Sendable {
    let keys: Linear
    let values: Linear
    let keyNorm: RMSNorm
  }

  let projections: AttentionProjections
  private let imageProjections: ImageProjections?

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    projections = AttentionProjections(scope, configuration: configuration)
    let width = configuration.width
    imageProjections =
      configuration.imageWidth == nil
      ? nil
      : ImageProjections(
        keys: Linear(scope["add_k_proj"], inputs: width, outputs: width, isLarge: true),
        values: Linear(scope["add_v_proj"], inputs: width, outputs: width, isLarge: true),
        keyNorm: RMSNorm(scope["norm_added_k"], width: width, epsilon: configuration.epsilon))
  }

  /// Projects embedded text `[B, S, D]`.
  func memory(_ text: Tensor) -> AttentionMemory {
    let p = projections
    return AttentionMemory(
      keys: p.split(p.keyNorm(p.keys(text))).transposed(1, 2).contiguous(),
      values: p.split(p.values(text)).transposed(1, 2).contiguous())
  }

  /// Projects embedded pictures `[B, S, D]`; nil for a model without an image encoder.
  func imageMemory(_ images: Tensor) -> AttentionMemory? {
    imageProjections.map { image in
      AttentionMemory(
        keys: projections.split(image.keyNorm(image.keys(images))).transposed(1, 2).contiguous(),
        values: projections.split(image.values(images)).transposed(1, 2).contiguous())
    }
  }

  /// Maps `[B, L, D]` to the same shape and type; the bias is added to the logits of the text.
  func callAsFunction(
    _ x: Tensor, memory: AttentionMemory, image: AttentionMemory? = nil, bias: Tensor?
  ) -> Tensor {
    let p = projections
    let queries = p.split(p.queryNorm(p.queries(x))).transposed(1, 2)
    var read = scaledDotProductAttention(
      queries: queries, keys: memory.keys, values: memory.values, bias: bias)
    if let image {
      read =
        read
        + scaledDotProductAttention(
          queries: queries, keys: image.keys, values: image.values)
    }
    return p.joined(read)
  }
}
