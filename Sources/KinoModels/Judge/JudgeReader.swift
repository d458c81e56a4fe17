internal import KinoNN
internal import KinoTensor

/// Attention of tokens to cells or to each other, whose weights can be looked at.
struct JudgeAttention: Sendable {
  let headCount: Int
  let queries: Linear
  let keys: Linear
  let values: Linear
  let output: Linear

  init(_ scope: ParameterScope, width: Int, headCount: Int) {
    self.headCount = headCount
    queries = Linear(scope["to_q"], inputs: width, outputs: width)
    keys = Linear(scope["to_k"], inputs: width, outputs: width)
    values = Linear(scope["to_v"], inputs: width, outputs: width)
    output = Linear(scope["to_out"], inputs: width, outputs: width)
  }

  /// Maps tokens `[N, L, width]`, attending to `[N, S, width]`, to the same shape, with the mean of the heads'
  /// weights `[N, L, S]`.
  func callAsFunction(_ x: Tensor, over memory: Tensor) -> (result: Tensor, weights: Tensor) {
    let (count, length, width) = x.shape3
    func split(_ y: Tensor) -> Tensor {
      y.reshaped(to: count, y.size(1), headCount, width / headCount).transposed(1, 2)
    }
    let scale = 1 / Double(width / headCount).squareRoot()
    let logits = split(queries(x) * scale).matmul(split(keys(memory)).transposed(2, 3))
    let weights = logits.softmax(along: 3)
    let mixed = weights.matmul(split(values(memory))).transposed(1, 2)
    return (output(mixed.reshaped(to: count, length, width)), weights.mean(along: 1))
  }
}

/// Lets tokens look at their own frame's cells, then at each other through time, then think.
struct JudgeBlock: Sendable {
  let norms: [LayerNorm]
  let look: JudgeAttention
  let compare: JudgeAttention
  let up: Linear
  let down: Linear

  init(_ scope: ParameterScope, configuration: Judge.Configuration) {
    let width = configuration.width
    norms = (0..<3).map {
      LayerNorm(scope["norms"][$0], width: width, epsilon: 1e-5, isAffine: true)
    }
    look = JudgeAttention(scope["look"], width: width, headCount: configuration.headCount)
    compare = JudgeAttention(scope["compare"], width: width, headCount: configuration.headCount)
    up = Linear(scope["up"], inputs: width, outputs: width * 2)
    down = Linear(scope["down"], inputs: width * 2, outputs: width)
  }

  /// Maps tokens `[B, F, Q, width]`, given cells `[B, F, cells, width]`, to the same shape, with where they looked,
  /// `[B, F, Q, cells]`.
  func callAsFunction(_ tokens: Tensor, cells: Tensor) -> (tokens: Tensor, weights: Tensor) {
    let (batch, frames, count, width) = tokens.shape4
    var x = tokens.reshaped(to: batch * frames, count, width)
    let (seen, weights) = look(
      norms[0](x), over: cells.reshaped(to: batch * frames, cells.size(2), width))
    x = (x + seen).reshaped(to: batch, frames * count, width)
    let y = norms[1](x)
    x = x + compare(y, over: y).result
    x = x + down(up(norms[2](x)).geluTanh())
    return (
      x.reshaped(to: batch, frames, count, width),
      weights.reshaped(to: batch, frames, count, cells.size(2))
    )
  }
}

/// Turns features into the logits of answers.
struct JudgeHead: Sendable {
  let norm: LayerNorm
  let hidden: Linear
  let output: Linear

  init(_ scope: ParameterScope, width: Int, outputs: Int) {
    norm = LayerNorm(scope["norm"], width: width, epsilon: 1e-5, isAffine: true)
    hidden = Linear(scope["hidden"], inputs: width, outputs: width * 2)
    output = Linear(scope["output"], inputs: width * 2, outputs: outputs)
  }

  /// Maps `[..., width]` to `[..., outputs]`.
  func callAsFunction(_ x: Tensor) -> Tensor { output(hidden(norm(x)).geluTanh()) }
}
