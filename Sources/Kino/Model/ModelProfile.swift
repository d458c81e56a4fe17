public import KinoDiffusion

/// What a model's `kino.json` tells beyond diffusers' files; every part may be left out.
public struct ModelProfile: Codable, Hashable, Sendable {
  /// The model's name.
  public var name: String?
  /// What a request takes where it says nothing.
  public var defaults: Defaults?
  /// Sizes are rounded up to multiples of this; at least the networks' own.
  public var sizeMultiple: Int?
  /// The most pixels in a frame that the model was trained for.
  public var maximumPixels: Int?
  /// The most frames that the model was trained for.
  public var maximumFrames: Int?
  /// Longer clips are made in windows of so many frames.
  public var windowFrames: Int?
  /// Frames that a window takes over from the one before.
  public var windowOverlap: Int?
  /// The token count at which the sigma shift is ``baseShift``; it grows with the tokens.
  public var baseTokens: Int?
  /// The sigma shift at ``baseTokens``.
  public var baseShift: Double?
  /// Small pictures from latents.
  public var preview: LatentPreview?
  /// With fewer sampling steps, clips are not worth looking at.
  public var minimumSteps: Int?
  /// The words that the model was trained on.
  public var vocabulary: Vocabulary?

  /// What a request takes where it says nothing.
  public struct Defaults: Codable, Hashable, Sendable {
    /// `WIDTHxHEIGHT`.
    public var size: String?
    /// Frames of a clip.
    public var frames: Int?
    /// Frames per second.
    public var framesPerSecond: Double?
    /// Sampling steps.
    public var steps: Int?
    /// Strength of the prompt.
    public var guidance: Double?
    /// Strength of frames that are known, beside new ones.
    public var historyGuidance: Double?

    /// Describes defaults.
    public init(
      size: String? = nil, frames: Int? = nil, framesPerSecond: Double? = nil, steps: Int? = nil,
      guidance: Double? = nil, historyGuidance: Double? = nil
    ) {
      self.size = size
      self.frames = frames
      self.framesPerSecond = framesPerSecond
      self.steps = steps
      self.guidance = guidance
      self.historyGuidance = historyGuidance
    }

    enum CodingKeys: String, CodingKey {
      case size, frames, steps, guidance
      case framesPerSecond = "frames_per_second"
      case historyGuidance = "history_guidance"
    }
  }

  enum CodingKeys: String, CodingKey {
    case name, defaults, preview, vocabulary
    case sizeMultiple = "size_multiple"
    case maximumPixels = "maximum_pixels"
    case maximumFrames = "maximum_frames"
    case windowFrames = "window_frames"
    case windowOverlap = "window_overlap"
    case baseTokens = "base_tokens"
    case baseShift = "base_shift"
    case minimumSteps = "minimum_steps"
  }

  /// Makes a profile that says nothing.
  public init() {}

  /// The name of the file in a model's folder.
  public static let fileName = "kino.json"
}

extension ModelProfile {
  /// Throws where a number is out of range.
  func validate(at path: String) throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw StudioError(.invalidModel, "\(path): \(text()). Correct the file.") }
    }
    func requirePositive(_ value: Int?, _ key: String) throws {
      if let value {
        try require(1...1 << 30 ~= value, "\(key) is \(value), expected a positive number")
      }
    }
    try requirePositive(sizeMultiple, "size_multiple")
    try requirePositive(maximumPixels, "maximum_pixels")
    try requirePositive(maximumFrames, "maximum_frames")
    try requirePositive(windowFrames, "window_frames")
    try requirePositive(windowOverlap, "window_overlap")
    try requirePositive(baseTokens, "base_tokens")
    try requirePositive(minimumSteps, "minimum_steps")
    try require((sizeMultiple ?? 1) <= 1024, "size_multiple is over 1024")
    try require(
      (baseTokens == nil) == (baseShift == nil), "base_tokens and base_shift belong together")
    try require(baseShift.map { $0 > 0 && $0 <= 100 } ?? true, "base_shift is not in 0...100")
    try requirePositive(defaults?.frames, "defaults.frames")
    try requirePositive(defaults?.steps, "defaults.steps")
    try require(
      defaults?.framesPerSecond.map { $0 >= 0.1 && $0 <= 120 } ?? true,
      "defaults.frames_per_second is not in 0.1...120")
    try require(
      defaults?.guidance.map { $0 >= 0 && $0 <= 100 } ?? true,
      "defaults.guidance is not in 0...100")
    try require(
      defaults?.historyGuidance.map { $0 >= 0 && $0 <= 20 } ?? true,
      "defaults.history_guidance is not in 0...20")
    if let size = defaults?.size {
      try require(
        FrameSize(parsing: size) != nil, "defaults.size is \(size), expected WIDTHxHEIGHT")
    }
  }
}

extension FrameSize {
  /// Reads `WIDTHxHEIGHT`, such as `1280x720`; `nil` unless both are in 1...99999.
  public init?(parsing text: String) {
    let parts = text.lowercased().split(separator: "x", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
      part.allSatisfy { ("0"..."9").contains($0) } ? Int(part) : nil
    }
    guard parts.count == 2, numbers.count == 2, numbers.allSatisfy({ 1...99_999 ~= $0 }) else {
      return nil
    }
    self.init(width: numbers[0], height: numbers[1])
  }
}
