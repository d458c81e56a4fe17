extension UMT5Encoder {
  /// Sizes of a text encoder, as in a transformers `config.json`.
  ///
  /// Decoding fills in transformers' defaults for keys that are absent and ignores keys it does not
  /// know.
  public struct Configuration: Codable, Hashable, Sendable {
    public var vocabularySize: Int
    public var width: Int
    /// Channels in a head; all heads together need not have the encoder's width.
    public var headDimension: Int
    public var feedForwardWidth: Int
    public var layerCount: Int
    public var headCount: Int
    public var bucketCount: Int
    /// Distances from here on share a bucket.
    public var maximumDistance: Int
    public var epsilon: Double
    public var feedForwardKind: String
    public var paddingID: Int
    public var endID: Int

    public init(
      vocabularySize: Int, width: Int, headDimension: Int = 64, feedForwardWidth: Int,
      layerCount: Int, headCount: Int, bucketCount: Int = 32, maximumDistance: Int = 128,
      epsilon: Double = 1e-6
    ) {
      self.vocabularySize = vocabularySize
      self.width = width
      self.headDimension = headDimension
      self.feedForwardWidth = feedForwardWidth
      self.layerCount = layerCount
      self.headCount = headCount
      self.bucketCount = bucketCount
      self.maximumDistance = maximumDistance
      self.epsilon = epsilon
      feedForwardKind = Self.supportedKind
      paddingID = 0
      endID = 1
    }

    static let supportedKind = "gated-gelu"

    /// Channels of all heads together.
    public var attentionWidth: Int { headCount * headDimension }
  }
}

// MARK: - Coding

extension UMT5Encoder.Configuration {
  private enum CodingKeys: String, CodingKey {
    case vocabularySize = "vocab_size"
    case width = "d_model"
    case headDimension = "d_kv"
    case feedForwardWidth = "d_ff"
    case layerCount = "num_layers"
    case headCount = "num_heads"
    case bucketCount = "relative_attention_num_buckets"
    case maximumDistance = "relative_attention_max_distance"
    case epsilon = "layer_norm_epsilon"
    case feedForwardKind = "feed_forward_proj"
    case paddingID = "pad_token_id"
    case endID = "eos_token_id"
  }

  /// What transformers needs to find the class.
  private enum ClassKeys: String, CodingKey {
    case architectures
    case modelType = "model_type"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, default standard: Value) throws -> Value {
      try values.contains(key) ? values.decode(Value.self, forKey: key) : standard
    }
    vocabularySize = try value(.vocabularySize, default: 250112)
    width = try value(.width, default: 512)
    headDimension = try value(.headDimension, default: 64)
    feedForwardWidth = try value(.feedForwardWidth, default: 1024)
    layerCount = try value(.layerCount, default: 8)
    headCount = try value(.headCount, default: 6)
    bucketCount = try value(.bucketCount, default: 32)
    maximumDistance = try value(.maximumDistance, default: 128)
    epsilon = try value(.epsilon, default: 1e-6)
    feedForwardKind = try value(.feedForwardKind, default: Self.supportedKind)
    paddingID = try value(.paddingID, default: 0)
    endID = try value(.endID, default: 1)
  }

  public func encode(to encoder: any Encoder) throws {
    var kind = encoder.container(keyedBy: ClassKeys.self)
    try kind.encode(["UMT5EncoderModel"], forKey: .architectures)
    try kind.encode("umt5", forKey: .modelType)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(vocabularySize, forKey: .vocabularySize)
    try values.encode(width, forKey: .width)
    try values.encode(headDimension, forKey: .headDimension)
    try values.encode(feedForwardWidth, forKey: .feedForwardWidth)
    try values.encode(layerCount, forKey: .layerCount)
    try values.encode(headCount, forKey: .headCount)
    try values.encode(bucketCount, forKey: .bucketCount)
    try values.encode(maximumDistance, forKey: .maximumDistance)
    try values.encode(epsilon, forKey: .epsilon)
    try values.encode(feedForwardKind, forKey: .feedForwardKind)
    try values.encode(paddingID, forKey: .paddingID)
    try values.encode(endID, forKey: .endID)
  }
}

// MARK: - Checks

extension UMT5Encoder.Configuration {
  /// Throws unless an encoder can be built from these sizes.
  public func validate() throws(ModelError) {
    let check = ConfigurationCheck(network: "text encoder")
    try check.require("vocab_size", vocabularySize, in: 1...1 << 24)
    try check.require("d_model", width, in: 1...1 << 17)
    try check.require("d_kv", headDimension, in: 1...1024)
    try check.require("d_ff", feedForwardWidth, in: 1...1 << 20)
    try check.require("num_layers", layerCount, in: 1...1024)
    try check.require("num_heads", headCount, in: 1...1024)
    try check.require("relative_attention_num_buckets", bucketCount, in: 4...1 << 16)
    try check.require("relative_attention_max_distance", maximumDistance, in: 2...1 << 24)
    try check.require("pad_token_id", paddingID, in: 0...vocabularySize - 1)
    try check.require("eos_token_id", endID, in: 0...vocabularySize - 1)
    try check.require("layer_norm_epsilon", epsilon: epsilon)
    if !bucketCount.isMultiple(of: 4) {
      throw check.invalid(
        "relative_attention_num_buckets is \(bucketCount), expected a multiple of 4")
    }
    if maximumDistance <= bucketCount / 4 {
      throw check.invalid(
        "relative_attention_max_distance is \(maximumDistance), expected more than a quarter of "
          + "relative_attention_num_buckets, \(bucketCount)")
    }
    if feedForwardKind != Self.supportedKind {
      throw check.unsupported(
        "feed_forward_proj is \(feedForwardKind), expected \(Self.supportedKind)")
    }
  }
}
