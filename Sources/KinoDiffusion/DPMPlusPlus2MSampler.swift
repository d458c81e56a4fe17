public import KinoTensor

/// Predicts along the last two clean predictions: second order, one evaluation a step.
///
/// The clean prediction is taken as a straight line in `lambda = log((1 - sigma) / sigma)`. A
/// token's first step is of first order, and so is the last.
///
/// - Note: DPM-Solver++ (2M), arXiv:2211.01095, with the straight path's `alpha = 1 - sigma`.
public struct DPMPlusPlus2MSampler: Sampler {
  /// UniPC's; diffusers begins this method a thousandth below all noise.
  public let spacing = FlowMatchingSchedule.Spacing.uniPC

  /// Makes the sampler; it has no settings.
  public init() {}

  /// The last step's clean prediction, `[C, F, H, W]`.
  public func start() -> Tensor? { nil }

  /// Makes one step by one evaluation of the velocity.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Tensor?,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    let next = path.combine([latents, denoised] + (memory.map { [$0] } ?? [])) { level in
      if index < path.entry(of: level) { return [1, 0, 0] }
      let (now, next) = (path.sigma(index, of: level), path.sigma(index + 1, of: level))
      let gain = (1 - next) - (1 - now) * next / now
      let bend = bend(at: index, of: level, along: path)
      return [next / now, gain * (1 + bend), -gain * bend]
    }
    memory = denoised
    return (next, denoised)
  }

  /// How far half the step reaches beyond the last prediction, over the distance of the two.
  private func bend(at index: Int, of level: Double, along path: SamplingPath) -> Double {
    // The last step goes on forever in lambda.
    if index == path.entry(of: level) || index + 1 == path.schedule.stepCount { return 0 }
    let past = path.lambda(index, of: level) - path.lambda(index - 1, of: level)
    let ahead = path.lambda(index + 1, of: level) - path.lambda(index, of: level)
    // A token that has just entered may have a past too close to tell a slope.
    return past < 0.05 * ahead ? 0 : ahead / (2 * past)
  }
}
