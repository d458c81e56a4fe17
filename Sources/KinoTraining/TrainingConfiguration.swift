public import Foundation
public import Kino
public import KinoModels
public import KinoTensor
public import KinoWorld
internal import Yams

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
  public enum Precision: String, Codable, Sendable {
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
  }

  /// Where samples come from.
  public struct DataSettings: Codable, Hashable, Sendable {
    /// How often a sample is a world clip, relative to ``folders``.
    public var world: Double
    /// Folders of real footage; for a transformer, with captions.
    public var folders: [Folder]
    /// The rate at which clips are seen.
    public var framesPerSecond: Double

    enum CodingKeys: String, CodingKey {
      case world, folders
      case framesPerSecond = "frames_per_second"
    }

    /// One folder of clips and pictures.
    public struct Folder: Codable, Hashable, Sendable {
      /// The folder; `~` is the home folder.
      public var path: String
      /// How often a sample comes from it, relative to the others.
      public var weight: Double
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
    /// A folder with an autoencoder of these sizes to start from, or with a smaller patch, which then
    /// starts as the same network on reduced pictures; `nil` starts anew.
    public var start: String?
    /// Whether the decoder alone learns, so that latents made before stay as they are.
    public var freezesEncoder: Bool?

    enum CodingKeys: String, CodingKey {
      case start
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
    case output, seed, steps, precision, device, optimizer, buckets, data, schedule, autoencoder,
      transformer, judge
  }
}

extension TrainingConfiguration {
  /// Reads a run's configuration.
  ///
  /// - Throws: ``TrainingError`` naming the key for a missing, unknown or impossible value.
  public init(contentsOf url: URL) throws {
    let text: String
    do {
      text = try String(contentsOf: url, encoding: .utf8)
    } catch {
      throw TrainingError(
        .invalidConfiguration,
        "\(url.path): expected a readable YAML file in UTF-8; check the path.")
    }
    if let alias = YAMLAlias(firstIn: text) {
      throw TrainingError(.invalidConfiguration, "\(url.path): \(alias)")
    }
    do {
      self = try YAMLDecoder().decode(Self.self, from: text)
      try Self.refuseUnknownKeys(in: text, known: try YAMLEncoder().encode(self), path: url.path)
    } catch let error as DecodingError {
      throw TrainingError(.invalidConfiguration, "\(url.path): \(error.explanation)")
    } catch let error as YamlError {
      throw TrainingError(.invalidConfiguration, "\(url.path): not valid YAML. \(error)")
    }
    try validate()
  }

  /// A misspelt key would otherwise be a setting silently left out.
  private static func refuseUnknownKeys(in text: String, known: String, path: String) throws {
    func keys(_ node: Node?, _ prefix: String) -> Set<String> {
      guard let mapping = node?.mapping else {
        return (node?.sequence).map {
          $0.reduce(into: []) { $0.formUnion(keys($1, prefix + "[].")) }
        } ?? []
      }
      return mapping.reduce(into: []) { found, pair in
        let key = prefix + (pair.key.string ?? "?")
        found.insert(key)
        found.formUnion(keys(pair.value, key + "."))
      }
    }
    let unknown = keys(try Yams.compose(yaml: text), "").subtracting(
      keys(try Yams.compose(yaml: known), ""))
    if let first = unknown.sorted().first {
      throw TrainingError(
        .invalidConfiguration,
        "\(path): unknown setting `\(first)`. See docs/training.md for the settings.")
    }
  }

  /// Throws ``TrainingError`` where a value is out of range or two contradict each other.
  public func validate() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.invalidConfiguration, "training configuration: \(text())") }
    }
    try require(
      [autoencoder != nil, transformer != nil, judge != nil].count { $0 } == 1,
      "expected one of `autoencoder`, `transformer` and `judge`")
    try require(
      device?.tensorDevice.isAvailable ?? true, "the device \(device?.rawValue ?? "") is not there")
    try require(steps > 0, "steps must be positive, found \(steps)")
    try require(!buckets.isEmpty, "expected at least one bucket")
    for bucket in buckets {
      try require(
        bucket.width % 32 == 0 && bucket.height % 32 == 0 && 32...2048 ~= bucket.width
          && 32...2048 ~= bucket.height,
        "bucket \(bucket.width)x\(bucket.height): expected multiples of 32 in 32...2048")
      try require(
        bucket.frames >= 1 && bucket.frames % 4 == 1,
        "bucket frames must be 4n + 1, found \(bucket.frames)")
      try require(
        bucket.batch >= 1 && bucket.weight >= 0,
        "bucket batch must be positive and weight not negative")
      try require((1...8).contains(bucket.zoom ?? 1), "bucket zoom must be in 1...8")
      let window = bucket.window ?? 32
      try require(
        window >= 32 && window % 32 == 0 && window <= min(bucket.width, bucket.height),
        "bucket window must be a multiple of 32, no larger than the bucket, found \(window)")
      try require(bucket.captions?.isEmpty != true, "bucket captions must name a length")
    }
    try require(
      buckets.contains { $0.weight > 0 && ($0.after ?? 0) <= 0 },
      "no bucket has a weight from the start")
    try require(
      data.world >= 0 && data.folders.allSatisfy { $0.weight >= 0 }
        && data.world + data.folders.reduce(0) { $0 + $1.weight } > 0,
      "expected data with a positive weight")
    try require(
      data.framesPerSecond > 0 && data.framesPerSecond <= 120,
      "frames_per_second must be in 0...120")
    try require(
      [optimizer.learningRate, optimizer.matrixRate ?? 0.5].allSatisfy { $0 > 0 && $0 < 1 },
      "learning_rate and matrix_rate must be in 0...1")
    try require(
      0..<1 ~= optimizer.averageDecay && 0...1 ~= optimizer.decayFraction,
      "average_decay and decay_fraction must be in 0...1")
    try require(
      schedule.checkpointMinutes > 0 && schedule.logSteps > 0,
      "checkpoint_minutes and log_steps must be positive")
    if let defaults = transformer?.defaults, let least = defaults.minimumSteps {
      try require(
        1...max(1, defaults.steps) ~= least,
        "minimum_steps must be in 1...\(defaults.steps), the default steps, found \(least)")
    }
    try require(
      [2, 4, 8].contains(autoencoder?.patch ?? 2),
      "an autoencoder's patch must be 2, 4 or 8, found \(autoencoder?.patch ?? 2)")
    try autoencoder?.model.validate()
    try judge?.validate(buckets)
    try require(
      [autoencoder?.movingWeight, autoencoder?.latentNoise].allSatisfy { 0...100 ~= $0 ?? 0 },
      "moving_weight and latent_noise must be in 0...100")
    if let transformer {
      try require(
        [transformer.objectWeight, transformer.motionWeight, transformer.truth?.weight]
          .allSatisfy { 0...100 ~= $0 ?? 0 },
        "object_weight, motion_weight and the truth's weight must be in 0...100")
      try require(
        0...1 ~= transformer.truth?.until ?? 1
          && 0...transformer.layers ~= transformer.truth?.block ?? 0,
        "the truth's until must be in 0...1 and its block in 0...\(transformer.layers)")
    }
    try require(
      autoencoder?.freezesEncoder != true || autoencoder?.start != nil,
      "a frozen_encoder needs a start")
  }

  /// ``output`` as a folder.
  public var outputFolder: URL {
    URL(fileURLWithPath: NSString(string: output).expandingTildeInPath)
  }
}

extension DecodingError {
  /// Names the key and what is wrong with it.
  var explanation: String {
    func place(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
      (context.codingPath + (last.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
    }
    switch self {
    case .keyNotFound(let key, let context):
      return "the setting `\(place(context, key))` is missing."
    case .typeMismatch(let type, let context): return "`\(place(context))`: expected \(type)."
    case .valueNotFound(let type, let context):
      return "`\(place(context))`: expected \(type), found nothing."
    case .dataCorrupted(let context): return "`\(place(context))`: \(context.debugDescription)"
    @unknown default: return "\(self)"
    }
  }
}
