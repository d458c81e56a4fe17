internal import Foundation
public import KinoNN
public import KinoTensor

/// Turns token identifiers into hidden states that say what each token means in its text.
///
/// The encoder of UMT5 (Chung et al., arXiv:2304.09151): T5 with a relative-position bias of its own
/// in every layer. Parameters have the keys of transformers (`UMT5EncoderModel`). The residual
/// stream, the norms and the position bias are float32 whatever the compute type.
public struct UMT5Encoder: Sendable {
  /// The sizes it was built with.
  public let configuration: Configuration
  let embedding: Embedding
  let blocks: [UMT5Block]
  let norm: RMSNorm

  /// Takes the parameters from `scope`; the configuration must be valid.
  public init(_ scope: ParameterScope, configuration: Configuration) {
    self.configuration = configuration
    embedding = Embedding(
      scope["shared"], entries: configuration.vocabularySize, width: configuration.width)
    blocks = (0..<configuration.layerCount).map {
      UMT5Block(scope["encoder"]["block"][$0]["layer"], configuration: configuration)
    }
    norm = RMSNorm(
      scope["encoder"]["final_layer_norm"], width: configuration.width,
      epsilon: configuration.epsilon)
  }

  /// Encodes texts padded on the right to one length.
  ///
  /// - Parameters:
  ///   - inputIDs: Identifiers `[B, S]`, int64, below the vocabulary's size.
  ///   - mask: Which of them are text, `[B, S]`: 1 or true, and 0 or false for padding, which no
  ///     token attends to. The rows of padding are computed all the same; their values mean nothing.
  ///   - computeType: The type of the products, float32 or bfloat16.
  /// - Returns: Hidden states `[B, S, width]`, float32.
  public func callAsFunction(
    inputIDs: Tensor, mask: Tensor, computeType: DType = .float32
  ) -> Tensor {
    let (_, length) = inputIDs.shape2
    let positions = RelativePositions(length: length, configuration: configuration)
      .indices.moved(to: inputIDs.device)
    // Finite, so that a text without any token gives numbers.
    let maskBias = (mask.cast(to: .float32) - 1) * 30000
    let bias = maskBias.expandingDimension(at: 1).expandingDimension(at: 1)  // [B, 1, 1, S]
    var x = embedding(inputIDs).cast(to: .float32)
    for block in blocks {
      x = block(x, positions: positions, maskBias: bias, computeType: computeType)
    }
    return norm(x)
  }
}

// MARK: - Keys

extension UMT5Encoder {
  /// The embedding's key in checkpoints that hold it under the encoder's own name.
  static let keyAliases = ["encoder.embed_tokens.weight": "shared.weight"]

  /// Maps the keys of the model to those of a checkpoint.
  ///
  /// The embedding may be stored under either name, or both. Build a `ParameterRegistry` from the
  /// keys of the result, and look tensors up by its values.
  public static func storedKeys(of names: some Sequence<String>) -> [String: String] {
    let names = Set(names)
    var stored = Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })
    for (alias, key) in keyAliases where names.contains(alias) {
      stored[alias] = nil
      if !names.contains(key) { stored[key] = alias }
    }
    return stored
  }
}

// MARK: - Parts

/// Which bucket the distance between each two tokens falls into.
struct RelativePositions {
  /// `[S, S]` int64: of queries and keys.
  let indices: Tensor

  init(length: Int, configuration: UMT5Encoder.Configuration) {
    let buckets = (1 - length..<max(length, 1)).map {
      Int64(Self.bucket($0, configuration: configuration))
    }
    let rows = (0..<length).flatMap { query in
      buckets[length - 1 - query..<2 * length - 1 - query]
    }
    indices = Tensor(rows, shape: [length, length])
  }

  /// The bucket of a key `distance` tokens after the query: one for each small distance, then
  /// logarithmically wider ones, the same again for keys after the query.
  static func bucket(_ distance: Int, configuration: UMT5Encoder.Configuration) -> Int {
    let half = configuration.bucketCount / 2
    let exact = half / 2
    let side = distance > 0 ? half : 0
    let magnitude = abs(distance)
    if magnitude < exact { return side + magnitude }
    // In single precision, as the published models were trained: boundaries depend on it.
    let span = Float(log(Double(configuration.maximumDistance) / Double(exact)))
    let position = log(Float(magnitude) / Float(exact)) / span * Float(half - exact)
    return side + min(half - 1, exact + Int(position))
  }
}

/// Attention among the tokens of a text, with logits that are not scaled.
struct UMT5Attention: Sendable {
  let headCount: Int
  let queries: Linear
  let keys: Linear
  let values: Linear
  let output: Linear
  let positionBias: Tensor  // [buckets, heads]

  init(_ scope: ParameterScope, configuration: UMT5Encoder.Configuration) {
    let (width, inner) = (configuration.width, configuration.attentionWidth)
    func linear(_ name: String, _ inputs: Int, _ outputs: Int, variance: Int) -> Linear {
      Linear(scope[name], inputs: inputs, outputs: outputs, variance: variance)
    }
    headCount = configuration.headCount
    // The scale that the logits lack is part of the queries.
    queries = linear("q", width, inner, variance: width * configuration.headDimension)
    keys = linear("k", width, inner, variance: width)
    values = linear("v", width, inner, variance: width)
    output = linear("o", inner, width, variance: inner)
    positionBias = scope["relative_attention_bias"].parameter(
      "weight", shape: [configuration.bucketCount, headCount],
      initializer: .normal(standardDeviation: 1 / Double(width).squareRoot()), precision: .exact)
  }

  /// Maps `[B, S, width]` to the same shape and type.
  func callAsFunction(_ x: Tensor, positions: Tensor, maskBias: Tensor) -> Tensor {
    let (batch, length, _) = x.shape3
    func heads(_ x: Tensor) -> Tensor {
      x.reshaped(to: batch, length, headCount, -1).transposed(1, 2)
    }
    let bias =
      positionBias.embedded(positions).permuted(2, 0, 1).expandingDimension(at: 0) + maskBias
    let attended = scaledDotProductAttention(
      queries: heads(queries(x)), keys: heads(keys(x)), values: heads(values(x)),
      bias: bias.cast(to: x.dtype), scale: 1)
    return output(attended.transposed(1, 2).reshaped(to: batch, length, -1))
  }
}

/// A feed-forward network whose hidden layer is gated.
struct GatedFeedForward: Sendable {
  let gate: Linear
  let expansion: Linear
  let contraction: Linear

  init(_ scope: ParameterScope, configuration: UMT5Encoder.Configuration) {
    let (width, hidden) = (configuration.width, configuration.feedForwardWidth)
    gate = Linear(scope["wi_0"], inputs: width, outputs: hidden, variance: width)
    expansion = Linear(scope["wi_1"], inputs: width, outputs: hidden, variance: width)
    contraction = Linear(scope["wo"], inputs: hidden, outputs: width, variance: hidden)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { contraction(gate(x).geluTanh() * expansion(x)) }
}

/// One encoder block: attention, then a feed-forward network.
struct UMT5Block: Sendable {
  let attentionNorm: RMSNorm
  let attention: UMT5Attention
  let feedForwardNorm: RMSNorm
  let feedForward: GatedFeedForward

  init(_ scope: ParameterScope, configuration: UMT5Encoder.Configuration) {
    let (width, epsilon) = (configuration.width, configuration.epsilon)
    attentionNorm = RMSNorm(scope[0]["layer_norm"], width: width, epsilon: epsilon)
    attention = UMT5Attention(scope[0]["SelfAttention"], configuration: configuration)
    feedForwardNorm = RMSNorm(scope[1]["layer_norm"], width: width, epsilon: epsilon)
    feedForward = GatedFeedForward(scope[1]["DenseReluDense"], configuration: configuration)
  }

  /// Maps the residual stream `[B, S, width]`, float32.
  func callAsFunction(
    _ residual: Tensor, positions: Tensor, maskBias: Tensor, computeType: DType
  ) -> Tensor {
    var x = residual
    let query = attentionNorm(x).cast(to: computeType)
    x = x + attention(query, positions: positions, maskBias: maskBias)
    return x + feedForward(feedForwardNorm(x).cast(to: computeType))
  }
}

extension Linear {
  /// Makes a layer without a bias that starts with weights of standard deviation
  /// `1 / sqrt(variance)`.
  fileprivate init(_ scope: ParameterScope, inputs: Int, outputs: Int, variance: Int) {
    self.init(
      scope, inputs: inputs, outputs: outputs, bias: false,
      initializer: .normal(standardDeviation: 1 / Double(variance).squareRoot()), isLarge: true)
  }
}
