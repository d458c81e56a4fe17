public import KinoTensor

/// Averages the velocities at both ends of a step: second order, two evaluations a step.
public struct HeunSampler: Sampler {
  /// As diffusers samples models by this method.
  public let spacing = FlowMatchingSchedule.Spacing.euler
  /// Two; the last step makes one.
  public let evaluationsPerStep = 2

  /// Makes the sampler; it has no settings.
  public init() {}

  /// Makes one step by two evaluations of the velocity.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    func length(_ level: Double) -> Double {
      path.sigma(index + 1, of: level) - path.sigma(index, of: level)
    }
    let slope = try velocity(latents, index)
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    let guess = path.combine([latents, slope]) { [1, length($0)] }
    // Models are not asked at sigma 0.
    if index + 1 == path.schedule.stepCount { return (guess, denoised) }
    let onward = try velocity(path.restoring(latents, in: guess, after: index), index + 1)
    let next = path.combine([latents, slope, onward]) { [1, length($0) / 2, length($0) / 2] }
    return (next, denoised)
  }
}
