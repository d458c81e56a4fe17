/// An error of Kino's modules: its description says what was expected, what was found, and what to do next.
public protocol KinoError: Error, Sendable, CustomStringConvertible {
  /// Names kinds of failure.
  associatedtype Code
  /// What kind of failure this is.
  var code: Code { get }
  /// Whether the request itself is at fault, whatever the machine and the files.
  var isWrongUse: Bool { get }
}

extension KinoError {
  /// The name of the code, for programs.
  public var kind: String { "\(code)" }
  /// Most failures are not the request's.
  public var isWrongUse: Bool { false }
}
