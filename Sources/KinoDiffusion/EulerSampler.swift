public import KinoTensor

/// Follows the velocity in straight lines: first order, one evaluation a step.
public struct EulerSampler: Sampler {
  /// As diffusers samples models by this method.
  public let spacing = FlowMatchingSchedule.Spacing.euler

  /// Makes the sampler; it has no settings.
  public init() {}

  /// Makes one step by one evaluation of the velocity.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let next = path.combine([latents, slope]) {
      [1, path.sigma(index + 1, of: $0) - path.sigma(index, of: $0)]
    }
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    return (next, denoised)
  }
}
