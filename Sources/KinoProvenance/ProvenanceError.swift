public import KinoSystem

/// Reports why a file could not be signed or checked.
public struct ProvenanceError: KinoError, Hashable {
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

    /// The c2pa library is not installed, or can't be loaded.
    public static let libraryMissing = Code("libraryMissing")
    /// There is an identity already.
    public static let identityExists = Code("identityExists", isWrongUse: true)
    /// An identity's files can't be used.
    public static let invalidIdentity = Code("invalidIdentity")
    /// A file can't be signed.
    public static let notSigned = Code("notSigned")
    /// A file's credentials can't be read.
    public static let notReadable = Code("notReadable")
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
