public import KinoTensor

/// Where sampling stands when the model is asked for a velocity.
public struct SamplingMoment: Sendable {
  /// The step, from 0.
  public let index: Int
  /// Steps in all.
  public let count: Int
  /// The schedule's sigma; a token's own is at most its noise level.
  public let sigma: Double
  /// The schedule's timestep, 0...1000.
  public let timestep: Double
  /// The timestep of every token.
  public let timesteps: TokenTimesteps
}

/// Predicts the velocity at latents `[C, F, H, W]`, float32; any element type may come back.
public typealias Denoise = (_ latents: Tensor, _ moment: SamplingMoment) throws -> Tensor

/// One finished step.
public struct SamplingStep: Sendable {
  /// The step, from 0.
  public let index: Int
  /// Steps in all.
  public let count: Int
  /// The schedule's sigma that the latents have reached; 0 after the last step.
  public let sigma: Double
  /// `[C, F, H, W]`, float32; the result after the last step.
  public let latents: Tensor
  /// The clean latents as predicted in this step, for previews; exact where content is kept.
  public let denoised: Tensor

  /// Whether the latents are the result.
  public var isLast: Bool { index == count - 1 }
}

/// A method of following velocities from noise to latents.
///
/// Samplers are pure: whatever they remember is in the ``SamplingMemory`` they are handed.
public protocol Sampler: Sendable {
  /// Moves latents from step `index` to the next.
  ///
  /// Tokens that do not move need no care; they are restored bit for bit afterwards.
  ///
  /// - Parameters:
  ///   - latents: `[C, F, H, W]`, float32.
  ///   - index: The step, from 0.
  ///   - path: What sigmas tokens have at which step.
  ///   - memory: What earlier steps of this run left; empty at the first.
  ///   - velocity: The model at given latents, as of a given step.
  /// - Returns: The latents at the step's end, and the clean ones predicted at its start.
  /// - Throws: What `velocity` throws.
  func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout SamplingMemory,
    velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor)
}

/// What multistep methods carry from one step to the next.
public struct SamplingMemory: Sendable {
  /// The latents that the last step left from.
  var latents: Tensor?
  /// Clean predictions, the latest first.
  var predictions: [Tensor] = []
}

extension Sampler {
  /// Starts sampling; nothing is computed before the first ``SamplingSteps/next()``.
  ///
  /// - Parameters:
  ///   - canvas: What is known and what is free.
  ///   - noise: `[C, F, H, W]`, from ``Canvas/noise(seed:firstFrame:)``; its device is where
  ///     latents live.
  ///   - schedule: The sigmas to visit.
  ///   - denoise: Called once a step, twice by ``HeunSampler``.
  /// - Returns: A value whose ``SamplingSteps/next()`` makes one step.
  /// - Throws: ``DiffusionError`` if the noise has another shape or is not finite.
  public func steps(
    on canvas: Canvas, noise: Tensor, schedule: FlowMatchingSchedule, denoise: @escaping Denoise
  ) throws(DiffusionError) -> SamplingSteps {
    SamplingSteps(
      sampler: self, path: SamplingPath(canvas: canvas, schedule: schedule), denoise: denoise,
      latents: try canvas.noised(to: schedule.initialSigma, with: noise))
  }

  /// Samples to the end.
  ///
  /// - Returns: Clean latents `[C, F, H, W]`, float32.
  public func sample(
    _ canvas: Canvas, noise: Tensor, schedule: FlowMatchingSchedule, denoise: @escaping Denoise
  ) throws -> Tensor {
    var steps = try steps(on: canvas, noise: noise, schedule: schedule, denoise: denoise)
    while try steps.next() != nil {}
    return steps.latents
  }
}

/// Sampling in progress: a value whose ``next()`` makes one step.
///
/// Stop calling to cancel. An error leaves the value as it was before the step, so that the same
/// step can be tried again.
public struct SamplingSteps {
  let sampler: any Sampler
  let path: SamplingPath
  let denoise: Denoise
  /// The latents reached so far, `[C, F, H, W]`.
  public private(set) var latents: Tensor
  /// Steps done.
  public private(set) var index = 0
  private var memory = SamplingMemory()

  init(sampler: any Sampler, path: SamplingPath, denoise: @escaping Denoise, latents: Tensor) {
    self.sampler = sampler
    self.path = path
    self.denoise = denoise
    self.latents = latents
  }

  /// Steps in all.
  public var count: Int { path.schedule.stepCount }

  /// Makes the next step; `nil` when all are done.
  ///
  /// - Throws: Whatever `denoise` throws; ``DiffusionError`` if its velocity has the wrong shape or
  ///   the latents would no longer be finite.
  public mutating func next() throws -> SamplingStep? {
    if index == count { return nil }
    var memory = memory
    let result = try withoutGradient {
      try sampler.step(latents, at: index, along: path, memory: &memory, velocity: velocity)
    }
    let reached = path.restoring(latents, in: result.latents, after: index)
    try DiffusionError.require(
      reached.isFinite().all(), .notFinite,
      "expected finite latents, found NaN or infinity after step \(index + 1) of \(count); "
        + "try a higher precision or a lower guidance scale")
    self.memory = memory
    latents = reached
    defer { index += 1 }
    return SamplingStep(
      index: index, count: count, sigma: path.schedule.sigmas[index + 1], latents: reached,
      denoised: result.denoised)
  }

  private func velocity(_ latents: Tensor, _ index: Int) throws -> Tensor {
    let velocity = try denoise(latents, path.moment(index))
    try DiffusionError.require(
      velocity.shape == latents.shape, .shape,
      "expected a velocity of shape \(latents.shape), found \(velocity.shape)")
    return velocity.cast(to: .float32).moved(to: latents.device)
  }
}
