internal import KinoNN
internal import KinoTensor

/// What the timestep does to one branch of a block: shifts and scales its input, gates its output.
struct Modulation {
  let shift: Tensor  // [B, L or 1, D]
  let scale: Tensor
  let gate: Tensor

  /// Makes the modulations of the attention and of the feed-forward branch.
  ///
  /// The table is the block's own part, `[1, 6, D]`.
  static func pair(_ time: TimeEmbedding, table: Tensor) -> (attention: Self, feedForward: Self) {
    let parts = time.spread(time.projection + table, count: 6)
    return (
      Modulation(shift: parts[0], scale: parts[1], gate: parts[2]),
      Modulation(shift: parts[3], scale: parts[4], gate: parts[5])
    )
  }

  func apply(_ x: Tensor) -> Tensor { x * (scale + 1) + shift }
}

/// Two linear layers with a GELU between.
struct FeedForward: Sendable {
  let expansion: Linear
  let contraction: Linear

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let (width, hidden) = (configuration.width, configuration.feedForwardWidth)
    expansion = Linear(scope["net"][0]["proj"], inputs: width, outputs: hidden)
    contraction = Linear(scope["net"][2], inputs: hidden, outputs: width)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { contraction(expansion(x).geluTanh()) }
}

/// One transformer block: self-attention, cross-attention to text and a feed-forward network; the
/// timestep modulates the first and the last.
struct DiffusionBlock: Sendable {
  let modulation: Tensor  // [1, 6, D]
  let norm: LayerNorm
  let attention: SelfAttention
  let crossNorm: LayerNorm?
  let crossAttention: CrossAttention
  let feedForward: FeedForward

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let (width, epsilon) = (configuration.width, configuration.epsilon)
    modulation = scope.parameter(
      "scale_shift_table", shape: [1, 6, width],
      initializer: .normal(standardDeviation: 1 / Double(width).squareRoot()), precision: .exact)
    // Of norm1 and norm3, which have no parameters.
    norm = LayerNorm(scope, width: width, epsilon: epsilon, isAffine: false)
    attention = SelfAttention(scope["attn1"], configuration: configuration)
    crossNorm =
      configuration.normalizesCrossAttention
      ? LayerNorm(scope["norm2"], width: width, epsilon: epsilon, isAffine: true) : nil
    crossAttention = CrossAttention(scope["attn2"], configuration: configuration)
    feedForward = FeedForward(scope["ffn"], configuration: configuration)
  }

  /// Maps the residual stream `[B, L, D]`, float32; the branches compute in `computeType`, and
  /// their results widen to float32 where they join it.
  func callAsFunction(
    _ residual: Tensor, time: TimeEmbedding, memory: AttentionMemory, textBias: Tensor?,
    rotary: RotaryTable, computeType: DType
  ) -> Tensor {
    let (spatial, pointwise) = Modulation.pair(time, table: modulation)
    var x = residual
    x = x + attention(spatial.apply(norm(x)).cast(to: computeType), rotary: rotary) * spatial.gate
    let query = (crossNorm?(x) ?? x).cast(to: computeType)
    x = x + crossAttention(query, memory: memory, bias: textBias)
    return x + feedForward(pointwise.apply(norm(x)).cast(to: computeType)) * pointwise.gate
  }
}
