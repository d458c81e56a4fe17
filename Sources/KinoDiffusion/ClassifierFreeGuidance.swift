public import KinoTensor

/// Strengthens the prompt: `v = v_negative + scale * (v_positive - v_negative)`.
///
/// - Note: Ho and Salimans, arXiv:2207.12598. The rescale is Lin et al., arXiv:2305.08891,
///   section 3.4; the interval Kynkäänniemi et al., arXiv:2404.07724.
public struct ClassifierFreeGuidance: Sendable, Hashable {
  /// Which text a velocity is asked for.
  public enum Branch: Sendable, Hashable { case positive, negative }

  /// Predicts one velocity per branch, in order, as one batch or one by one.
  public typealias Predict = (
    _ latents: Tensor, _ moment: SamplingMoment, _ branches: [Branch]
  ) throws -> [Tensor]

  /// 1 follows the positive prompt alone, and never asks for the negative one.
  public let scale: Double
  /// How far, 0...1, to bring the velocity's deviation back to the positive one's.
  public let rescale: Double
  /// The schedule's sigmas at which guidance is on; elsewhere the scale is 1.
  public let sigmas: ClosedRange<Double>

  /// Makes guidance of some strength.
  ///
  /// - Throws: ``DiffusionError`` unless the scale is finite and from 0, and the rescale in 0...1.
  public init(
    scale: Double, rescale: Double = 0, sigmas: ClosedRange<Double> = 0...1
  ) throws(DiffusionError) {
    try DiffusionError.require(
      scale >= 0 && scale.isFinite, .range, "expected a guidance scale from 0, found \(scale)")
    try DiffusionError.require(
      (0...1).contains(rescale), .range, "expected a guidance rescale in 0...1, found \(rescale)")
    self.scale = scale
    self.rescale = rescale
    self.sigmas = sigmas
  }

  /// The branches that a step at this sigma needs.
  public func branches(at sigma: Double) -> [Branch] {
    scale == 1 || !sigmas.contains(sigma) ? [.positive] : [.positive, .negative]
  }

  /// Combines the velocities of both branches, in float32.
  public func combine(positive: Tensor, negative: Tensor) -> Tensor {
    let (positive, negative) = (positive.cast(to: .float32), negative.cast(to: .float32))
    let guided = negative + (positive - negative) * scale
    if rescale == 0 { return guided }
    let ratio =
      (positive.variance() / guided.variance().maximum(Tensor(1e-20).moved(to: guided.device)))
      .squareRoot()
    return guided * (ratio * rescale + (1 - rescale))
  }

  /// Wraps a model of both branches into one velocity.
  ///
  /// The result throws what `predict` throws, and ``DiffusionError`` if it gives another number of
  /// velocities than it was asked for.
  public func denoise(_ predict: @escaping Predict) -> Denoise {
    { latents, moment in
      let branches = branches(at: moment.sigma)
      return try combine(predict(latents, moment, branches), of: branches)
    }
  }

  /// Combines the velocities of a step's branches.
  ///
  /// - Throws: ``DiffusionError`` if there are more or fewer than branches.
  package func combine(
    _ velocities: [Tensor], of branches: [Branch]
  ) throws(DiffusionError) -> Tensor {
    try DiffusionError.require(
      velocities.count == branches.count, .shape,
      "expected \(branches.count) velocities, found \(velocities.count)")
    if branches == [.positive] { return velocities[0] }
    return combine(positive: velocities[0], negative: velocities[1])
  }
}
