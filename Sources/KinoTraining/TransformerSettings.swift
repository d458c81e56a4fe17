internal import KinoDiffusion
public import KinoModels

extension TrainingConfiguration {
  /// How a transformer and its text encoder are shaped and fed.
  public struct TransformerSettings: Codable, Hashable, Sendable {
    /// Folder of the trained autoencoder: `config.json` and weights.
    public var autoencoder: String
    /// A model folder whose transformer, text encoder and tokenizer, of these sizes, training starts
    /// from; `nil` starts anew.
    public var start: String?
    /// Trains adapters beside the start model's weights, which stay; `nil` trains the networks.
    public var lora: LoRA?
    /// Whether the start model's text encoder stays as it is, as it does beside adapters; `nil`: it learns.
    public var freezesText: Bool?
    /// Attention heads.
    public var heads: Int
    /// Channels per head; even.
    public var headWidth: Int
    /// Blocks.
    public var layers: Int
    /// Width of the hidden layer of a block's feed-forward network.
    public var feedForwardWidth: Int
    /// Latent rows and columns in a token; `nil` is 2, as in published models.
    public var patch: Int?
    /// Whether the backward pass computes the blocks again instead of keeping what they computed: less
    /// memory, a third more work. `nil` keeps it.
    public var recompute: Bool?
    /// The text encoder.
    public var text: Text
    /// How many clips are encoded, and when.
    public var latents: Latents
    /// How often a sample's text is replaced by the empty one, for guidance.
    public var captionDropout: Double
    /// How often a caption is Russian, not English.
    public var russian: Double
    /// Shift of the noise schedule at `base_tokens`; it grows with the square root of the tokens.
    public var baseShift: Double
    /// Tokens at which the shift is `base_shift`.
    public var baseTokens: Int
    /// How much more the errors of tokens that show an object count, beside the 1 of all others; `nil`: 0.
    /// Objects cover a tenth of a scene, and the background would own the loss.
    public var objectWeight: Double?
    /// The same for tokens whose object moves; `nil`: 0.
    public var motionWeight: Double?
    /// What a middle block must know of the scene; `nil`: nothing.
    public var truth: Truth?
    /// What the finished model offers when not told otherwise.
    public var defaults: Defaults

    /// Adapters of low rank (arXiv:2106.09685).
    public struct LoRA: Codable, Hashable, Sendable {
      /// Rows of the smaller matrices, in `1...1024`.
      public var rank: Int
      /// The change is multiplied by alpha over the rank.
      public var alpha: Double
      /// Layers that get an adapter, by the end of their names, such as `to_q` or `ffn.net.2`.
      public var targets: [String]
    }

    /// A loss on what the renderer knows of each token: outlines, normals, shapes, colours, finishes and
    /// motion are predicted from the tokens after a block.
    public struct Truth: Codable, Hashable, Sendable {
      /// Its weight beside the velocity's at the first step, from where it falls linearly.
      public var weight: Double
      /// The share of the steps after which the weight is zero, in `0...1`; 1 ends with the run.
      public var until: Double
      /// Blocks before the tokens are taken.
      public var block: Int

      /// The weight at a step, counted from 1.
      func weight(at step: Int, of steps: Int) -> Double {
        weight * max(0, 1 - Double(step) / max(1, until * Double(steps)))
      }
    }

    /// The shape of the text encoder.
    public struct Text: Codable, Hashable, Sendable {
      /// Pieces of the tokenizer, which is trained on captions.
      public var vocabulary: Int
      /// Width of its states.
      public var width: Int
      /// Attention heads.
      public var heads: Int
      /// Channels per head.
      public var headWidth: Int
      /// Blocks.
      public var layers: Int
      /// Width of the hidden layer of a block's feed-forward network.
      public var feedForwardWidth: Int

      enum CodingKeys: String, CodingKey {
        case vocabulary, width, heads, layers
        case headWidth = "head_width"
        case feedForwardWidth = "feed_forward_width"
      }
    }

    /// Clips are encoded once and kept; each size's store grows as training goes on. All counts are of
    /// latent frames, which cost alike in pictures and in clips.
    public struct Latents: Codable, Hashable, Sendable {
      /// Latent frames in the store of a size before its first step.
      public var initial: Int
      /// New latent frames per step in the store of every size in use.
      public var perStep: Double
      /// The most latent frames per store.
      public var limit: Int

      enum CodingKeys: String, CodingKey {
        case initial, limit
        case perStep = "per_step"
      }

      /// Samples of `frames` latent frames that a store must hold, at least one, `step` steps after its
      /// first and `most` at most: a function of the step, so that resuming is exact.
      func count(at step: Int, frames: Int, atMost most: Int? = nil) -> Int {
        let count = max(1, min(limit, initial + Int(Double(step) * perStep)) / frames)
        return min(count, most ?? count)
      }
    }

    /// What the finished model offers when not told otherwise.
    public struct Defaults: Codable, Hashable, Sendable {
      /// The model's name.
      public var name: String
      /// Pixels.
      public var width: Int
      /// Pixels.
      public var height: Int
      /// Pixel frames.
      public var frames: Int
      /// Sampling steps.
      public var steps: Int
      /// Guidance scale.
      public var guidance: Double
      /// Fewer sampling steps give a warning; `nil`: any number will do.
      public var minimumSteps: Int?

      enum CodingKeys: String, CodingKey {
        case name, width, height, frames, steps, guidance
        case minimumSteps = "minimum_steps"
      }
    }

    enum CodingKeys: String, CodingKey {
      case autoencoder, start, heads, layers, patch, recompute, text, latents, russian, truth
      case defaults, lora
      case freezesText = "frozen_text"
      case objectWeight = "object_weight"
      case motionWeight = "motion_weight"
      case headWidth = "head_width"
      case feedForwardWidth = "feed_forward_width"
      case captionDropout = "caption_dropout"
      case baseShift = "base_shift"
      case baseTokens = "base_tokens"
    }

    /// The transformer over latents of `channels`.
    public func model(channels: Int) -> DiffusionTransformer.Configuration {
      DiffusionTransformer.Configuration(
        patchSize: [1, patch ?? 2, patch ?? 2], headCount: heads, headDimension: headWidth,
        inputChannels: channels, textWidth: text.width,
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
