extension DiffusionTransformer {
  /// Sizes of a transformer, as in a diffusers `config.json`.
  ///
  /// Decoding fills in diffusers' defaults for keys that are absent and ignores keys it does not
  /// know; encoding writes every key.
  public struct Configuration: Codable, Hashable, Sendable {
    /// Latent frames, rows and columns in one token.
    public var patchSize: [Int]
    /// Attention heads of every block.
    public var headCount: Int
    /// Channels in a head; even.
    public var headDimension: Int
    /// Channels of the latents that come in.
    public var inputChannels: Int
    /// Channels of the velocity.
    public var outputChannels: Int
    /// Width of the text encoder's hidden states.
    public var textWidth: Int
    /// Numbers in the sinusoid of a timestep.
    public var frequencyCount: Int
    /// Width of the feed-forward networks' hidden layer.
    public var feedForwardWidth: Int
    /// Number of blocks.
    public var layerCount: Int
    /// Whether a norm with a gain and a bias precedes the cross-attention.
    public var normalizesCrossAttention: Bool
    /// The kind of norm of queries and keys; only `rms_norm_across_heads` is supported.
    public var queryKeyNorm: String?
    /// What keeps the norms from dividing by zero.
    public var epsilon: Double
    /// Width of an image encoder's states, for models that attend to pictures as to text; `nil`: none.
    public var imageWidth: Int?
    /// Width of the tokens of pictures, ``width`` where there is an image encoder.
    public var addedKeyWidth: Int?
    /// States of the first and the last picture together, which have positions of their own; `nil`: none.
    public var positionEmbeddingLength: Int?
    /// The longest axis, in tokens, of diffusers' rotary table; Kino's has no limit.
    public var rotaryLimit: Int

    /// Describes a text-conditioned transformer of the Wan 2.x kind.
    public init(
      patchSize: [Int] = [1, 2, 2], headCount: Int, headDimension: Int, inputChannels: Int,
      outputChannels: Int? = nil, textWidth: Int, frequencyCount: Int = 256,
      feedForwardWidth: Int, layerCount: Int, normalizesCrossAttention: Bool = true,
      epsilon: Double = 1e-6, imageWidth: Int? = nil, positionEmbeddingLength: Int? = nil
    ) {
      self.patchSize = patchSize
      self.headCount = headCount
      self.headDimension = headDimension
      self.inputChannels = inputChannels
      self.outputChannels = outputChannels ?? inputChannels
      self.textWidth = textWidth
      self.frequencyCount = frequencyCount
      self.feedForwardWidth = feedForwardWidth
      self.layerCount = layerCount
      self.normalizesCrossAttention = normalizesCrossAttention
      self.epsilon = epsilon
      self.imageWidth = imageWidth
      self.positionEmbeddingLength = positionEmbeddingLength
      addedKeyWidth = imageWidth == nil ? nil : headCount * headDimension
      queryKeyNorm = Self.supportedNorm
      rotaryLimit = 1024
    }

    static let supportedNorm = "rms_norm_across_heads"

    /// The width of a token.
    public var width: Int { headCount * headDimension }

    /// Latent positions in one token.
    public var patchVolume: Int { patchSize.reduce(1, *) }
  }
}

// MARK: - Coding

extension DiffusionTransformer.Configuration {
  private enum CodingKeys: String, CodingKey {
    case patchSize = "patch_size"
    case headCount = "num_attention_heads"
    case headDimension = "attention_head_dim"
    case inputChannels = "in_channels"
    case outputChannels = "out_channels"
    case textWidth = "text_dim"
    case frequencyCount = "freq_dim"
    case feedForwardWidth = "ffn_dim"
    case layerCount = "num_layers"
    case normalizesCrossAttention = "cross_attn_norm"
    case queryKeyNorm = "qk_norm"
    case epsilon = "eps"
    case imageWidth = "image_dim"
    case addedKeyWidth = "added_kv_proj_dim"
    case positionEmbeddingLength = "pos_embed_seq_len"
    case rotaryLimit = "rope_max_seq_len"
  }

  /// Decodes a diffusers `config.json`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, default standard: Value) throws -> Value {
      try values.contains(key) ? values.decode(Value.self, forKey: key) : standard
    }
    patchSize = try value(.patchSize, default: [1, 2, 2])
    headCount = try value(.headCount, default: 40)
    headDimension = try value(.headDimension, default: 128)
    inputChannels = try value(.inputChannels, default: 16)
    outputChannels = try value(.outputChannels, default: Int?.some(16)) ?? inputChannels
    textWidth = try value(.textWidth, default: 4096)
    frequencyCount = try value(.frequencyCount, default: 256)
    feedForwardWidth = try value(.feedForwardWidth, default: 13824)
    layerCount = try value(.layerCount, default: 40)
    normalizesCrossAttention = try value(.normalizesCrossAttention, default: true)
    queryKeyNorm = try value(.queryKeyNorm, default: String?.some(Self.supportedNorm))
    epsilon = try value(.epsilon, default: 1e-6)
    imageWidth = try values.decodeIfPresent(Int.self, forKey: .imageWidth)
    addedKeyWidth = try values.decodeIfPresent(Int.self, forKey: .addedKeyWidth)
    positionEmbeddingLength = try values.decodeIfPresent(Int.self, forKey: .positionEmbeddingLength)
    rotaryLimit = try value(.rotaryLimit, default: 1024)
  }

  /// Encodes every key, resolved.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(patchSize, forKey: .patchSize)
    try values.encode(headCount, forKey: .headCount)
    try values.encode(headDimension, forKey: .headDimension)
    try values.encode(inputChannels, forKey: .inputChannels)
    try values.encode(outputChannels, forKey: .outputChannels)
    try values.encode(textWidth, forKey: .textWidth)
    try values.encode(frequencyCount, forKey: .frequencyCount)
    try values.encode(feedForwardWidth, forKey: .feedForwardWidth)
    try values.encode(layerCount, forKey: .layerCount)
    try values.encode(normalizesCrossAttention, forKey: .normalizesCrossAttention)
    // An absent key would mean diffusers' default; these must be written even when they are null.
    try values.encode(queryKeyNorm, forKey: .queryKeyNorm)
    try values.encode(epsilon, forKey: .epsilon)
    try values.encode(imageWidth, forKey: .imageWidth)
    try values.encode(addedKeyWidth, forKey: .addedKeyWidth)
    try values.encode(positionEmbeddingLength, forKey: .positionEmbeddingLength)
    try values.encode(rotaryLimit, forKey: .rotaryLimit)
  }
}

// MARK: - Checks

extension DiffusionTransformer.Configuration {
  /// Throws unless a transformer can be built from these sizes.
  public func validate() throws(ModelError) {
    let check = ConfigurationCheck(network: "transformer")
    if patchSize.count != 3 || !patchSize.allSatisfy({ (1...64).contains($0) }) {
      throw check.invalid("patch_size is \(patchSize), expected three numbers in 1...64")
    }
    try check.require("num_attention_heads", headCount, in: 1...1024)
    try check.require("attention_head_dim", headDimension, in: 2...1024)
    try check.require("in_channels", inputChannels, in: 1...4096)
    try check.require("out_channels", outputChannels, in: 1...4096)
    try check.require("text_dim", textWidth, in: 1...1 << 17)
    try check.require("freq_dim", frequencyCount, in: 2...1 << 14)
    try check.require("ffn_dim", feedForwardWidth, in: 1...1 << 20)
    try check.require("num_layers", layerCount, in: 1...1024)
    try check.require("eps", epsilon: epsilon)
    for (key, value) in [("attention_head_dim", headDimension), ("freq_dim", frequencyCount)]
    where !value.isMultiple(of: 2) {
      throw check.invalid("\(key) is \(value), expected an even number")
    }
    if queryKeyNorm != Self.supportedNorm {
      throw check.unsupported(
        "qk_norm is \(queryKeyNorm ?? "null"), expected \(Self.supportedNorm)")
    }
    try validateImages(check)
  }

  private func validateImages(_ check: ConfigurationCheck) throws(ModelError) {
    let expected = imageWidth == nil ? nil : width
    if addedKeyWidth != expected {
      throw check.invalid(
        "added_kv_proj_dim is \(addedKeyWidth.map(String.init) ?? "null"), expected "
          + (expected.map { "\($0), the width" } ?? "null, as image_dim is"))
    }
    if let imageWidth { try check.require("image_dim", imageWidth, in: 1...1 << 17) }
    if let positionEmbeddingLength {
      try check.require("pos_embed_seq_len", positionEmbeddingLength, in: 1...1 << 17)
      if imageWidth == nil {
        throw check.invalid("pos_embed_seq_len is \(positionEmbeddingLength), image_dim is null")
      }
    }
  }
}
