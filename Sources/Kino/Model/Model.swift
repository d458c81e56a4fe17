public import Foundation
internal import KinoDiffusion
public import KinoWeights

/// A model on disk: its configurations and where its weights are, none of them read yet.
public struct Model: Sendable {
  /// The name in `kino.json`, or that of the folder or file.
  public let name: String
  /// The folder, or the file of the transformer.
  public var url: URL { parts.url }
  /// What it is made of.
  package let parts: ModelParts
  /// The content of `kino.json`.
  public let profile: ModelProfile
  /// What knows the networks.
  package internal(set) var family: any ModelFamily
  /// The adapters that have been added to the transformer, in order.
  public internal(set) var loras: [MergedLoRA] = []

  /// Opens a model and checks that its parts fit each other.
  ///
  /// Weights may be of any form that `CheckpointForm` recognises. What is not in the folder, or in the file,
  /// is looked for beside it and in the usual places.
  ///
  /// - Parameters:
  ///   - url: A folder, or the file of a transformer or of a whole model.
  ///   - files: Parts to take instead of those that would be found.
  ///   - places: Where else to look for parts; see ``ModelSource/weightFolders(_:)``.
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  public init(
    at url: URL, files: ModelFiles = ModelFiles(),
    searching places: [URL] = ModelSource.weightFolders()
  ) throws {
    try self.init(at: url, files: files, searching: places, families: Model.families)
  }

  /// Opens a model of one of some families.
  package init(
    at url: URL, files: ModelFiles = ModelFiles(), searching places: [URL] = [],
    families: [any ModelFamily.Type]
  ) throws {
    let family: any ModelFamily.Type
    (parts, family) = try Self.parts(at: url, files, searching: places, families)
    profile = try Model.profile(in: url)
    let standard = url.standardizedFileURL
    name =
      profile.name
      ?? (parts.index == nil && !url.isFolder
      ? standard.deletingPathExtension() : standard).lastPathComponent
    self.family = try family.init(parts)
    if let preview = profile.preview, preview.weights.count != geometry.channels {
      throw StudioError.partsDiffer(
        url, "preview has \(preview.weights.count) channels, the latents \(geometry.channels)")
    }
  }

  private static func parts(
    at url: URL, _ files: ModelFiles, searching places: [URL], _ families: [any ModelFamily.Type]
  ) throws -> (ModelParts, any ModelFamily.Type) {
    let names = families.map { $0.name }.joined(separator: " or ")
    let index = url.appendingPathComponent("model_index.json")
    guard FileManager.default.fileExists(atPath: index.path) else {
      for family in families {
        if let parts = try family.parts(at: url, files, searching: places) {
          return (parts, family)
        }
      }
      throw StudioError(
        .invalidModel,
        "\(url.path): expected a model of the family \(names), with model_index.json.")
    }
    let folder = try ModelFolder(at: url)
    guard let family = families.first(where: { $0.claims(folder.index) }) else {
      throw StudioError(
        .invalidModel,
        """
        \(url.path): this is a \(folder.index.className.prefix(80).description.printable), expected a \
        model of the family \(names).
        """)
    }
    return (try ModelParts(folder, replacing: files), family)
  }

  /// Finds and opens a model.
  ///
  /// - Throws: ``StudioError`` if there is none, and as ``init(at:files:searching:)``.
  public init(_ source: ModelSource, files: ModelFiles = ModelFiles()) throws {
    try self.init(at: source.locate(), files: files)
  }

  /// Identifies the content of the folder, or of the files that the model is made of; reads every byte.
  public func hash() throws -> WeightsHash { try hash(WeightsHashCache()) }

  func hash(_ cache: WeightsHashCache) throws -> WeightsHash {
    guard let files = parts.hashedFiles else { return try cache.hash(of: url) }
    return try cache.hash(of: files)
  }

  // MARK: - Sizes

  /// How latents lie under pixels.
  var geometry: LatentGeometry { family.geometry }

  /// The shift of sampling's noise levels, where it does not grow with the size.
  public var flowShift: Double { family.flowShift }

  /// Frames are generated at multiples of this in both directions.
  public var sizeMultiple: Int {
    let own = geometry.spatialScale * max(geometry.patch.height, geometry.patch.width)
    let asked = profile.sizeMultiple ?? own
    return (max(asked, own) + own - 1) / own * own
  }

  /// Text tokens that the model reads.
  public var textLength: Int { family.textLength }

  /// What a request takes where it says nothing, complete.
  public var defaults:
    (
      size: FrameSize, frames: Int, framesPerSecond: Double, steps: Int, guidance: Double,
      lowNoiseGuidance: Double, historyGuidance: Double
    )
  {
    let (own, others) = (profile.defaults, family.defaults)
    let guidance = own?.guidance ?? others.guidance
    return (
      own?.size.flatMap(FrameSize.init(parsing:)) ?? others.size, own?.frames ?? others.frames,
      own?.framesPerSecond ?? others.framesPerSecond, own?.steps ?? others.steps,
      guidance, own?.guidance ?? others.lowNoiseGuidance ?? guidance,
      own?.historyGuidance ?? 1
    )
  }

  /// Frames of one window; longer clips are made in several.
  public var windowFrames: Int {
    profile.windowFrames ?? max(profile.maximumFrames ?? defaults.frames, defaults.frames)
  }

  /// Frames that a window, or a shot, is told of what comes before: enough to see how things move.
  var windowOverlap: Int {
    profile.windowOverlap ?? max(geometry.temporalScale + 1, windowFrames / 4)
  }

  /// Latent frames and patches of a clip whose sizes are multiples already.
  func latentShape(size: FrameSize, frameCount: Int) throws -> LatentShape {
    try geometry.shape(frames: frameCount, height: size.height, width: size.width)
  }

  /// The windows over a canvas of latent frames, of which some are known at its ends.
  func windows(
    latentFrames: Int, knownAtStart start: Int = 0, atEnd end: Int = 0
  ) throws -> WindowPlan {
    let step = geometry.patch.frames
    let window = max(step, geometry.latentFrames(windowFrames) / step * step)
    let asked = geometry.latentFrames(windowOverlap)
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
      stepCount: settings.stepCount, shift: settings.shift ?? shift(tokens: tokens),
      spacing: settings.sampler.sampler.spacing)
    if level >= 1 { return whole }
    let below = whole.sigmas.dropLast().filter { $0 < level * 0.999 }
    return try FlowMatchingSchedule(sigmas: [level] + below)
  }

  /// Latent rows and columns of a tile: as many as the clips have that the model was trained for.
  var tileSide: Int {
    let pixels = Double(profile.maximumPixels ?? 1 << 20).squareRoot()
    let step = sizeMultiple
    return max(1, Int(pixels) / step) * step / geometry.spatialScale
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
  private static func profile(in url: URL) throws -> ModelProfile {
    let file = url.appendingPathComponent(ModelProfile.fileName)
    guard FileManager.default.fileExists(atPath: file.path) else { return ModelProfile() }
    let profile = try ConfigurationFile.read(ModelProfile.self, at: file)
    try profile.validate(at: file.path)
    return profile
  }
}

extension StudioError {
  /// Parts of a model do not fit each other.
  static func partsDiffer(_ url: URL, _ text: String) -> StudioError {
    StudioError(
      .invalidModel, "\(url.path): \(text). The parts are of different models.")
  }
}

extension URL {
  /// Whether a folder is there.
  var isFolder: Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }
}
