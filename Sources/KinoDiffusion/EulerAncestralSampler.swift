public import KinoTensor

/// Straight steps that replace a part of the noise with fresh noise: one evaluation a step.
///
/// At the end of a step the clean prediction carries noise of the next sigma, as always; of that
/// noise's variance, a share is new. With `eta` 1 it is the share that makes steps independent given
/// the clean latents (the posterior's), with 0 none: Euler's method.
///
/// - Note: DDIM, arXiv:2010.02502, equation 16, with the straight path's `alpha = 1 - sigma`.
public struct EulerAncestralSampler: Sampler {
  /// The standard deviation of the new noise, over the posterior's: 0...1.
  public let eta: Double
  /// As models distilled to few steps are made.
  public let spacing = FlowMatchingSchedule.Spacing.trailing

  /// Makes the sampler with an `eta` of 1.
  public init() { eta = 1 }

  /// Makes a sampler that adds less noise.
  ///
  /// - Throws: ``DiffusionError`` for an `eta` outside 0...1.
  public init(eta: Double) throws(DiffusionError) {
    try DiffusionError.require(
      (0...1).contains(eta), .range, "expected an eta in 0...1, found \(eta)")
    self.eta = eta
  }

  /// Makes one step by one evaluation of the velocity, and one draw of noise.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    if index + 1 == path.schedule.stepCount { return (denoised, denoised) }
    let next = path.combine([latents, slope, noise.next()]) { level in
      let (now, next) = (path.sigma(index, of: level), path.sigma(index + 1, of: level))
      let new = newShare(now, next)
      let old = next * (1 - new * new).squareRoot()
      // Clean and noise prediction, written in latents and velocity.
      return [(1 - next) + old, old * (1 - now) - (1 - next) * now, next * new]
    }
    return (next, denoised)
  }

  /// The new noise's deviation, over all noise's, where a step goes from one sigma to the next.
  private func newShare(_ now: Double, _ next: Double) -> Double {
    if now == 0 { return 0 }
    let ratio = next * (1 - now) / (now * (1 - next))
    return eta * max(0, 1 - ratio * ratio).squareRoot()
  }
}
