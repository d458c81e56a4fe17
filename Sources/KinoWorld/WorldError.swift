public import KinoSystem

/// Tells why a scene could not be made.
public struct WorldError: KinoError, Hashable {
  /// The kinds of failure.
  public enum Code: String, Sendable {
    /// No word of the prompt names anything in this world.
    case nothingUnderstood
  }

  /// Which kind of failure this is.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { true }
  /// What was expected, what was found, and what to do next.
  public let details: String

  /// The details.
  public var description: String { details }
}
