/// Words the faults of one network's configuration.
struct ConfigurationCheck {
  let network: String

  /// Throws unless `value` lies within `range`.
  ///
  /// The bounds keep products of sizes far from overflow, so that a damaged file cannot trap.
  func require(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws(ModelError) {
    if !range.contains(value) {
      throw invalid("\(key) is \(value), expected \(range.lowerBound)...\(range.upperBound)")
    }
  }

  /// Throws unless the epsilon of a norm is a small positive number.
  func require(_ key: String, epsilon: Double) throws(ModelError) {
    if !(epsilon > 0 && epsilon < 1) {
      throw invalid("\(key) is \(epsilon), expected a number between 0 and 1")
    }
  }

  func invalid(_ details: String) -> ModelError {
    ModelError(.invalidConfiguration, "\(network): \(details)")
  }

  func unsupported(_ details: String) -> ModelError {
    ModelError(.unsupported, "\(network): \(details)")
  }
}
