import Foundation
internal import KinoModels
internal import KinoTensor

/// A request that is known to be possible, with every choice made.
public struct ResolvedRequest: Hashable, Sendable {
  /// What is made.
  public let verb: Verb
  /// The prompt, cleaned.
  public let prompt: String
  /// The negative prompt, cleaned.
  public let negativePrompt: String
  /// The size of the result.
  public let size: FrameSize
  /// The size that the model works at.
  public let canvasSize: FrameSize
  /// Frames of the result.
  public let frameCount: Int
  /// Frames that the model makes; those past ``frameCount`` are dropped.
  public let canvasFrameCount: Int
  /// The rate at which frames are shown.
  public let framesPerSecond: Double
  /// The seed of the noise.
  public let seed: UInt64
  /// Sampling steps.
  public let stepCount: Int
  /// The strength of the prompt.
  public let guidanceScale: Double
  /// The noise at which the guidance is on.
  public let guidanceRange: ClosedRange<Double>
  /// Steps that change by less leave out most blocks; 0 for none.
  public let cacheThreshold: Double
  /// The type that the networks compute in.
  public let precision: Precision
  /// The method of following velocities.
  public let sampler: SamplerKind
  /// Steps between previews; 0 for none.
  public let previewInterval: Int
  /// What is possible and probably not what is wanted.
  public let warnings: [String]
}

extension ResolvedRequest {
  /// Throws unless a file of this name can hold the result.
  func requireFormat(of path: String) throws {
    let format = try MediaFormat(path: path)
    if verb == .image && format.holdsClips && format != .webp {
      throw StudioError(.unsupported, "\(path): use .png, .jpg or .webp for a picture.")
    }
    if verb != .image && frameCount > 1 && !format.holdsClips {
      throw StudioError(
        .unsupported,
        "\(path): a .\(format.rawValue) holds one frame, this clip has \(frameCount); use .mp4.")
    }
  }
}

extension GenerationRequest {
  /// Checks the request once, for all that follows, and makes every open choice.
  ///
  /// - Parameters:
  ///   - model: The model that will do it.
  ///   - verb: What to make.
  /// - Returns: The request, complete.
  /// - Throws: ``StudioError`` saying what was expected, what was found, and what would be allowed.
  public func validated(for model: Model, as verb: Verb = .generate) throws -> ResolvedRequest {
    let defaults = model.defaults
    let size = size ?? defaults.size
    try check(size, verb, step: model.sizeMultiple)
    let rate = try rate(default: defaults.framesPerSecond)
    let frames = verb == .image ? 1 : try frames(rate: rate, default: defaults.frames)
    let step = model.sizeMultiple
    let canvasSize = FrameSize(
      (size.width + step - 1) / step * step, (size.height + step - 1) / step * step)
    let temporal = model.autoencoder.temporalScale
    var canvasFrames = (frames - 1 + temporal - 1) / temporal * temporal + 1
    let patch = model.transformer.patchSize[0]
    while model.autoencoder.latentFrames(canvasFrames) % patch != 0 { canvasFrames += temporal }
    let prompt = try cleaned(prompt, "prompt", isRequired: true)
    let steps = try within(1...1000, stepCount ?? defaults.steps, "steps")
    return ResolvedRequest(
      verb: verb, prompt: prompt,
      negativePrompt: try cleaned(negativePrompt, "negative prompt", isRequired: false),
      size: size, canvasSize: canvasSize, frameCount: frames, canvasFrameCount: canvasFrames,
      framesPerSecond: rate, seed: seed ?? UInt64.random(in: 0..<1 << 32),
      stepCount: steps,
      guidanceScale: try within(0...100, guidanceScale ?? defaults.guidance, "guidance"),
      guidanceRange: try noiseRange(guidanceRange),
      cacheThreshold: try within(0...1, cacheThreshold, "cache"),
      precision: precision ?? (Engine.prefersBFloat16 ? .bf16 : .f32), sampler: sampler,
      previewInterval: model.profile.preview == nil ? 0 : max(0, previewInterval),
      warnings: Self.warnings(canvasSize, frames, model)
        + Self.warnings(prompt: prompt, steps: steps, model))
  }

  /// Makes white space plain: none at the ends, one space between words.
  static func cleaned(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  private func cleaned(_ text: String, _ name: String, isRequired: Bool) throws -> String {
    guard text.utf8.count <= Limits.promptLength * 4, text.count <= Limits.promptLength else {
      throw StudioError(
        .invalidPrompt,
        """
        The \(name) has \(text.utf8.count) bytes; the model reads \(Model.textLength) tokens of it. \
        Shorten it to \(Limits.promptLength) characters or fewer.
        """)
    }
    if text.unicodeScalars.contains("\0") {
      throw StudioError(.invalidPrompt, "The \(name) contains a NUL character; remove it.")
    }
    let result = Self.cleaned(text)
    if isRequired && result.isEmpty {
      throw StudioError(
        .invalidPrompt,
        "The prompt is empty; say what to show, for example \"a red ball bounces on grass\".")
    }
    return result
  }

  private func check(_ size: FrameSize, _ verb: Verb, step: Int) throws {
    if Limits.allows(size, verb) { return }
    let most = verb == .image ? "2048x2048 for pictures" : "1920x1080 or 1080x1920 for clips"
    let near = Limits.nearest(to: size, verb, step: step)
    throw StudioError(
      .invalidSize,
      """
      The size \(size) is out of range: sides of \(Limits.shortestSide) or more, up to \(most). \
      The nearest that fits is \(near).
      """)
  }

  private func rate(default standard: Double) throws -> Double {
    let rate = framesPerSecond ?? standard
    guard Limits.framesPerSecond.contains(rate) else {
      throw StudioError(
        .invalidLength, "\(rate) frames per second is out of range; use a rate in 1...120.")
    }
    return rate
  }

  private func frames(rate: Double, default standard: Int) throws -> Int {
    if frameCount != nil && durationSeconds != nil {
      throw StudioError(.invalidLength, "Both frames and seconds are given; give one of them.")
    }
    let most = Int((Limits.durationSeconds * rate).rounded(.down))
    let range = "1...\(most) frames, or \(Limits.durationSeconds) seconds, at \(rate) frames/s"
    if let seconds = durationSeconds {
      guard seconds > 0 && seconds <= Limits.durationSeconds else {
        throw StudioError(.invalidLength, "\(seconds) seconds is out of range; use \(range).")
      }
      return max(1, Int((seconds * rate).rounded()))
    }
    let frames = frameCount ?? min(standard, most)
    guard 1...most ~= frames else {
      throw StudioError(.invalidLength, "\(frames) frames is out of range; use \(range).")
    }
    return frames
  }

  private func noiseRange(_ range: ClosedRange<Double>) throws -> ClosedRange<Double> {
    _ = try within(0...1, range.lowerBound, "guidance range")
    _ = try within(0...1, range.upperBound, "guidance range")
    return range
  }

  private func within<Value: Comparable>(
    _ range: ClosedRange<Value>, _ value: Value, _ name: String
  ) throws -> Value {
    // Written so that NaN fails.
    if value >= range.lowerBound && value <= range.upperBound { return value }
    throw StudioError(
      .invalidSetting,
      "\(name) is \(value); use a number in \(range.lowerBound)...\(range.upperBound).")
  }

  private static func warnings(prompt: String, steps: Int, _ model: Model) -> [String] {
    var warnings: [String] = []
    if let words = model.profile.vocabulary?.warning(about: prompt, model: model.name) {
      warnings.append(words)
    }
    if let least = model.profile.minimumSteps, steps < least {
      warnings.append(
        """
        \(steps) step\(steps == 1 ? " is" : "s are") fewer than the \(least) that \(model.name) needs; \
        shapes may stay unfinished.
        """)
    }
    return warnings
  }

  private static func warnings(_ size: FrameSize, _ frames: Int, _ model: Model) -> [String] {
    var warnings: [String] = []
    if let most = model.profile.maximumPixels, size.width * size.height > most {
      warnings.append(
        """
        \(size) has more pixels than the \(most) that \(model.name) was trained for; the picture \
        may fall apart.
        """)
    }
    if let most = model.profile.maximumFrames, frames > most {
      warnings.append(
        """
        \(frames) frames are more than the \(most) that \(model.name) was trained for; they are made \
        in windows that continue each other.
        """)
    }
    return warnings
  }
}
