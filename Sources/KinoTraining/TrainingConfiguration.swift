public import Kino
public import KinoModels
public import KinoTensor
public import KinoWorld

/// Everything a training run is made of, as `kino train` reads it from YAML.
public struct TrainingConfiguration: Codable, Hashable, Sendable {
  /// Folder of checkpoints, logs and samples; `~` is the home folder.
  public var output: String
  /// Starts every draw: parameters, data, noise.
  public var seed: UInt64
  /// Steps in all; a resumed run goes on to this number.
  public var steps: Int
  /// The type of the networks' products; parameters stay float32.
  public var precision: Precision
  /// Where the networks compute; `nil`: the processor. Scenes are always drawn by the processor.
  public var device: ComputeDevice?
  /// Parts that a transformer's batch is computed in, one after another: the memory of a part, the result of
  /// the whole; `nil`: 1.
  public var accumulate: Int?
  /// How parameters are updated.
  public var optimizer: OptimizerSettings
  /// Shapes of batches, drawn by weight.
  public var buckets: [Bucket]
  /// Where samples come from.
  public var data: DataSettings
  /// When to log, check and save.
  public var schedule: Housekeeping
  /// Trains an autoencoder.
  public var autoencoder: AutoencoderSettings?
  /// Trains a transformer with its text encoder.
  public var transformer: TransformerSettings?
  /// Trains a judge.
  public var judge: JudgeSettings?

  /// The type of the networks' products.
  public enum Precision: String, Codable, CaseIterable, Sendable {
    case float32, bfloat16
    /// bfloat16 where that is faster: on graphics processors, and on processors with instructions for it.
    case fastest
  }

  /// The tensor element type of the networks' products, on this machine.
  public var computeType: DType {
    switch precision {
    case .float32: .float32
    case .bfloat16: .bfloat16
    case .fastest: device ?? .cpu != .cpu || Engine.prefersBFloat16 ? .bfloat16 : .float32
    }
  }

  /// AdamW, or Muon for matrices beside it, with warm-up, clipping and averaged parameters.
  public struct OptimizerSettings: Codable, Hashable, Sendable {
    /// The highest rate.
    public var learningRate: Double
    /// The highest rate of matrices and kernels, which Muon then moves; `nil`: AdamW moves all.
    public var matrixRate: Double?
    /// Steps over which the rate rises from zero.
    public var warmupSteps: Int
    /// The last part of the steps over which the rate falls linearly to zero, in `0...1`.
    public var decayFraction: Double
    /// Decay of matrices and kernels per step, times the rate; vectors do not decay.
    public var weightDecay: Double
    /// Weight of the past in the second moment.
    public var beta2: Double
    /// Gradients of a larger norm are scaled down to it.
    public var clipNorm: Double
    /// Weight of the past in the averaged parameters.
    public var averageDecay: Double

    enum CodingKeys: String, CodingKey {
      case learningRate = "learning_rate"
      case matrixRate = "matrix_rate"
      case warmupSteps = "warmup_steps"
      case decayFraction = "decay_fraction"
      case weightDecay = "weight_decay"
      case beta2
      case clipNorm = "clip_norm"
      case averageDecay = "average_decay"
    }

    /// The learning rate of a step, counted from 1.
    public func rate(step: Int, of steps: Int) -> Double {
      learningRate * scale(step: step, of: steps)
    }

    /// The share of the highest rates that a step has, in `0...1`.
    func scale(step: Int, of steps: Int) -> Double {
      let warm = min(1, Double(step) / Double(max(1, warmupSteps)))
      let tail = Double(steps) * decayFraction
      let left = Double(steps - step) / max(1, tail)
      return warm * min(1, max(0, left))
    }
  }

  /// One shape of batch.
  public struct Bucket: Codable, Hashable, Sendable {
    /// Pixels; a multiple of 32.
    public var width: Int
    /// Pixels; a multiple of 32.
    public var height: Int
    /// Pixel frames, `4n + 1`; 1 is a picture.
    public var frames: Int
    /// Samples per step.
    public var batch: Int
    /// How often it is drawn, relative to the others.
    public var weight: Double
    /// Steps done before it is drawn; `nil`: from the start.
    public var after: Int?
    /// World clips are rendered this many times larger and cut out; 1 shows whole scenes.
    public var zoom: Double?
    /// Lengths of scenes' captions, each as often; `nil`: all. Short ones are learnt from first.
    public var captions: [CaptionLength]?
    /// For a transformer: pixels along the sides of a square around an object, which then stands for the
    /// whole; a multiple of 32. `nil` shows the whole. A quarter of the tokens, most of them of objects,
    /// teaches what things look like at a quarter of the cost.
    public var window: Int?
    /// For a transformer: different samples of this shape at most; `nil`: as many as its `latents` say. A shape
    /// that is rarely drawn need not be made as often as the others.
    public var samples: Int?
  }

  /// Where samples come from.
  public struct DataSettings: Codable, Hashable, Sendable {
    /// How often a sample is a world clip, relative to ``folders``.
    public var world: Double
    /// Folders of real footage; for a transformer, with captions.
    public var folders: [Folder]
    /// The rate at which clips are seen.
    public var framesPerSecond: Double
    /// The share of a transformer's world scenes with one object that are drawn again, so that more show
    /// several, in `0...1`; `nil`: none.
    public var crowding: Double?

    enum CodingKeys: String, CodingKey {
      case world, folders, crowding
      case framesPerSecond = "frames_per_second"
    }

    /// One folder of clips and pictures.
    public struct Folder: Codable, Hashable, Sendable {
      /// The folder; `~` is the home folder.
      public var path: String
      /// How often a sample comes from it, relative to the others.
      public var weight: Double
      /// Beside adapters: whether its clips show what must not change. What the start model makes of them
      /// is learnt, not what they show. `nil`: no.
      public var prior: Bool?
    }
  }

  /// When to write what.
  public struct Housekeeping: Codable, Hashable, Sendable {
    /// Minutes between checkpoints: the most that a kill can lose.
    public var checkpointMinutes: Double
    /// Steps between log lines.
    public var logSteps: Int
    /// Steps between figures on unseen data; 0 for never.
    public var heldOutSteps: Int
    /// Steps between sample sheets; 0 for never.
    public var sampleSteps: Int

    enum CodingKeys: String, CodingKey {
      case checkpointMinutes = "checkpoint_minutes"
      case logSteps = "log_steps"
      case heldOutSteps = "held_out_steps"
      case sampleSteps = "sample_steps"
    }
  }

  /// The shape and loss of an autoencoder.
  public struct AutoencoderSettings: Codable, Hashable, Sendable {
    /// Channels of the encoder's first level.
    public var baseWidth: Int
    /// Channels of the decoder's last level.
    public var decoderBaseWidth: Int
    /// Channels of a latent.
    public var latentChannels: Int
    /// Blocks per level.
    public var residualBlocks: Int
    /// Pixels per side folded into channels: 2, 4 or 8.
    public var patch: Int
    /// Weight of the squared error of pixels, beside the absolute one's 1.
    public var squaredWeight: Double
    /// Weight of errors in pixel differences.
    public var gradientWeight: Double
    /// Weight of the latents' divergence from the standard normal.
    public var divergenceWeight: Double
    /// How much more the errors of what moves count than those of what stands still; `nil`: alike.
    public var movingWeight: Double?
    /// The most noise added to half of the latents before decoding, in deviations of a channel; `nil`: none.
    /// A decoder that has seen some forgives a transformer's small mistakes.
    public var latentNoise: Double?
    /// How many steps in a row see the same clips, each time otherwise: mirrored, with other colours, backwards;
    /// `nil`: 1. Clips take long to draw, and a graphics processor would wait for them.
    public var showings: Int?
    /// A folder with an autoencoder of these sizes to start from, or with a smaller patch, which then
    /// starts as the same network on reduced pictures; `nil` starts anew.
    public var start: String?
    /// Whether the decoder alone learns, so that latents made before stay as they are.
    public var freezesEncoder: Bool?

    enum CodingKeys: String, CodingKey {
      case start, showings
      case movingWeight = "moving_weight"
      case latentNoise = "latent_noise"
      case freezesEncoder = "frozen_encoder"
      case baseWidth = "base_width"
      case decoderBaseWidth = "decoder_base_width"
      case latentChannels = "latent_channels"
      case residualBlocks = "residual_blocks"
      case patch
      case squaredWeight = "squared_weight"
      case gradientWeight = "gradient_weight"
      case divergenceWeight = "divergence_weight"
    }

    /// The network of these sizes.
    public var model: VideoAutoencoder.Configuration {
      VideoAutoencoder.Configuration(
        baseWidth: baseWidth, decoderBaseWidth: decoderBaseWidth, latentChannels: latentChannels,
        residualBlockCount: residualBlocks, patch: patch)
    }
  }

  enum CodingKeys: String, CodingKey {
    case output, seed, steps, precision, device, accumulate, optimizer, buckets, data, schedule,
      autoencoder,
      transformer, judge
  }
}
