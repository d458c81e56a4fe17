import Foundation
internal import KinoSystem

/// An event as one JSON object, for programs that watch.
public struct EventRecord: Codable, Hashable, Sendable {
  /// `planned`, `warning`, `copying`, `encoding`, `step`, `decoding`, `finished`, `wrote` or `error`.
  public var event: String
  /// What is planned.
  public var plan: Plan?
  /// A warning or error in words.
  public var message: String?
  /// The name of an error.
  public var code: String?
  /// Steps done, and in all.
  public var step, steps: Int?
  /// The window being made, and windows in all.
  public var window, windows: Int?
  /// Estimated time left.
  public var secondsLeft: Double?
  /// Frames copied, encoded or decoded, and in all.
  public var frames, framesInAll: Int?
  /// What is being sampled, a PNG in base64, if previews were asked for.
  public var preview: String?
  /// Where the file is.
  public var path: String?
  /// How it was made.
  public var recipe: Recipe?

  enum CodingKeys: String, CodingKey {
    case event, plan, message, code, step, steps, window, windows, frames, path, preview, recipe
    case secondsLeft = "seconds_left"
    case framesInAll = "frames_in_all"
  }

  /// Describes an event of some other kind.
  public init(event: String, message: String? = nil, code: String? = nil, path: String? = nil) {
    self.event = event
    self.message = message
    self.code = code
    self.path = path
  }

  /// Describes an event of a generation.
  public init(_ event: GenerationEvent) {
    switch event {
    case .planned(let plan):
      self.init(event: "planned")
      self.plan = plan
    case .warning(let message):
      self.init(event: "warning", message: message)
    case .step(let progress):
      self.init(event: "step")
      (step, steps) = (progress.index, progress.count)
      (window, windows) = (progress.window, progress.windowCount)
      secondsLeft = (progress.secondsLeft * 10).rounded() / 10
      preview = progress.preview.flatMap { clip in
        let sheet = ContactSheet(rows: [.init(clip)], columnCount: clip.frameCount, spacing: 0)
        return try? Data(sheet.render().encoded(as: .png)).base64EncodedString()
      }
    case .copying(let done, let count):
      self.init(event: "copying")
      (frames, framesInAll) = (done, count)
    case .encoding(let done, let count):
      self.init(event: "encoding")
      (frames, framesInAll) = (done, count)
    case .decoding(let done, let count):
      self.init(event: "decoding")
      (frames, framesInAll) = (done, count)
    case .finished(let result):
      self.init(event: "finished")
      (frames, recipe) = (result.clip.frameCount, result.recipe)
    case .wrote(let file):
      self.init(event: "wrote", path: file.path)
      (frames, recipe) = (file.frameCount, file.recipe)
    }
  }

  /// The object on one line, keys in order.
  public var json: String { jsonLine }
}
