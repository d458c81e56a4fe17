internal import KinoDiffusion
public import KinoModels

extension TrainingConfiguration {
  /// How a transformer and its text encoder are shaped and fed.
  public struct TransformerSettings: Codable, Hashable, Sendable {
    /// Folder of the trained autoencoder: `config.json` and weights.
    public var autoencoder: String
    public var heads: Int
    public var headWidth: Int
    public var layers: Int
    public var feedForwardWidth: Int
    public var text: Text
    public var latents: Latents
    /// How often a sample's text is replaced by the empty one, for guidance.
    public var captionDropout: Double
    /// How often a caption is Russian, not English.
    public var russian: Double
    /// Shift of the noise schedule at `base_tokens`; it grows with the square root of the tokens.
    public var baseShift: Double
    public var baseTokens: Int
    /// What the finished model offers when not told otherwise.
    public var defaults: Defaults

    public struct Text: Codable, Hashable, Sendable {
      public var vocabulary: Int
      public var width: Int
      public var heads: Int
      public var headWidth: Int
      public var layers: Int
      public var feedForwardWidth: Int

      enum CodingKeys: String, CodingKey {
        case vocabulary, width, heads, layers
        case headWidth = "head_width"
        case feedForwardWidth = "feed_forward_width"
      }
    }

    /// Clips are encoded once and kept; each bucket's store grows as training goes on.
    public struct Latents: Codable, Hashable, Sendable {
      /// Encoded samples per bucket before the first step.
      public var initial: Int
      /// New samples per step in every bucket.
      public var perStep: Double
      /// The most samples per bucket.
      public var limit: Int

      enum CodingKeys: String, CodingKey {
        case initial, limit
        case perStep = "per_step"
      }

      /// Samples a bucket must hold at a step: a function of the step, so that resuming is exact.
      func count(at step: Int) -> Int { min(limit, initial + Int(Double(step) * perStep)) }
    }

    public struct Defaults: Codable, Hashable, Sendable {
      public var name: String
      public var width: Int
      public var height: Int
      public var frames: Int
      public var steps: Int
      public var guidance: Double
    }

    enum CodingKeys: String, CodingKey {
      case autoencoder, heads, layers, text, latents, russian, defaults
      case headWidth = "head_width"
      case feedForwardWidth = "feed_forward_width"
      case captionDropout = "caption_dropout"
      case baseShift = "base_shift"
      case baseTokens = "base_tokens"
    }

    /// The transformer over latents of `channels`.
    public func model(channels: Int) -> DiffusionTransformer.Configuration {
      DiffusionTransformer.Configuration(
        headCount: heads, headDimension: headWidth, inputChannels: channels, textWidth: text.width,
        feedForwardWidth: feedForwardWidth, layerCount: layers)
    }

    /// The text encoder over `vocabulary` pieces, as many as the trained tokenizer has.
    public func textModel(vocabulary: Int) -> UMT5Encoder.Configuration {
      UMT5Encoder.Configuration(
        vocabularySize: vocabulary, width: text.width, headDimension: text.headWidth,
        feedForwardWidth: text.feedForwardWidth, layerCount: text.layers, headCount: text.heads)
    }

    var shift: ResolutionShift {
      get throws { try ResolutionShift(base: baseShift, baseTokens: baseTokens) }
    }
  }
}
