public import KinoSystem

/// Reports why files could not be fetched from a hub.
public struct HubError: KinoError, Hashable {
  /// Names one kind of failure; compare with the static members.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the code.
    public let description: String
    /// Whether the request itself is at fault.
    public let isWrongUse: Bool

    init(_ description: String, isWrongUse: Bool = false) {
      self.description = description
      self.isWrongUse = isWrongUse
    }

    /// The repository's name, the hub's address or a file's name is none.
    public static let invalidRequest = Code("invalidRequest", isWrongUse: true)
    /// There is no such repository or file, or it is not open to everybody.
    public static let notFound = Code("notFound")
    /// It is not clear which files are meant.
    public static let ambiguous = Code("ambiguous", isWrongUse: true)
    /// The hub can't be reached, or broke off again and again.
    public static let unreachable = Code("unreachable")
    /// The hub's answer is not what it should be.
    public static let badAnswer = Code("badAnswer")
    /// What was fetched is not what the hub lists.
    public static let damaged = Code("damaged")
    /// The files can't be kept here.
    public static let notKept = Code("notKept")
  }

  /// What kind of failure this is.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { code.isWrongUse }
  /// What was expected, what was found, and what to do next.
  public let details: String

  init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The details.
  public var description: String { details }
}
