/// The falling sigmas that a sampler visits, and the timesteps the model is told.
public struct FlowMatchingSchedule: Sendable, Hashable {
  /// Where unshifted sigmas lie; each is exact to what models were published with.
  public enum Spacing: String, Sendable, Hashable, Codable {
    /// Evenly from 1 to a last sigma of shifted 1/1000, then shifted (again); real timesteps.
    case euler
    /// Evenly from 1 to just above 1/1000, then shifted; the first sigma stays just below 1, and
    /// timesteps are whole numbers, rounded down.
    case uniPC
    /// Evenly from 1 to one step above 0, then shifted; real timesteps.
    case trailing
  }

  /// `stepCount + 1` sigmas, falling to 0, each exact in float32.
  public let sigmas: [Double]
  /// The timestep of each step, 1000 times sigma by the spacing's rounding.
  public let timesteps: [Double]

  /// Steps from noise to the result.
  public var stepCount: Int { timesteps.count }

  /// Lays out `stepCount` steps.
  ///
  /// - Parameters:
  ///   - stepCount: 1...1000.
  ///   - shift: Positive; above 1 spends more steps at high noise; see ``shift(_:by:)`` and ``ResolutionShift``.
  ///   - spacing: The conventions to follow.
  /// - Throws: ``DiffusionError`` if the numbers are out of range, or steps fall together.
  public init(stepCount: Int, shift: Double, spacing: Spacing) throws(DiffusionError) {
    try DiffusionError.require(
      (1...1000).contains(stepCount), .range, "expected 1...1000 steps, found \(stepCount)")
    try DiffusionError.require(
      shift > 0 && shift.isFinite, .range, "expected a positive shift, found \(shift)")
    let exact =
      switch spacing {
      case .euler: FlowMatchingSchedule.eulerSigmas(stepCount, shift)
      case .uniPC: FlowMatchingSchedule.uniPCSigmas(stepCount, shift)
      case .trailing: FlowMatchingSchedule.trailingSigmas(stepCount, shift)
      }
    let sigmas = exact.map { Double(Float($0)) }
    let timesteps =
      switch spacing {
      case .euler, .trailing: sigmas.map { Double(Float($0) * 1000) }
      case .uniPC: exact.map { ($0 * 1000).rounded(.down) }
      }
    try self.init(sigmas: sigmas, timesteps: timesteps)
  }

  /// Takes sigmas as they are, and adds a final 0.
  ///
  /// Timesteps are 1000 times sigma. A first sigma below 1 starts from content noised to it.
  ///
  /// - Parameter sigmas: Falling, above 0, at most 1.
  /// - Throws: ``DiffusionError`` for other sigmas.
  public init(sigmas: [Double]) throws(DiffusionError) {
    try self.init(sigmas: sigmas, timesteps: sigmas.map { $0 * 1000 })
  }

  private init(sigmas: [Double], timesteps: [Double]) throws(DiffusionError) {
    let isFalling = zip(sigmas, sigmas.dropFirst()).allSatisfy { $0 > $1 }
    try DiffusionError.require(
      !sigmas.isEmpty && isFalling && sigmas.allSatisfy { $0 > 0 && $0 <= 1 }, .range,
      "expected falling sigmas above 0 and at most 1, found \(sigmas.prefix(8)); "
        + "use fewer steps or a smaller shift")
    self.sigmas = sigmas + [0]
    self.timesteps = timesteps
  }

  /// Where sampling starts: the first sigma, or 1 if it only stays below 1 for the solver's sake.
  public var initialSigma: Double { sigmas[0] > 0.99999 ? 1 : sigmas[0] }

  /// Moves a sigma in 0...1 towards 1: `shift * sigma / (1 + (shift - 1) * sigma)`.
  public static func shift(_ sigma: Double, by shift: Double) -> Double {
    shift * sigma / (1 + (shift - 1) * sigma)
  }

  private static func eulerSigmas(_ count: Int, _ shift: Double) -> [Double] {
    let last = Double(Float(self.shift(Double(Float(0.001)), by: shift)))
    return spaced(from: 1000, to: 1000 * last, intervals: count - 1).map {
      self.shift($0 / 1000, by: shift)
    }
  }

  private static func uniPCSigmas(_ count: Int, _ shift: Double) -> [Double] {
    var sigmas = spaced(from: 1, to: 0.001, intervals: count).dropLast().map {
      self.shift($0, by: shift)
    }
    // At sigma 1 the solver's log signal-to-noise ratio would be infinite.
    if abs(sigmas[0] - 1) < 1e-6 { sigmas[0] -= 1e-6 }
    return sigmas
  }

  private static func trailingSigmas(_ count: Int, _ shift: Double) -> [Double] {
    spaced(from: 1, to: 0, intervals: count).dropLast().map { self.shift($0, by: shift) }
  }

  private static func spaced(from start: Double, to end: Double, intervals: Int) -> [Double] {
    if intervals == 0 { return [start] }
    let step = (end - start) / Double(intervals)
    return (0..<intervals).map { start + Double($0) * step } + [end]
  }
}
