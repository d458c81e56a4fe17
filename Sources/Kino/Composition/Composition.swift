/// What is asked for, in pixels and seconds: the frames to deliver, and what is known of them.
///
/// A composition is a canvas before any latent exists. Its timeline lists what is delivered, in order:
/// parts of files that are kept, and shots that the model makes. Every verb is a function that makes one;
/// see ``generate(_:size:seconds:)`` and its neighbours.
public struct Composition: Codable, Hashable, Sendable {
  /// What the composition was asked for as: names the command, and chooses limits and words.
  public var verb: Verb
  /// What is delivered, in order.
  public var timeline: [Segment]
  /// What the shots should not show.
  public var negativePrompt = ""
  /// The size of the result, exactly; `nil` is the first source's, or the model's choice.
  public var size: FrameSize?
  /// The rate of the result; `nil` is the first source's, or the model's choice.
  public var framesPerSecond: Double?
  /// How sources of another shape are laid into the result.
  public var fit = FitMode.crop
  /// Whether the sound of sources is kept, at the time of their frames.
  public var keepsSound = true

  /// Makes a composition of a timeline.
  public init(_ verb: Verb, timeline: [Segment]) {
    self.verb = verb
    self.timeline = timeline
  }

  /// The first prompt; empty if there is none.
  public var prompt: String { shots.first?.prompts.first?.text ?? "" }

  /// The shots of the timeline, in order.
  public var shots: [Shot] {
    timeline.compactMap { if case .shot(let shot) = $0 { shot } else { nil } }
  }

  /// Changes every shot in place.
  public mutating func updateShots(_ change: (inout Shot) throws -> Void) rethrows {
    for index in timeline.indices {
      guard case .shot(var shot) = timeline[index] else { continue }
      try change(&shot)
      timeline[index] = .shot(shot)
    }
  }
}

extension Composition {
  enum CodingKeys: String, CodingKey {
    case verb, timeline, size, fit
    case negativePrompt = "negative_prompt"
    case framesPerSecond = "frames_per_second"
    case keepsSound = "sound"
  }
}

/// One stretch of what a composition delivers.
public enum Segment: Hashable, Sendable {
  /// Frames of a file, as they are.
  case media(MediaPart)
  /// Frames that the model makes.
  case shot(Shot)
}

/// A stretch of a clip, or a picture, by its place in the file system.
public struct MediaPart: Codable, Hashable, Sendable {
  /// The file.
  public var path: String
  /// Where it begins, in seconds from the file's first frame.
  public var start = 0.0
  /// How long it lasts in seconds; `nil` is to the end.
  public var seconds: Double?
  /// Whether its frames come in the opposite order.
  public var isReversed = false

  /// Names a stretch of a file.
  public init(
    _ path: String, start: Double = 0, seconds: Double? = nil, isReversed: Bool = false
  ) {
    self.path = path
    self.start = start
    self.seconds = seconds
    self.isReversed = isReversed
  }

  enum CodingKeys: String, CodingKey {
    case path, start, seconds
    case isReversed = "reversed"
  }
}

/// Frames that the model makes in one go: one canvas of latents.
public struct Shot: Codable, Hashable, Sendable {
  /// What is shown, from when on; the first holds from the start whatever its time.
  public var prompts: [TimedPrompt]
  /// The length in frames; exclusive with ``seconds``.
  public var frames: Int?
  /// The length in seconds. Without a length, a shot is as long as its whole guide, or as the model's
  /// clips are.
  public var seconds: Double?
  /// Which neighbours on the timeline the shot moves on from and into.
  public var joins: Joins = []
  /// What is known inside the shot.
  public var guides: [Guide] = []

  /// Describes a shot.
  public init(
    _ prompt: String = "", frames: Int? = nil, seconds: Double? = nil, joins: Joins = [],
    guides: [Guide] = []
  ) {
    prompts = [TimedPrompt(prompt)]
    self.frames = frames
    self.seconds = seconds
    self.joins = joins
    self.guides = guides
  }

  /// The neighbours that a shot joins without a cut. After the last segment comes the first, so that the
  /// last shot can close a loop.
  public struct Joins: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: Int
    /// Makes a set of its bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// The segment before: the shot goes on from its last frames.
    public static let previous = Joins(rawValue: 1)
    /// The segment after: the shot runs into its first frames.
    public static let next = Joins(rawValue: 2)
  }
}

/// A prompt and when it begins.
public struct TimedPrompt: Codable, Hashable, Sendable {
  /// What is shown.
  public var text: String
  /// Seconds from the start of the shot.
  public var start: Double

  /// Gives a prompt a time.
  public init(_ text: String, start: Double = 0) {
    self.text = text
    self.start = start
  }
}

/// Frames that a shot knows.
public struct Guide: Codable, Hashable, Sendable {
  /// The picture or clip.
  public var part: MediaPart
  /// When it is shown, in seconds from the start of the shot; `nil` is the whole shot, which then has the
  /// part's length.
  public var start: Double?
  /// How freely the frames may change: 0 keeps them exactly, 1 ignores them.
  public var noiseLevel = 0.0
  /// A picture or clip, white where the frames may change; `nil` is everywhere.
  public var mask: MediaPart?

  /// Makes a guide.
  public init(
    _ part: MediaPart, at start: Double?, noiseLevel: Double = 0, mask: MediaPart? = nil
  ) {
    self.part = part
    self.start = start
    self.noiseLevel = noiseLevel
    self.mask = mask
  }

  enum CodingKeys: String, CodingKey {
    case part, start, mask
    case noiseLevel = "noise"
  }
}

// MARK: - Coding

extension Segment: Codable {
  enum CodingKeys: String, CodingKey { case media, shot }

  /// Reads an object with one key, `media` or `shot`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    if let part = try values.decodeIfPresent(MediaPart.self, forKey: .media) {
      self = .media(part)
    } else {
      self = .shot(try values.decode(Shot.self, forKey: .shot))
    }
  }

  /// Writes an object with one key.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .media(let part): try values.encode(part, forKey: .media)
    case .shot(let shot): try values.encode(shot, forKey: .shot)
    }
  }
}

extension Shot.Joins: Codable {
  private static let names: [(name: String, join: Self)] = [
    ("previous", .previous), ("next", .next),
  ]

  /// Reads a list of `previous` and `next`.
  public init(from decoder: any Decoder) throws {
    let words = try decoder.singleValueContainer().decode([String].self)
    self = Self(Self.names.filter { words.contains($0.name) }.map(\.join))
  }

  /// Writes a list of words.
  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(Self.names.filter { contains($0.join) }.map(\.name))
  }
}

extension FrameSize: Codable {
  /// Reads `"WIDTHxHEIGHT"`.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let size = FrameSize(parsing: text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "expected WIDTHxHEIGHT: \(text)"))
    }
    self = size
  }

  /// Writes `"WIDTHxHEIGHT"`.
  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}
