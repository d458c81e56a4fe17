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

  /// Describes a moment.
  public init(
    index: Int, count: Int, sigma: Double, timestep: Double, timesteps: TokenTimesteps
  ) {
    self.index = index
    self.count = count
    self.sigma = sigma
    self.timestep = timestep
    self.timesteps = timesteps
  }

  /// The same moment as the tokens of another canvas see it.
  func seen(by canvas: Canvas) -> SamplingMoment {
    SamplingMoment(
      index: index, count: count, sigma: sigma, timestep: timestep,
      timesteps: canvas.timesteps(atMost: timestep))
  }
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

/// Sampling in progress: a value whose ``next()`` makes one step.
///
/// Stop calling to cancel. An error leaves the value as it was before the step, so that the same
/// step can be tried again: latents, the sampler's memory and its noise. What `denoise` remembers
/// is its own affair.
public struct SamplingSteps {
  /// The latents reached so far, `[C, F, H, W]`.
  public private(set) var latents: Tensor
  /// Steps done.
  public private(set) var index = 0
  private let path: SamplingPath
  private let seed: UInt64
  private let firstFrame: Int
  private let denoise: Denoise
  private var run: any SamplerRun

  init(
    of sampler: some Sampler, along path: SamplingPath, seed: UInt64, firstFrame: Int,
    from latents: Tensor, denoise: @escaping Denoise
  ) {
    self.path = path
    self.seed = seed
    self.firstFrame = firstFrame
    self.latents = latents
    self.denoise = denoise
    run = Run(of: sampler)
  }

  /// Steps in all.
  public var count: Int { path.schedule.stepCount }

  /// Makes the next step; `nil` when all are done.
  ///
  /// - Throws: Whatever `denoise` throws; ``DiffusionError`` if its velocity has the wrong shape or
  ///   the latents would no longer be finite.
  public mutating func next() throws -> SamplingStep? {
    if index == count { return nil }
    var run = run
    let noise = StepNoise(
      for: path.canvas.shape, seed: seed, step: index, firstFrame: firstFrame,
      device: latents.device)
    let result = try withoutGradient {
      try run.step(latents, at: index, along: path, noise: noise, velocity: velocity)
    }
    let reached = path.restoring(latents, in: result.latents, after: index)
    try DiffusionError.require(
      reached.isFinite().all(), .notFinite,
      "expected finite latents, found NaN or infinity after step \(index + 1) of \(count); "
        + "try a higher precision or a lower guidance scale")
    self.run = run
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

/// A sampler with the memory of one run; hides the memory's type.
private protocol SamplerRun {
  mutating func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, noise: StepNoise,
    velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor)
}

private struct Run<Method: Sampler>: SamplerRun {
  let sampler: Method
  var memory: Method.Memory

  init(of sampler: Method) {
    self.sampler = sampler
    memory = sampler.start()
  }

  mutating func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, noise: StepNoise,
    velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    var noise = noise
    return try sampler.step(
      latents, at: index, along: path, memory: &memory, noise: &noise, velocity: velocity)
  }
}
