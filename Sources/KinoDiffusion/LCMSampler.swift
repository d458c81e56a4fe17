public import KinoTensor

/// Goes to the clean prediction, and noises it anew to the next sigma: one evaluation a step.
///
/// For checkpoints distilled to predict clean latents from any noise in one to eight steps; others
/// lose detail.
///
/// - Note: Latent consistency models, arXiv:2310.04378, multistep sampling.
public struct LCMSampler: Sampler {
  /// As models distilled to few steps are made.
  public let spacing = FlowMatchingSchedule.Spacing.trailing

  /// Makes the sampler; it has no settings.
  public init() {}

  /// Makes one step by one evaluation of the velocity, and one draw of noise.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    if index + 1 == path.schedule.stepCount { return (denoised, denoised) }
    let next = path.combine([denoised, noise.next()]) { level in
      let sigma = path.sigma(index + 1, of: level)
      return [1 - sigma, sigma]
    }
    return (next, denoised)
  }
}
