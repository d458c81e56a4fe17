extension Judge {
  /// A question with the names of its possible answers.
  public struct Question: Codable, Hashable, Sendable {
    /// For example `shape`.
    public var name: String
    /// For example `sphere`, `cube`: 2 to 64 of them.
    public var answers: [String]

    /// A question with the names of its answers.
    public init(name: String, answers: [String]) {
      self.name = name
      self.answers = answers
    }
  }

  /// The sizes of a judge and what it is asked, as its `config.json` writes them.
  public struct Configuration: Codable, Hashable, Sendable {
    /// Pixels of a side of the square pictures it sees; a multiple of 16 in `32...512`.
    public var side: Int
    /// Frames of a clip as it sees it, in `2...64`.
    public var frameCount: Int
    /// Channels at a quarter, an eighth and a sixteenth of the size, each in `1...1024`.
    public var channels: [Int]
    /// Channels of cells and tokens; a multiple of ``headCount`` in `1...4096`.
    public var width: Int
    /// Attention heads, in `1...64`.
    public var headCount: Int
    /// Blocks of the reader, in `1...64`.
    public var blockCount: Int
    /// The most objects it tells apart, in `1...16`.
    public var slotCount: Int
    /// What it is asked about each object.
    public var objectQuestions: [Question]
    /// What it is asked about the scene.
    public var sceneQuestions: [Question]

    enum CodingKeys: String, CodingKey {
      case side, channels, width
      case frameCount = "num_frames"
      case headCount = "num_heads"
      case blockCount = "num_layers"
      case slotCount = "num_slots"
      case objectQuestions = "object_questions"
      case sceneQuestions = "scene_questions"
    }

    /// A judge of these sizes.
    public init(
      side: Int = 128, frameCount: Int = 9, channels: [Int] = [32, 64, 96], width: Int = 96,
      headCount: Int = 4, blockCount: Int = 3, slotCount: Int = 4, objectQuestions: [Question],
      sceneQuestions: [Question]
    ) {
      self.side = side
      self.frameCount = frameCount
      self.channels = channels
      self.width = width
      self.headCount = headCount
      self.blockCount = blockCount
      self.slotCount = slotCount
      self.objectQuestions = objectQuestions
      self.sceneQuestions = sceneQuestions
    }

    /// Pixels of a side of a cell.
    public static let cellSide = 16
    /// Cells in a row of the grid, and rows.
    public var gridSide: Int { side / Self.cellSide }
    /// Cells of a frame.
    public var cellCount: Int { gridSide * gridSide }
    /// Numbers of an object's answers: whether it is there, then each question's.
    public var objectWidth: Int { objectQuestions.reduce(1) { $0 + $1.answers.count } }
    /// Numbers of the scene's answers.
    public var sceneWidth: Int { sceneQuestions.reduce(0) { $0 + $1.answers.count } }

    /// Throws ``ModelError`` naming the first number that is out of range.
    public func validate() throws(ModelError) {
      let check = ConfigurationCheck(network: "judge")
      try check.require("side", side, in: 32...512)
      if side % Self.cellSide != 0 {
        throw check.invalid("side is \(side), expected a multiple of \(Self.cellSide)")
      }
      try check.require("num_frames", frameCount, in: 2...64)
      try check.require("the number of channels", channels.count, in: 3...3)
      for count in channels { try check.require("channels", count, in: 1...1024) }
      try check.require("width", width, in: 1...4096)
      try check.require("num_heads", headCount, in: 1...64)
      if width % headCount != 0 {
        throw check.invalid("width is \(width), expected a multiple of num_heads, \(headCount)")
      }
      try check.require("num_layers", blockCount, in: 1...64)
      try check.require("num_slots", slotCount, in: 1...16)
      for questions in [objectQuestions, sceneQuestions] {
        try check.require("the number of questions", questions.count, in: 1...64)
        for question in questions {
          try check.require("answers to \(question.name)", question.answers.count, in: 2...64)
        }
      }
    }
  }
}
