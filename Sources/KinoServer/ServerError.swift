public import KinoSystem

/// Reports why a server could not start, or a request to one failed.
public struct ServerError: KinoError, Hashable {
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

    /// The server's settings can't be used.
    public static let invalidConfiguration = Code("invalidConfiguration", isWrongUse: true)
    /// The folder is in use, can't be written, or holds something else.
    public static let folderUnusable = Code("folderUnusable")
    /// The address is taken, or not this machine's.
    public static let addressUnusable = Code("addressUnusable")
    /// There is no key of this name.
    public static let keyNotFound = Code("keyNotFound", isWrongUse: true)
    /// The server can't be reached, or broke off.
    public static let unreachable = Code("unreachable")
    /// The server refused the request.
    public static let refused = Code("refused", isWrongUse: true)
    /// The server could not make what was asked for.
    public static let jobFailed = Code("jobFailed")
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
