/// A training run that can't start or can't go on.
public struct TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of fault it is.
  public enum Code: Hashable, Sendable {
    case invalidConfiguration, dataNotFound, badCheckpoint, notFinite, cannotWrite, alreadyRunning
  }

  /// The kind of this fault.
  public let code: Code
  /// What was expected, what was found, and what to do next.
  public let details: String

  package init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The details.
  public var description: String { details }
}
