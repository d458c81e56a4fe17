internal import KinoDiffusion
internal import KinoModels

/// A canvas to fill in and all that belongs to it; every shot ends in one.
struct CanvasJob: Sendable {
  let canvas: Canvas
  /// Known frames, for models that take them as pictures.
  var known: KnownFrames?
  /// What the canvas's prompt stretches point into.
  let prompts: [String]
  let negativePrompt: String
  let sampling: ResolvedSampling
  let windows: WindowPlan
  /// The rate of the canvas's frames.
  let framesPerSecond: Double
  /// Windows of earlier shots.
  var windowsBefore = 0
  /// Windows of all shots.
  let windowCount: Int
  /// The draw of noise of the canvas's first latent frame.
  var firstDraw = 0
  /// Whether the canvas is sampled in tiles of the model's own size.
  var isTiled = false
}

extension CanvasJob {
  /// Whether there are several windows that show one thing in one direction, so that they should look alike: nothing
  /// is told of what they make but one prompt and what stands at one end.
  var isHeldTogether: Bool {
    let (levels, shape) = (canvas.tokenLevels, canvas.shape)
    func token(_ frame: Int) -> Int { frame / shape.patch.frames * shape.tokensPerFrame }
    return windows.windows.count > 1
      && Set(canvas.prompts.map(\.prompt)).count <= 1
      && !(levels.first == 0 && levels.last == 0)
      && windows.windows.allSatisfy { window in
        levels[token(window.new.lowerBound)..<token(window.new.upperBound)].allSatisfy { $0 == 1 }
      }
  }
}

/// Where frames go as they are decoded.
enum RenderTarget: Sendable {
  case memory
  case file(String, WriteOptions)
}

extension ResolvedShot {
  /// The lengths of the shot's latents.
  func latentShape(_ model: Model, size: FrameSize) throws -> LatentShape {
    try model.latentShape(size: size, frameCount: canvasFrameCount)
  }

  /// Latent frames that are known at the canvas's ends.
  func knownLatents(_ model: Model) -> (start: Int, end: Int) {
    // Known as pictures, all latents are made.
    if model.family.conditioning != .tokens { return (0, 0) }
    let guided = guides.contains { $0.frame == nil && $0.guide.noiseLevel < 1 }
    // A canvas that is known a little everywhere needs no direction.
    if guided { return (before > 0 ? model.geometry.latentFrames(before) : 0, 0) }
    return (
      before > 0 ? model.geometry.latentFrames(before) : 0,
      after / model.geometry.temporalScale
    )
  }

  /// The windows over the shot's canvas.
  func windows(_ model: Model) throws -> WindowPlan {
    let known = knownLatents(model)
    return try model.windows(
      latentFrames: model.geometry.latentFrames(canvasFrameCount), knownAtStart: known.start,
      atEnd: known.end)
  }

  /// Which prompt conditions which latent frames.
  func promptStretches(_ model: Model) -> [PromptStretch] {
    let frames = model.geometry.latentFrames(canvasFrameCount)
    let patch = model.geometry.patch.frames
    let starts = prompts.enumerated().map { index, prompt in
      index == 0
        ? 0
        : min(frames, model.geometry.latentFrame(of: own.lowerBound + max(0, prompt.frame)))
          / patch * patch
    }
    var stretches: [PromptStretch] = []
    for index in starts.indices {
      let end = index + 1 < starts.count ? starts[index + 1] : frames
      let start = max(starts[index], stretches.last?.frames.upperBound ?? 0)
      if start < end { stretches.append(PromptStretch(frames: start..<end, prompt: index)) }
    }
    return stretches
  }
}
