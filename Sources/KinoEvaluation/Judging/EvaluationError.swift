public import KinoSystem

/// An evaluation that can't start.
public struct EvaluationError: KinoError, Hashable {
  /// What kind of fault it is.
  public enum Code: Hashable, Sendable {
    /// There is no judge, or one that was made for another vocabulary.
    case badJudge
    /// A file of prompts can't be read or has a line that is none.
    case badPrompts
    /// A number is out of range, or two models were judged on different prompts.
    case invalidSetting
  }

  /// The kind of this fault.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { code != .badJudge }
  /// What was expected, what was found, and what to do next.
  public let details: String

  package init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The details.
  public var description: String { details }
}
