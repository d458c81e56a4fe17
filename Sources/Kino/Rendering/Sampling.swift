import Foundation
internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// Fills in a canvas: noise, sampler, guidance, window after window.
struct Sampling {
  let model: Model
  let pipeline: any ModelPipeline
  let job: CanvasJob
  let device: Device
  let rescued: RescuedLatents
  let report: GenerationEvents.Report

  /// The model with the request's texts, which are encoded once per clip.
  private func denoiser() throws -> any CanvasDenoiser {
    let settings = job.sampling
    let isLed = settings.leads(job.prompts, awayFrom: job.negativePrompt)
    let texts = job.prompts.map { ("prompt", $0) } + [("negative prompt", job.negativePrompt)]
    for (name, text) in texts
    where try pipeline.cuts(text) {
      report(
        .warning("The \(name) is longer than \(model.textLength) tokens; its end is not read."))
    }
    return try withTensorErrors {
      try withoutGradient {
        var request = DenoiserRequest(
          job.prompts, negative: isLed ? job.negativePrompt : nil,
          guidance: try ClassifierFreeGuidance(
            scale: isLed ? settings.guidanceScale : 1, sigmas: settings.guidanceRange),
          lowNoiseGuidance: try ClassifierFreeGuidance(
            scale: isLed ? settings.lowNoiseGuidanceScale : 1, sigmas: settings.guidanceRange))
        request.history = try HistoryGuidance(scale: settings.historyGuidanceScale)
        request.cacheThreshold = settings.cacheThreshold
        request.known = job.known
        return try pipeline.denoiser(request)
      }
    }
  }

  /// How far every window's statistics are pulled towards the first one's.
  private static let hold = 0.75

  /// The noise level at which a window is shown what earlier ones made: it takes over the scene, and not each flaw,
  /// which would grow from window to window (diffusion forcing, arXiv:2407.01392, section 3).
  private static let doubt = 0.2

  /// Samples every window; each takes over what the ones before have finished.
  ///
  /// - Returns: Clean latents of the whole canvas, `[C, F, H, W]`, normalised.
  func latents(_ pace: inout Pace) throws -> Tensor {
    let denoiser = try denoiser()
    var finished: [Int: Tensor] = [:]
    var first: LatentStatistics?
    for (number, window) in job.windows.windows.enumerated() {
      let shape = job.canvas.shape
      let axes = [shape.channels, window.new.count, shape.height, shape.width]
      let new: Tensor
      if let kept = rescued.latents(ofWindow: job.windowsBefore + number, shape: axes) {
        new = kept.moved(to: device)
      } else {
        let canvas = try job.canvas.window(
          window.frames, finished: finished, at: Self.doubt)
        let latents = try sample(canvas, window: number, denoiser: denoiser, pace: &pace)
        let start = window.new.lowerBound - window.frames.lowerBound
        let sampled = latents.slice(1, start..<start + window.new.count)
        new = first.map { $0.pulling(sampled, strength: Self.hold) } ?? sampled
        try rescued.keep(new, ofWindow: job.windowsBefore + number)
      }
      for (index, frame) in window.new.enumerated() {
        finished[frame] = new.slice(1, index..<index + 1).copied()
      }
      if number == 0 && job.isHeldTogether { first = LatentStatistics(new) }
    }
    return concatenate(
      (0..<job.canvas.shape.frames).map { frame in
        if let latents = finished[frame] { return latents }
        guard let content = job.canvas.content else {
          preconditionFailure("a window plan that leaves out frame \(frame)")
        }
        return content.slice(1, frame..<frame + 1).moved(to: device)
      }, along: 1)
  }

  private func sample(
    _ canvas: Canvas, window: Int, denoiser: any CanvasDenoiser, pace: inout Pace
  ) throws -> Tensor {
    let settings = job.sampling
    let start = job.firstDraw + job.windows.windows[window].frames.lowerBound
    let noise = canvas.noise(seed: settings.seed, firstFrame: start).moved(to: device)
    let tiles = job.isTiled ? model.tiles(over: canvas.shape) : nil
    let tokens = try tiles?.first.map { try canvas.cut($0).shape.tokenCount }
    let sampler = settings.sampler.sampler
    let schedule = try model.schedule(
      settings, tokens: tokens ?? canvas.shape.tokenCount, from: canvas.highestLevel)
    guard let schedule else { return try canvas.noised(to: 0, with: noise) }
    let denoise =
      if let tiles {
        try TiledDenoiser(canvas, tiles: tiles) {
          denoiser.denoise($0, noise: $1.cut(noise))
        }.callAsFunction
      } else {
        denoiser.denoise(canvas, noise: noise)
      }
    var steps = try sampler.steps(
      on: canvas, noise: noise, seed: settings.seed, firstFrame: start, schedule: schedule,
      denoise: denoise)
    let number = job.windowsBefore + window
    // Steps at higher noise than the canvas has are not made.
    let left = settings.stepCount - schedule.stepCount
    while true {
      try Task.checkCancellation()
      guard let step = try withTensorErrors({ try steps.next() }) else { break }
      let index = number * settings.stepCount + left + step.index + 1
      report(
        .step(
          StepProgress(
            index: index, count: pace.count, window: number + 1, windowCount: job.windowCount,
            secondsLeft: pace.secondsLeft(after: index), preview: try preview(of: step))))
    }
    return steps.latents
  }

  private func preview(of step: SamplingStep) throws -> Clip? {
    let interval = job.sampling.previewInterval
    guard interval > 0, (step.index + 1) % interval == 0, let preview = model.profile.preview
    else { return nil }
    let pictures = try preview.pictures(of: step.denoised).contiguous()
    let (_, height, width, _) = pictures.shape4
    let rate = job.framesPerSecond / Double(model.geometry.temporalScale)
    return Clip(
      width: width, height: height, framesPerSecond: rate, pixels: pictures.scalars(UInt8.self))
  }
}

/// Estimates the time left from the steps so far.
struct Pace {
  /// Steps in all.
  let count: Int
  /// Seconds spent in sampling.
  var secondsSampled = 0.0
  private let start = ContinuousClock.now
  /// The work after sampling, in steps.
  private let decodingSteps: Double

  init(work: ResolvedComposition, plan: Plan) {
    count = work.sampling.stepCount * plan.windowCount
    let perStep = plan.samplingOperations / Double(max(1, count))
    decodingSteps = perStep > 0 ? plan.decodingOperations / perStep : 0
  }

  var secondsSoFar: Double { (.now - start).inSeconds }

  func secondsLeft(after index: Int) -> Double {
    secondsSoFar / Double(index) * (Double(count - index) + decodingSteps)
  }
}
