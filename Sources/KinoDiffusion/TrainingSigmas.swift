import Foundation
public import KinoTensor

/// How often training visits which sigma, and what each counts.
public struct TrainingSigmas: Sendable {
  /// The density of sigmas before the shift.
  public enum Density: Sendable, Hashable, Codable {
    /// `sigmoid(mean + deviation * z)` with a standard normal `z`: most often between the ends.
    case logitNormal(mean: Double, deviation: Double)
    case uniform
  }

  /// How sigmas are drawn before the shift.
  public let density: Density
  /// Weight of a sample's loss, by its sigma.
  public let lossWeight: @Sendable (_ sigma: Double) -> Double

  /// Makes a density with a loss weight.
  ///
  /// - Throws: ``DiffusionError`` unless the mean is finite and the deviation finite and positive.
  public init(
    density: Density = .logitNormal(mean: 0, deviation: 1),
    lossWeight: @escaping @Sendable (_ sigma: Double) -> Double = { _ in 1 }
  ) throws(DiffusionError) {
    if case .logitNormal(let mean, let deviation) = density {
      try DiffusionError.require(
        mean.isFinite && deviation > 0 && deviation.isFinite, .range,
        "expected a finite mean and a positive deviation, found \(mean) and \(deviation)")
    }
    self.density = density
    self.lossWeight = lossWeight
  }

  /// Draws sigmas in 0...1 and shifts them.
  ///
  /// Makes exactly one draw. The shift is as for sampling, and grows with the token count: see
  /// ``ResolutionShift``.
  public func draw(_ count: Int, shift: Double, from random: inout RandomSource) -> [Double] {
    switch density {
    case .logitNormal(let mean, let deviation):
      random.normal([count]).floats().map {
        let sigma = 1 / (1 + exp(-(mean + deviation * Double($0))))
        return FlowMatchingSchedule.shift(sigma, by: shift)
      }
    case .uniform:
      random.uniform([count]).floats().map { FlowMatchingSchedule.shift(Double($0), by: shift) }
    }
  }
}
