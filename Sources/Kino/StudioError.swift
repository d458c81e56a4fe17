public import KinoSystem

/// Reports why Kino could not do what was asked, and what to do next.
public struct StudioError: KinoError, Hashable {
  /// Names one kind of failure; compare with the static members.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the code.
    public let description: String
    /// Whether the request itself is at fault, whatever the machine and the files.
    public let isWrongUse: Bool

    init(_ description: String, isWrongUse: Bool = false) {
      self.description = description
      self.isWrongUse = isWrongUse
    }

    /// The prompt is empty or too long.
    public static let invalidPrompt = Code("invalidPrompt", isWrongUse: true)
    /// A size is out of range.
    public static let invalidSize = Code("invalidSize", isWrongUse: true)
    /// A length or rate is out of range.
    public static let invalidLength = Code("invalidLength", isWrongUse: true)
    /// Steps, guidance or another setting is out of range.
    public static let invalidSetting = Code("invalidSetting", isWrongUse: true)
    /// A storyboard's file is not what it should be.
    public static let invalidStoryboard = Code("invalidStoryboard", isWrongUse: true)
    /// Kino, or this machine, does not have what was asked for.
    public static let unsupported = Code("unsupported", isWrongUse: true)
    /// There is no model of this name, or at this place.
    public static let modelNotFound = Code("modelNotFound")
    /// The parts of a model do not fit each other, or are not of a kind Kino runs.
    public static let invalidModel = Code("invalidModel")
    /// The work would need more memory than there is.
    public static let notEnoughMemory = Code("notEnoughMemory")
    /// Sampling was done, decoding or writing was not; the latents are kept.
    public static let decodingFailed = Code("decodingFailed")
    /// What was made can't be handed over.
    public static let notWritten = Code("notWritten")
    /// A tensor of a file is missing or has the wrong shape.
    public static let invalidTensor = Code("invalidTensor", isWrongUse: true)
    /// There is a file of this name already.
    public static let outputExists = Code("outputExists")
    /// The file cannot be inspected.
    public static let notInspectable = Code("notInspectable")
  }

  /// What kind of failure this is.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { code.isWrongUse }
  /// What was expected, what was found, and what to do next.
  public let details: String

  /// Creates an error.
  public init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The details.
  public var description: String { details }
}
