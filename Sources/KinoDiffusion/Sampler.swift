public import KinoTensor

/// A method of following velocities from noise to latents.
///
/// Samplers are pure: what they remember is in their ``Memory``, and what they draw is in the
/// ``StepNoise`` they are handed. A method of one's own is a type with one function:
///
/// ```swift
/// import KinoDiffusion
///
/// struct Straight: Sampler {
///   let spacing = FlowMatchingSchedule.Spacing.trailing
///
///   func step(
///     _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
///     noise: inout StepNoise, velocity: (Tensor, Int) throws -> Tensor
///   ) throws -> (latents: Tensor, denoised: Tensor) {
///     let slope = try velocity(latents, index)
///     let next = path.combine([latents, slope]) {
///       [1, path.sigma(index + 1, of: $0) - path.sigma(index, of: $0)]
///     }
///     return (next, path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] })
///   }
/// }
/// ```
public protocol Sampler: Sendable {
  /// What a run carries from one step to the next: a value, so that a step can be tried again.
  associatedtype Memory: Sendable = Void

  /// The memory of a run that has not begun.
  func start() -> Memory

  /// Where the steps lie unless a caller chooses: what models that want this method were made with.
  var spacing: FlowMatchingSchedule.Spacing { get }

  /// How often a step evaluates the velocity, at most.
  var evaluationsPerStep: Int { get }

  /// Moves latents from step `index` to the next.
  ///
  /// Tokens that do not move need no care; they are restored bit for bit afterwards.
  ///
  /// - Parameters:
  ///   - latents: `[C, F, H, W]`, float32.
  ///   - index: The step, from 0.
  ///   - path: What sigmas tokens have at which step.
  ///   - memory: What earlier steps of this run left.
  ///   - noise: Fresh noise, on the latents' device.
  ///   - velocity: The model at given latents, as of a given step: `[C, F, H, W]`, float32.
  /// - Returns: The latents at the step's end, and the clean ones predicted at its start.
  /// - Throws: What `velocity` throws.
  func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Memory,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor)
}

extension Sampler {
  /// One.
  public var evaluationsPerStep: Int { 1 }
}

extension Sampler where Memory == Void {
  /// Nothing is remembered.
  public func start() {}
}

extension Sampler {
  /// Starts sampling; nothing is computed before the first ``SamplingSteps/next()``.
  ///
  /// - Parameters:
  ///   - canvas: What is known and what is free.
  ///   - noise: `[C, F, H, W]`, from ``Canvas/noise(seed:firstFrame:)``; its device is where
  ///     latents live.
  ///   - seed: The seed of the noise that steps add, where the method adds any.
  ///   - firstFrame: Where the canvas begins in its clip, in latent frames.
  ///   - schedule: The sigmas to visit.
  ///   - denoise: Called ``evaluationsPerStep`` times a step.
  /// - Returns: A value whose ``SamplingSteps/next()`` makes one step.
  /// - Throws: ``DiffusionError`` if the noise has another shape or is not finite.
  public func steps(
    on canvas: Canvas, noise: Tensor, seed: UInt64 = 0, firstFrame: Int = 0,
    schedule: FlowMatchingSchedule, denoise: @escaping Denoise
  ) throws(DiffusionError) -> SamplingSteps {
    SamplingSteps(
      of: self, along: SamplingPath(canvas: canvas, schedule: schedule), seed: seed,
      firstFrame: firstFrame, from: try canvas.noised(to: schedule.initialSigma, with: noise),
      denoise: denoise)
  }

  /// Samples to the end; see ``steps(on:noise:seed:firstFrame:schedule:denoise:)``.
  ///
  /// - Returns: Clean latents `[C, F, H, W]`, float32.
  /// - Throws: ``DiffusionError``, and whatever `denoise` throws.
  public func sample(
    _ canvas: Canvas, noise: Tensor, seed: UInt64 = 0, firstFrame: Int = 0,
    schedule: FlowMatchingSchedule, denoise: @escaping Denoise
  ) throws -> Tensor {
    var steps = try steps(
      on: canvas, noise: noise, seed: seed, firstFrame: firstFrame, schedule: schedule,
      denoise: denoise)
    while try steps.next() != nil {}
    return steps.latents
  }
}
