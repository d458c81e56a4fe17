internal import Foundation
public import KinoModels
internal import KinoWorld

extension TrainingConfiguration {
  /// How a judge is shaped and what it looks at.
  public struct JudgeSettings: Codable, Hashable, Sendable {
    /// Folder of the autoencoder through which a part of the clips goes, so that softness does not fool the judge.
    public var autoencoder: String
    /// Channels at a quarter, an eighth and a sixteenth of the size.
    public var channels: [Int]
    /// Channels of cells and tokens.
    public var width: Int
    /// Attention heads.
    public var heads: Int
    /// Blocks of the reader.
    public var layers: Int
    /// Pixels of a side of the square pictures it sees: the size of every bucket.
    public var side: Int
    /// Frames of a clip, `4n + 1`: those of every bucket but pictures.
    public var frames: Int
    /// Seconds from a clip's first frame to its last: the shortest and the longest.
    public var seconds: [Double]
    /// How many clips are rendered, and when.
    public var clips: Clips
    /// The share of clips that are also kept as the autoencoder restores them, in `0...1`.
    public var restored: Double
    /// Unseen scenes that accuracy is measured on.
    public var unseen: Int

    /// Clips are rendered once and kept; the store grows as training goes on.
    public struct Clips: Codable, Hashable, Sendable {
      /// Clips before the first step.
      public var initial: Int
      /// New clips per step.
      public var perStep: Double
      /// The most clips.
      public var limit: Int

      enum CodingKeys: String, CodingKey {
        case initial, limit
        case perStep = "per_step"
      }

      /// Clips that a step draws from: a function of the step, so that resuming is exact.
      func count(at step: Int) -> Int {
        max(1, min(limit, initial + Int(Double(step) * perStep)))
      }
    }

    /// The network of these sizes, asked for what the world shows.
    public var model: Judge.Configuration {
      func questions(_ questions: [SceneAttributes.Question]) -> [Judge.Question] {
        questions.map { Judge.Question(name: $0.name, answers: $0.answers) }
      }
      return Judge.Configuration(
        side: side, frameCount: frames, channels: channels, width: width, headCount: heads,
        blockCount: layers, objectQuestions: questions(SceneAttributes.objectQuestions),
        sceneQuestions: questions(SceneAttributes.sceneQuestions))
    }

    /// Throws where a value is out of range or does not fit the buckets.
    func validate(_ buckets: [Bucket]) throws {
      func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
        if !holds { throw TrainingError(.invalidConfiguration, "judge: \(text())") }
      }
      try model.validate()
      try require(
        seconds.count == 2 && seconds[0] > 0 && seconds[0] <= seconds[1] && seconds[1] <= 10,
        "seconds must be the shortest and the longest length, in 0...10")
      try require(
        clips.initial > 0 && clips.perStep >= 0 && clips.limit > 0,
        "clips must have a positive initial and limit")
      try require(0...1 ~= restored, "restored must be in 0...1, found \(restored)")
      try require(unseen > 0, "unseen must be positive, found \(unseen)")
      for bucket in buckets {
        try require(
          bucket.width == side && bucket.height == side
            && (bucket.frames == 1 || bucket.frames == frames),
          """
          bucket \(bucket.width)x\(bucket.height) of \(bucket.frames) frames: expected \
          \(side)x\(side) and 1 or \(frames) frames
          """)
      }
    }
  }
}
