/// Says why a network cannot be built.
public struct ModelError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it was.
  public enum Code: Hashable, Sendable {
    /// The configuration contradicts itself or lies outside what can be built.
    case invalidConfiguration
    /// The configuration is sound, but asks for something Kino does not have.
    case unsupportedConfiguration
  }

  public let code: Code
  /// The network the configuration belongs to.
  public let network: String
  /// What was expected and what was found.
  public let details: String

  public init(_ code: Code, network: String, details: String) {
    self.code = code
    self.network = network
    self.details = details
  }

  public var description: String {
    switch code {
    case .invalidConfiguration:
      "the \(network)'s configuration is not valid: \(details). Check its config.json."
    case .unsupportedConfiguration:
      "the \(network) is of a kind that is not supported: \(details). Use another checkpoint."
    }
  }
}

/// Collects the checks of one configuration.
struct ConfigurationCheck {
  let network: String

  /// Throws unless `value` lies within `range`.
  ///
  /// The bounds keep products of two sizes far from overflow, so that a damaged file cannot trap.
  func require(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws(ModelError) {
    if !range.contains(value) {
      throw invalid("\(key) is \(value), expected \(range.lowerBound)...\(range.upperBound)")
    }
  }

  /// Throws unless the norm's epsilon is a small positive number.
  func require(_ key: String, epsilon: Double) throws(ModelError) {
    if !(epsilon > 0 && epsilon < 1) {
      throw invalid("\(key) is \(epsilon), expected a number between 0 and 1")
    }
  }

  func invalid(_ details: String) -> ModelError {
    ModelError(.invalidConfiguration, network: network, details: details)
  }

  func unsupported(_ details: String) -> ModelError {
    ModelError(.unsupportedConfiguration, network: network, details: details)
  }
}
