internal import KinoNN
internal import KinoTensor

/// What the timestep does to one branch of a block: shifts and scales its input, gates its output.
struct Modulation {
  let shift: Tensor  // [B, K, D], as scale and gate
  let scale: Tensor
  let gate: Tensor
  let index: Tensor?  // which of the K rows a token takes, [B, L]
  let epsilon: Double

  /// Makes the modulations of the attention and of the feed-forward branch.
  ///
  /// The table is the block's own part, `[1, 6, D]`.
  static func pair(_ time: TimeEmbedding, table: Tensor, epsilon: Double) -> (
    attention: Self, feedForward: Self
  ) {
    let values = time.projection + table
    func branch(_ first: Int) -> Modulation {
      Modulation(
        shift: values.select(2, first), scale: values.select(2, first + 1),
        gate: values.select(2, first + 2), index: time.index, epsilon: epsilon)
    }
    return (branch(0), branch(3))
  }

  /// The branch's input: normalised, scaled and shifted tokens.
  func input(_ x: Tensor, computeType: DType) -> Tensor {
    x.modulatedNorm(shift: shift, scale: scale, index: index, epsilon: epsilon, dtype: computeType)
  }

  /// The tokens with the branch's gated output.
  func joined(_ x: Tensor, _ output: Tensor) -> Tensor {
    x.adding(output, gate: gate, index: index)
  }
}

/// Two linear layers with a GELU between.
struct FeedForward: Sendable {
  let expansion: Linear
  let contraction: Linear

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let (width, hidden) = (configuration.width, configuration.feedForwardWidth)
    expansion = Linear(
      scope["net"][0]["proj"], inputs: width, outputs: hidden, isLarge: true)
    contraction = Linear(scope["net"][2], inputs: hidden, outputs: width, isLarge: true)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { contraction(expansion.gelu(x)) }
}

/// One transformer block: self-attention, cross-attention to text and a feed-forward network; the
/// timestep modulates the first and the last.
struct DiffusionBlock: Sendable {
  let modulation: Tensor  // [1, 6, D]
  let epsilon: Double
  let attention: SelfAttention
  let crossNorm: LayerNorm?
  let crossAttention: CrossAttention
  let feedForward: FeedForward

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let width = configuration.width
    epsilon = configuration.epsilon
    modulation = scope.parameter(
      "scale_shift_table", shape: [1, 6, width],
      initializer: .normal(standardDeviation: 1 / Double(width).squareRoot()), precision: .exact)
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
    _ residual: Tensor, time: TimeEmbedding, memory: AttentionMemory,
    image: AttentionMemory? = nil, textBias: Tensor?, rotary: RotaryTable, computeType: DType
  ) -> Tensor {
    let (spatial, pointwise) = Modulation.pair(time, table: modulation, epsilon: epsilon)
    var x = residual
    x = spatial.joined(x, attention(spatial.input(x, computeType: computeType), rotary: rotary))
    let query = crossNorm?(x, as: computeType) ?? x.cast(to: computeType)
    x = x + crossAttention(query, memory: memory, image: image, bias: textBias)
    return pointwise.joined(x, feedForward(pointwise.input(x, computeType: computeType)))
  }
}
