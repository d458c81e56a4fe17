public import KinoSystem

/// A network that can't be built or fed as asked.
public struct ModelError: KinoError, Hashable {
  /// What kind of fault it is.
  public enum Code: Hashable, Sendable {
    /// Numbers of a configuration contradict each other or are out of range.
    case invalidConfiguration
    /// The model is of a kind, or asks for a feature, that Kino does not have.
    case unsupported
  }

  /// What kind of fault this one is.
  public let code: Code
  /// What was expected and what was found.
  public let details: String

  package init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The fault, and where to look for it.
  public var description: String {
    switch code {
    case .invalidConfiguration: "invalid model configuration. \(details). Check config.json."
    case .unsupported: "unsupported model. \(details)"
    }
  }
}
