extension ImageEncoder {
  /// Sizes of an image encoder, as in a transformers `config.json`.
  ///
  /// Decoding fills in transformers' defaults for keys that are absent and ignores keys it does not
  /// know.
  public struct Configuration: Codable, Hashable, Sendable {
    /// Width of the states.
    public var width: Int
    /// Width of the feed-forward networks' hidden layer.
    public var feedForwardWidth: Int
    /// Number of blocks, the last of which is not computed.
    public var layerCount: Int
    /// Attention heads of every block.
    public var headCount: Int
    /// Pixels per side of a picture.
    public var imageSize: Int
    /// Pixels per side of a patch.
    public var patchSize: Int
    /// What keeps the norms from dividing by zero.
    public var epsilon: Double
    /// The function of the feed-forward networks; only `gelu` is supported.
    public var activation: String

    /// Describes an encoder of the CLIP kind.
    public init(
      width: Int, feedForwardWidth: Int, layerCount: Int, headCount: Int, imageSize: Int = 224,
      patchSize: Int = 14, epsilon: Double = 1e-5
    ) {
      self.width = width
      self.feedForwardWidth = feedForwardWidth
      self.layerCount = layerCount
      self.headCount = headCount
      self.imageSize = imageSize
      self.patchSize = patchSize
      self.epsilon = epsilon
      activation = Self.supportedActivation
    }

    static let supportedActivation = "gelu"

    /// One state for the picture and one per patch.
    public var tokenCount: Int { (imageSize / patchSize) * (imageSize / patchSize) + 1 }
  }
}

extension ImageEncoder.Configuration {
  private enum CodingKeys: String, CodingKey {
    case width = "hidden_size"
    case feedForwardWidth = "intermediate_size"
    case layerCount = "num_hidden_layers"
    case headCount = "num_attention_heads"
    case imageSize = "image_size"
    case patchSize = "patch_size"
    case epsilon = "layer_norm_eps"
    case activation = "hidden_act"
  }

  /// Decodes a transformers `config.json`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, default standard: Value) throws -> Value {
      try values.contains(key) ? values.decode(Value.self, forKey: key) : standard
    }
    width = try value(.width, default: 768)
    feedForwardWidth = try value(.feedForwardWidth, default: 3072)
    layerCount = try value(.layerCount, default: 12)
    headCount = try value(.headCount, default: 12)
    imageSize = try value(.imageSize, default: 224)
    patchSize = try value(.patchSize, default: 32)
    epsilon = try value(.epsilon, default: 1e-5)
    activation = try value(.activation, default: "quick_gelu")
  }

  /// Throws unless an encoder can be built from these sizes.
  public func validate() throws(ModelError) {
    let check = ConfigurationCheck(network: "image encoder")
    try check.require("hidden_size", width, in: 1...1 << 17)
    try check.require("intermediate_size", feedForwardWidth, in: 1...1 << 20)
    try check.require("num_hidden_layers", layerCount, in: 1...1024)
    try check.require("num_attention_heads", headCount, in: 1...1024)
    try check.require("image_size", imageSize, in: 1...8192)
    try check.require("patch_size", patchSize, in: 1...imageSize)
    try check.require("layer_norm_eps", epsilon: epsilon)
    if !width.isMultiple(of: headCount) {
      throw check.invalid("hidden_size is \(width), expected a multiple of \(headCount) heads")
    }
    if activation != Self.supportedActivation {
      throw check.unsupported("hidden_act is \(activation), expected \(Self.supportedActivation)")
    }
  }
}
