/// A stretch of latent frames and the prompt that conditions it.
public struct PromptStretch: Sendable, Hashable, Codable {
  /// Latent frames of the canvas.
  public let frames: Range<Int>
  /// Index into the caller's list of prompts.
  public let prompt: Int

  /// Gives a prompt to a stretch.
  public init(frames: Range<Int>, prompt: Int) {
    self.frames = frames
    self.prompt = prompt
  }

  /// Checks that `stretches` cover `frameCount` frames in order, without gaps.
  static func validate(_ stretches: [PromptStretch], frameCount: Int) throws(DiffusionError) {
    var end = 0
    for stretch in stretches {
      try DiffusionError.require(
        stretch.frames.lowerBound == end && !stretch.frames.isEmpty && stretch.prompt >= 0, .range,
        "expected a prompt stretch from latent frame \(end) with a prompt index from 0, found "
          + "prompt \(stretch.prompt) for \(stretch.frames)")
      end = stretch.frames.upperBound
    }
    try DiffusionError.require(
      end == frameCount, .range,
      "expected prompt stretches to cover \(frameCount) latent frames, found them ending at \(end)")
  }
}
