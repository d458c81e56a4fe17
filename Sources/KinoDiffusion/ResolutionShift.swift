/// A sigma shift that grows with the number of tokens.
///
/// More tokens hide a picture less at the same sigma, since neighbouring tokens tell about each
/// other. To keep the same uncertainty the shift grows with the square root of their number:
///
///     shift = base * sqrt(tokens / baseTokens), clipped to range
///
/// - Note: Stable Diffusion 3, arXiv:2403.03206, section 5.3.2.
public struct ResolutionShift: Sendable, Hashable {
  /// The shift at ``baseTokens``.
  public let base: Double
  /// The token count at which the shift is ``base``.
  public let baseTokens: Int
  /// Limits of the shift.
  public let range: ClosedRange<Double>

  /// Makes a shift.
  ///
  /// - Throws: ``DiffusionError`` unless all numbers are positive and finite.
  public init(
    base: Double, baseTokens: Int, range: ClosedRange<Double> = 1...16
  ) throws(DiffusionError) {
    try DiffusionError.require(
      base > 0 && base.isFinite && baseTokens > 0 && range.lowerBound > 0
        && range.upperBound.isFinite, .range,
      "expected a positive shift, token count and range, found \(base), \(baseTokens), \(range)")
    self.base = base
    self.baseTokens = baseTokens
    self.range = range
  }

  /// The shift for a canvas of so many tokens.
  public func shift(tokens: Int) -> Double {
    let free = base * (Double(max(0, tokens)) / Double(baseTokens)).squareRoot()
    return min(max(free, range.lowerBound), range.upperBound)
  }
}
