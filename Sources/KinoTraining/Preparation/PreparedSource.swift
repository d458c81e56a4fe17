internal import Foundation

/// What became of one clip or picture of a folder.
public struct PreparedSource: Codable, Hashable, Sendable {
  /// A clip or picture that was written.
  public struct Item: Codable, Hashable, Sendable {
    /// Its path in the output folder.
    public let file: String
    /// Where it begins in the source, in seconds.
    public let start: Double
    /// How long it lasts, in seconds; 0 for a picture.
    public let seconds: Double
    /// Its frames; 1 for a picture.
    public let frames: Int
    /// Its columns and rows.
    public let width, height: Int
    /// Its frames a second; `nil` for a picture.
    public let framesPerSecond: Double?
    /// What it shows, one line; `nil` if nothing tells.
    public let caption: String?
    /// How its first, middle and last frames look, for finding doubles.
    let looks: Data
  }

  /// A part that was left out.
  public struct Part: Codable, Hashable, Sendable {
    /// Where it begins, and how long it lasts, in seconds; all of a file that can't be read is 0.
    public let start, seconds: Double
    /// Why.
    public let why: Omission
    /// More of it, in words.
    public var details: String?
  }

  /// The path in the folder.
  public let path: String
  /// The size in bytes and the time of the last change, by which a changed file is told.
  let identity: String
  /// What was written.
  public internal(set) var items: [Item] = []
  /// What was left out.
  public internal(set) var omitted: [Part] = []
  /// What is unusual about it, in words.
  public internal(set) var notes: [String] = []

  init(path: String, identity: String) {
    (self.path, self.identity) = (path, identity)
  }
}

/// What is made of footage before training: which parts, and in what form.
public struct PreparationSettings: Codable, Hashable, Sendable {
  /// The shortest clip, in seconds.
  public var minimumSeconds = 1.0
  /// The longest clip, in seconds. Longer scenes are cut into equal pieces.
  public var maximumSeconds = 5.0
  /// The rate of the clips; `nil` keeps each file's own.
  public var framesPerSecond: Double?
  /// The longest shorter side in pixels; `nil` keeps all sizes.
  public var maximumSide: Int?
  /// Whether parts in which nothing moves are kept.
  public var keepsStill = false
  /// Whether clips without a caption are kept, as an autoencoder's training takes them.
  public var keepsUncaptioned = false

  /// The settings of a command without options.
  public init() {}

  /// - Throws: ``TrainingError`` naming the setting at fault.
  func validate() throws {
    func require(_ holds: Bool, _ text: String) throws {
      if !holds { throw TrainingError(.invalidConfiguration, text) }
    }
    try require(
      minimumSeconds > 0 && minimumSeconds <= maximumSeconds && maximumSeconds <= 600,
      """
      the shortest clip is \(minimumSeconds) s and the longest \(maximumSeconds) s; use seconds above 0, \
      the longest no less than the shortest and at most 600.
      """)
    if let framesPerSecond {
      try require(
        1...120 ~= framesPerSecond, "the rate is \(framesPerSecond); use 1...120 frames a second.")
    }
    if let maximumSide {
      try require(
        32...4096 ~= maximumSide,
        "the longest shorter side is \(maximumSide); use 32...4096 pixels.")
    }
  }
}
