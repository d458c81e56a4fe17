public import Foundation
internal import KinoDiffusion
public import KinoModels
public import KinoWeights

/// A model on disk: its configurations and where its weights are, none of them read yet.
public struct Model: Sendable {
  /// The name in `kino.json`, or that of the folder.
  public let name: String
  /// The folder, in diffusers' layout.
  public let folder: ModelFolder
  /// The content of `kino.json`.
  public let profile: ModelProfile
  /// The shape of the autoencoder.
  public let autoencoder: VideoAutoencoder.Configuration
  /// The shape of the transformer.
  public let transformer: DiffusionTransformer.Configuration
  /// The shape of the text encoder.
  public let textEncoder: UMT5Encoder.Configuration
  /// The weights of the three networks.
  public internal(set) var weights: Weights
  /// The sigma shift of the scheduler's configuration.
  public let flowShift: Double
  /// The adapters that have been added to the transformer, in order.
  public internal(set) var loras: [MergedLoRA] = []

  /// Where the numbers of the networks are.
  public struct Weights: Sendable {
    /// Of the autoencoder.
    public let autoencoder: WeightSet
    /// Of the transformer.
    public internal(set) var transformer: WeightSet
    /// Of the text encoder.
    public let textEncoder: WeightSet
  }

  /// Opens a model's folder and checks that its parts fit each other.
  ///
  /// The folders of its networks may hold weights of any form that `CheckpointForm` recognises.
  ///
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  public init(at url: URL) throws {
    folder = try ModelFolder(at: url)
    try Model.requireSupported(folder.index, at: url.path)
    profile = try Model.profile(in: url)
    name = profile.name ?? url.standardizedFileURL.lastPathComponent
    let (autoencoder, autoencoderWeights) = try folder.autoencoder()
    let (transformer, transformerWeights) = try folder.transformer()
    let (textEncoder, textEncoderWeights) = try folder.textEncoder()
    (self.autoencoder, self.transformer, self.textEncoder) = (autoencoder, transformer, textEncoder)
    try autoencoder.validate()
    try transformer.validate()
    try textEncoder.validate()
    flowShift = try Model.flowShift(in: folder)
    weights = Weights(
      autoencoder: autoencoderWeights, transformer: transformerWeights,
      textEncoder: textEncoderWeights)
    try requireFit()
  }

  /// Finds and opens a model.
  ///
  /// - Throws: ``StudioError`` if there is none, and as ``init(at:)``.
  public init(_ source: ModelSource) throws { try self.init(at: source.locate()) }

  /// Identifies the content of the folder; reads every byte of it.
  public func hash() throws -> WeightsHash { try weightsHash(folder.url) }

  // MARK: - Sizes

  /// Frames are generated at multiples of this in both directions.
  public var sizeMultiple: Int {
    let patch = max(transformer.patchSize[1], transformer.patchSize[2])
    let own = autoencoder.spatialScale * patch
    let asked = profile.sizeMultiple ?? own
    return (max(asked, own) + own - 1) / own * own
  }

  /// Text tokens that the transformer attends to, padding included.
  public static let textLength = 512

  /// What a request takes where it says nothing, complete.
  public var defaults:
    (
      size: FrameSize, frames: Int, framesPerSecond: Double, steps: Int, guidance: Double
    )
  {
    // As published Wan models are used: 2.1 at 480p, 2.2 with its larger latents at 720p.
    let own = profile.defaults
    let isLarge = autoencoder.isResidual
    return (
      own?.size.flatMap(FrameSize.init(parsing:))
        ?? (isLarge ? FrameSize(1280, 704) : FrameSize(832, 480)),
      own?.frames ?? (isLarge ? 121 : 81), own?.framesPerSecond ?? (isLarge ? 24 : 16),
      own?.steps ?? 50, own?.guidance ?? 5
    )
  }

  /// Frames of one window; longer clips are made in several.
  public var windowFrames: Int {
    profile.windowFrames ?? max(profile.maximumFrames ?? defaults.frames, defaults.frames)
  }

  /// Frames that a window, or a shot, is told of what comes before: enough to see how things move.
  var windowOverlap: Int {
    profile.windowOverlap ?? max(autoencoder.temporalScale + 1, windowFrames / 4)
  }

  /// Latent frames and patches of a clip whose sizes are multiples already.
  func latentShape(size: FrameSize, frameCount: Int) throws -> LatentShape {
    let patch = transformer.patchSize
    return try LatentShape(
      channels: autoencoder.latentChannels, frames: autoencoder.latentFrames(frameCount),
      height: size.height / autoencoder.spatialScale, width: size.width / autoencoder.spatialScale,
      patch: LatentShape.Patch(frames: patch[0], height: patch[1], width: patch[2]))
  }

  /// The windows over a canvas of latent frames, of which some are known at its ends.
  func windows(
    latentFrames: Int, knownAtStart start: Int = 0, atEnd end: Int = 0
  ) throws -> WindowPlan {
    let step = transformer.patchSize[0]
    let window = max(step, autoencoder.latentFrames(windowFrames) / step * step)
    let asked = autoencoder.latentFrames(windowOverlap)
    let overlap = min(window - step, max(step, asked / step * step))
    return try WindowPlan(
      frames: latentFrames, window: window, overlap: max(0, overlap), knownAtStart: start,
      atEnd: end)
  }

  /// The steps for a canvas, or a window or tile of one, whose noisiest token has a level; `nil` if nothing
  /// of it may change.
  func schedule(
    _ settings: ResolvedSampling, tokens: Int, from level: Double
  ) throws -> FlowMatchingSchedule? {
    if level == 0 { return nil }
    let whole = try FlowMatchingSchedule(
      stepCount: settings.stepCount, shift: shift(tokens: tokens),
      spacing: settings.sampler.sampler.spacing)
    if level >= 1 { return whole }
    let below = whole.sigmas.dropLast().filter { $0 < level * 0.999 }
    return try FlowMatchingSchedule(sigmas: [level] + below)
  }

  /// Latent rows and columns of a tile: as many as the clips have that the model was trained for.
  var tileSide: Int {
    let pixels = Double(profile.maximumPixels ?? 1 << 20).squareRoot()
    let step = sizeMultiple
    return max(1, Int(pixels) / step) * step / autoencoder.spatialScale
  }

  /// Overlapping tiles of that size over a canvas.
  func tiles(over shape: LatentShape) -> [CanvasTile] {
    CanvasTile.covering(shape, side: tileSide, overlap: max(1, tileSide / 4))
  }

  /// The sigma shift for a canvas, or a window of one, of so many tokens.
  func shift(tokens: Int) throws -> Double {
    guard let base = profile.baseShift, let baseTokens = profile.baseTokens else {
      return flowShift
    }
    return try ResolutionShift(base: base, baseTokens: baseTokens).shift(tokens: tokens)
  }
}

// MARK: - Checks

extension Model {
  private static func requireSupported(_ index: ModelIndex, at path: String) throws {
    for part in ["transformer_2", "image_encoder"]
    where index.components[part]?.className != nil {
      throw StudioError(
        .invalidModel,
        """
        \(path): this model has the component \(part), which Kino can't run yet; use a \
        text-to-video model with one transformer.
        """)
    }
  }

  private static func profile(in url: URL) throws -> ModelProfile {
    let file = url.appendingPathComponent(ModelProfile.fileName)
    guard FileManager.default.fileExists(atPath: file.path) else { return ModelProfile() }
    let profile = try ConfigurationFile.read(ModelProfile.self, at: file)
    try profile.validate(at: file.path)
    return profile
  }

  private static func flowShift(in folder: ModelFolder) throws -> Double {
    struct Scheduler: Decodable {
      var flowShift: Double?
      var shift: Double?

      enum CodingKeys: String, CodingKey {
        case shift
        case flowShift = "flow_shift"
      }
    }
    let file = try folder.configuration(of: "scheduler", file: "scheduler_config.json")
    let values: Scheduler = try file.decode()
    let shift = values.flowShift ?? values.shift ?? 1
    guard shift > 0 && shift <= 100 else {
      throw StudioError(
        .invalidModel,
        "\(folder.url.path): the scheduler's flow_shift is \(shift), expected a number in 0...100.")
    }
    return shift
  }

  private func requireFit() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds {
        throw StudioError(
          .invalidModel, "\(folder.url.path): \(text()). The parts are of different models.")
      }
    }
    try require(
      transformer.inputChannels == autoencoder.latentChannels
        && transformer.outputChannels == autoencoder.latentChannels,
      """
      the autoencoder's latents have \(autoencoder.latentChannels) channels, the transformer takes \
      \(transformer.inputChannels) and gives \(transformer.outputChannels)
      """)
    try require(
      transformer.textWidth == textEncoder.width,
      """
      the text encoder's states are \(textEncoder.width) wide, the transformer expects \
      \(transformer.textWidth)
      """)
    if let preview = profile.preview {
      try require(
        preview.weights.count == autoencoder.latentChannels,
        "preview has \(preview.weights.count) channels, the latents \(autoencoder.latentChannels)")
    }
  }
}
