internal import Foundation
internal import KinoNN
public import KinoTensor

/// How noisy a batch is, in `0...1000`: 0 is clean.
public enum Timesteps: Sendable {
  /// One timestep per sample, `[B]`.
  case perSample(Tensor)
  /// Timesteps `values` `[B, K]`, of which token `l` of sample `b` has number `index[b, l]`,
  /// `[B, L]` int64; without an index, `K` is `L` and every token has its own.
  ///
  /// A canvas knows two values per sample, that of its known and that of its free tokens, so the
  /// timestep's network runs on two rows and not on every token.
  case perToken(values: Tensor, index: Tensor?)

  /// Takes one timestep per token, `[B, L]`.
  public static func dense(_ values: Tensor) -> Timesteps { .perToken(values: values, index: nil) }
}

/// What the timestep tells the blocks.
struct TimeEmbedding: Sendable {
  /// Of the head, `[B, K, D]`; `K` is 1 for a timestep per sample.
  let rows: Tensor
  /// Of the blocks, `[B, K, 6, D]`.
  let projection: Tensor
  /// Which of the `K` rows a token takes, `[B, L]` int64; `nil` if there is one, or one per token.
  let index: Tensor?
}

/// Embeds timesteps by a sinusoid and two small networks, in float32 whatever the compute type.
struct TimeEmbedder: Sendable {
  let frequencyCount: Int
  let first: Linear
  let second: Linear
  let projection: Linear

  // Takes the scope of the condition embedder, which the projection is a child of too.
  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let width = configuration.width
    frequencyCount = configuration.frequencyCount
    first = Linear(
      scope["time_embedder"]["linear_1"], inputs: frequencyCount, outputs: width,
      initializer: .normal(standardDeviation: 0.02), precision: .exact)
    second = Linear(
      scope["time_embedder"]["linear_2"], inputs: width, outputs: width,
      initializer: .normal(standardDeviation: 0.02), precision: .exact)
    projection = Linear(scope["time_proj"], inputs: width, outputs: 6 * width, precision: .exact)
  }

  func callAsFunction(_ timesteps: Timesteps) -> TimeEmbedding {
    switch timesteps {
    case .perSample(let values):
      return embedding(of: values.expandingDimension(at: 1), index: nil)
    case .perToken(let values, let index):
      return embedding(of: values, index: index?.cast(to: .int64))
    }
  }

  private func embedding(of values: Tensor, index: Tensor?) -> TimeEmbedding {
    let (batch, rows) = values.shape2
    let time = second(first(sinusoid(values)).silu())  // [B, K, D]
    let projected = projection(time.silu()).reshaped(to: batch, rows, 6, -1)
    return TimeEmbedding(rows: time, projection: projected, index: index)
  }

  /// Maps `[B, K]` to cosines, then sines, `[B, K, frequencyCount]`.
  func sinusoid(_ timesteps: Tensor) -> Tensor {
    let half = frequencyCount / 2
    let exponents = Tensor.range(0, Double(half)) * -log(10000.0) / Double(half)
    let angles =
      timesteps.cast(to: .float32).expandingDimension(at: -1)
      * exponents.exp().moved(to: timesteps.device)
    return concatenate([angles.cos(), angles.sin()], along: -1)
  }
}
