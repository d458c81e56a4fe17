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

  /// The model with the request's texts, which are encoded once per clip.
  private func denoiser() throws -> TextGuidedDenoiser {
    let request = job.request
    for (name, text) in [("prompt", request.prompt), ("negative prompt", request.negativePrompt)]
    where try networks.tokens(of: text).isCut {
      report(
        .warning("The \(name) is longer than \(Model.textLength) tokens; its end is not read."))
    }
    return try withTensorErrors {
      try withoutGradient {
        TextGuidedDenoiser(
          transformer: networks.transformer, computeType: networks.computeType, device: device,
          guidance: try ClassifierFreeGuidance(
            scale: request.guidanceScale, sigmas: request.guidanceRange),
          cacheThreshold: request.cacheThreshold,
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
    let denoiser = try denoiser()
    var finished: Tensor?
    var pace = Pace(job: job)
    for (number, window) in job.windows.windows.enumerated() {
      let known = finished.map { $0.slice(1, window.frames.lowerBound..<window.new.lowerBound) }
      let canvas = try job.canvas.window(window, finished: window.known > 0 ? known : nil)
      let latents = try sample(canvas, window: number, denoiser: denoiser, pace: &pace)
      let new = latents.slice(1, window.known..<window.frames.count)
      finished = finished.map { concatenate([$0, new], along: 1) } ?? new
    }
    guard let finished else { preconditionFailure("a window plan without windows") }
    return finished
  }

  private func sample(
    _ canvas: Canvas, window: Int, denoiser: TextGuidedDenoiser, pace: inout Pace
  ) throws -> Tensor {
    let request = job.request
    let start = job.windows.windows[window].frames.lowerBound
    let noise = canvas.noise(seed: request.seed, firstFrame: start).moved(to: device)
    let sampler = request.sampler.sampler
    let schedule = try FlowMatchingSchedule(
      stepCount: request.stepCount, shift: model.shift(tokens: canvas.shape.tokenCount),
      spacing: sampler.spacing)
    var steps = try sampler.steps(
      on: canvas, noise: noise, seed: request.seed, firstFrame: start, schedule: schedule,
      denoise: denoiser.denoise(canvas))
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
