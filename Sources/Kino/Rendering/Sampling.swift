import Foundation
internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// Fills in a canvas: noise, sampler, guidance, window after window.
struct Sampling {
  let model: Model
  let networks: Networks
  let job: RenderJob
  let device: Device
  let report: GenerationEvents.Report

  /// Texts as the transformer attends to them, made once per clip.
  struct Contexts {
    let prompts: [TextContext]
    let negative: TextContext?
  }

  func contexts() throws -> Contexts {
    let request = job.request
    for (name, text) in [("prompt", request.prompt), ("negative prompt", request.negativePrompt)]
    where try networks.tokens(of: text).isCut {
      report(.warning("The \(name) is longer than \(Model.textLength) tokens; its end is not read."))
    }
    return try withTensorErrors {
      try withoutGradient {
        Contexts(
          prompts: try job.prompts.map { try networks.context(of: $0, device: device) },
          negative: request.guidanceScale == 1
            ? nil : try networks.context(of: request.negativePrompt, device: device))
      }
    }
  }

  /// Samples every window; each takes over what the ones before have finished.
  ///
  /// - Returns: Clean latents of the whole canvas, `[C, F, H, W]`, normalised.
  func latents() throws -> Tensor {
    let contexts = try contexts()
    var finished: Tensor?
    var pace = Pace(job: job)
    for (number, window) in job.windows.windows.enumerated() {
      let known = finished.map { $0.slice(1, window.frames.lowerBound..<window.new.lowerBound) }
      let canvas = try job.canvas.window(window, finished: window.known > 0 ? known : nil)
      let latents = try sample(canvas, window: number, contexts: contexts, pace: &pace)
      let new = latents.slice(1, window.known..<window.frames.count)
      finished = finished.map { concatenate([$0, new], along: 1) } ?? new
    }
    guard let finished else { preconditionFailure("a window plan without windows") }
    return finished
  }

  private func sample(
    _ canvas: Canvas, window: Int, contexts: Contexts, pace: inout Pace
  ) throws -> Tensor {
    let request = job.request
    let start = job.windows.windows[window].frames.lowerBound
    let noise = canvas.noise(seed: request.seed, firstFrame: start).moved(to: device)
    let schedule = try FlowMatchingSchedule(
      stepCount: request.stepCount, shift: model.shift(tokens: canvas.shape.tokenCount),
      spacing: request.sampler == .uniPC ? .uniPC : .euler)
    var steps = try request.sampler.sampler.steps(
      on: canvas, noise: noise, schedule: schedule, denoise: try denoise(canvas, contexts))
    while true {
      try Task.checkCancellation()
      guard let step = try withTensorErrors({ try steps.next() }) else { break }
      let index = window * request.stepCount + step.index + 1
      report(
        .step(
          StepProgress(
            index: index, count: pace.count, window: window + 1,
            windowCount: job.windows.windows.count, secondsLeft: pace.secondsLeft(after: index),
            preview: try preview(of: step))))
    }
    return steps.latents
  }

  private func denoise(_ canvas: Canvas, _ contexts: Contexts) throws -> Denoise {
    let (networks, device, shape) = (networks, device, canvas.shape)
    let rotary = networks.transformer.rotaryTable(
      latentFrames: shape.frames, height: shape.height, width: shape.width)
    func velocity(
      _ latents: Tensor, _ timesteps: Timesteps, _ text: TextContext
    ) throws -> Tensor {
      try Task.checkCancellation()
      return networks.transformer(
        latents.expandingDimension(at: 0), timesteps: timesteps, text: text,
        computeType: networks.computeType, rotary: rotary
      ).squeezing(0)
    }
    let guidance = try ClassifierFreeGuidance(scale: job.request.guidanceScale)
    return guidance.denoise { latents, moment, branches in
      let timesteps = Timesteps(moment.timesteps, device: device)
      return try branches.map { branch in
        if branch == .negative, let negative = contexts.negative {
          return try velocity(latents, timesteps, negative)
        }
        let needed = Set(canvas.prompts.map(\.prompt)).sorted()
        let velocities = Dictionary(
          uniqueKeysWithValues: try needed.map {
            ($0, try velocity(latents, timesteps, contexts.prompts[$0]))
          })
        return Self.joined(velocities, along: canvas.prompts) ?? latents
      }
    }
  }

  /// Takes each stretch of time from the velocity of its own prompt.
  private static func joined(_ velocities: [Int: Tensor], along stretches: [PromptStretch]) -> Tensor? {
    if velocities.count == 1 { return velocities.values.first }
    return concatenate(
      stretches.compactMap { stretch in velocities[stretch.prompt]?.slice(1, stretch.frames) },
      along: 1)
  }

  private func preview(of step: SamplingStep) throws -> Clip? {
    let interval = job.request.previewInterval
    guard interval > 0, (step.index + 1) % interval == 0, let preview = model.profile.preview
    else { return nil }
    let pictures = try preview.pictures(of: step.denoised).contiguous()
    let (_, height, width, _) = pictures.shape4
    let rate = job.request.framesPerSecond / Double(model.autoencoder.temporalScale)
    return Clip(
      width: width, height: height, framesPerSecond: rate, pixels: pictures.scalars(UInt8.self))
  }
}

extension SamplerKind {
  var sampler: any Sampler {
    switch self {
    case .uniPC: UniPCSampler()
    case .euler: EulerSampler()
    case .heun: HeunSampler()
    }
  }

  /// How often a step evaluates the velocity.
  var evaluationsPerStep: Int { self == .heun ? 2 : 1 }
}

extension Timesteps {
  /// One timestep per sample where all tokens agree, else one per token.
  init(_ timesteps: TokenTimesteps, device: Device) {
    let values = Tensor(timesteps.values.map(Float.init)).moved(to: device)
    if timesteps.values.count == 1 {
      self = .perSample(values)
    } else {
      self = .perToken(
        values: values.reshaped(to: 1, -1),
        index: timesteps.index.reshaped(to: 1, -1).moved(to: device))
    }
  }
}

/// Tells the time left from the steps so far.
struct Pace {
  let count: Int
  private let start = ContinuousClock.now
  /// The work after sampling, in steps.
  private let decodingSteps: Double

  init(job: RenderJob) {
    count = job.request.stepCount * job.windows.windows.count
    let perStep = job.plan.samplingOperations / Double(max(1, count))
    decodingSteps = perStep > 0 ? job.plan.decodingOperations / perStep : 0
  }

  var secondsSoFar: Double {
    let time = start.duration(to: .now).components
    return Double(time.seconds) + Double(time.attoseconds) * 1e-18
  }

  mutating func secondsLeft(after index: Int) -> Double {
    secondsSoFar / Double(index) * (Double(count - index) + decodingSteps)
  }
}
