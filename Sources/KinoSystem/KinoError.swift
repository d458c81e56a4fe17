/// An error of Kino's modules: its description says what was expected, what was found, and what to do next.
public protocol KinoError: Error, Sendable, CustomStringConvertible {
  /// The name of the kind of failure, for programs.
  var kind: String { get }
  /// Whether the request itself is at fault, whatever the machine and the files.
  var isWrongUse: Bool { get }
}

extension KinoError {
  /// Most failures are not the request's.
  public var isWrongUse: Bool { false }
}
