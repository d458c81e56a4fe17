/// What happens while a clip is made: plan and warnings first, then, segment by segment, what its frames need,
/// and the result last.
public enum GenerationEvent: Sendable {
  /// The work was measured and fits this machine.
  case planned(Plan)
  /// The request is valid but probably not what you want.
  case warning(String)
  /// Frames of a source were copied to the result, of so many in the whole result.
  case copying(frames: Int, of: Int)
  /// Frames of a source were encoded, for a shot to know them.
  case encoding(frames: Int, of: Int)
  /// A sampling step is done.
  case step(StepProgress)
  /// Frames were decoded.
  case decoding(frames: Int, of: Int)
  /// The clip is complete, in memory.
  case finished(GeneratedClip)
  /// The clip is complete, in a file.
  case wrote(GeneratedFile)
}

/// How far sampling has come.
public struct StepProgress: Sendable {
  /// Steps done, those of earlier windows included.
  public let index: Int
  /// Steps in all windows.
  public let count: Int
  /// The window being made, from 1.
  public let window: Int
  /// Windows in all.
  public let windowCount: Int
  /// Time left for sampling and decoding, as the steps so far suggest.
  public let secondsLeft: Double
  /// What the window will look like, very small, if a preview was asked for and the model has one.
  public let preview: Clip?
}

/// A finished clip and how it was made.
public struct GeneratedClip: Sendable {
  /// The frames; one for a picture.
  public let clip: Clip
  /// Enough to make the clip again.
  public let recipe: Recipe

  /// Writes the clip with its recipe; the extension chooses the format.
  ///
  /// - Throws: `MediaError` as `ClipWriter` does.
  public func write(to path: String, _ options: WriteOptions = WriteOptions()) throws {
    var options = options
    options.recipe = recipe.json
    options.title = options.title ?? recipe.title
    try clip.write(to: path, options)
  }
}

/// A finished file and how it was made.
public struct GeneratedFile: Sendable {
  /// Where it is.
  public let path: String
  /// Frames written.
  public let frameCount: Int
  /// Enough to make it again.
  public let recipe: Recipe
  /// Up to six frames, spread evenly from the first to the last.
  public let highlights: Clip
}
