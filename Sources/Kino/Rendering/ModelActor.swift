import Foundation
internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// Owns the networks; everything that computes with tensors runs here, on the model's own thread.
actor ModelActor {
  private let thread: ModelThread
  let model: Model
  let device: Device
  private let threadCount: Int?
  private var networks: Networks?

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(_ model: Model, device: Device, threadCount: Int?) {
    thread = ModelThread(name: "kino.model")
    self.model = model
    self.device = device
    self.threadCount = threadCount
  }

  /// Loads the networks, or hands out those loaded before.
  private func load(_ precision: Precision) throws -> Networks {
    setThreads()
    if let networks, networks.precision == precision { return networks }
    // Frees the others first: both together may not fit.
    networks = nil
    let loaded = try withTensorErrors {
      try Networks(model, precision: precision, device: device)
    }
    networks = loaded
    return loaded
  }

  /// Loads the networks for later.
  func prepare(_ precision: Precision) throws { _ = try load(precision) }

  /// Does a job: samples, decodes, and hands frames on as they come.
  func render(
    _ job: RenderJob, to target: RenderTarget, recipe: Recipe,
    report: @escaping GenerationEvents.Report
  ) throws {
    // Now, not when it was asked for: what ran before may have taken or freed memory.
    try job.plan.requireMemory(
      for: job.request, model: model, isLoaded: networks?.precision == job.request.precision)
    var sink = try FrameSink(target, request: job.request, recipe: recipe)
    let latents = try sample(job, report: report)
    let networks = try load(job.request.precision)
    let kept = try KeptLatents(
      networks.autoencoder.denormalized(latents.expandingDimension(at: 0)), target: target,
      recipe: recipe)
    do {
      try decode(kept.latents, networks, into: &sink, report: report)
      let result = try sink.finish(recipe)
      kept.remove()
      report(result)
    } catch is CancellationError {
      kept.remove()
      throw CancellationError()
    } catch {
      throw kept.explaining(error, model: model)
    }
  }

  /// Fills in a job's canvas: clean latents `[C, F, H, W]`, normalised.
  func sample(_ job: RenderJob, report: @escaping GenerationEvents.Report) throws -> Tensor {
    let networks = try load(job.request.precision)
    try Task.checkCancellation()
    let start = ContinuousClock.now
    let sampling = Sampling(
      model: model, networks: networks, job: job, device: device, report: report)
    let latents = try sampling.latents()
    SpeedRecord.note(
      model, operations: job.plan.samplingOperations, seconds: (.now - start).inSeconds,
      precision: job.request.precision, threads: Engine.threadCount, device: device)
    return latents
  }

  /// Decodes piece by piece: memory does not grow with the clip's length.
  private func decode(
    _ latents: Tensor, _ networks: Networks, into sink: inout FrameSink,
    report: GenerationEvents.Report
  ) throws {
    var stream = networks.autoencoder.decodingStream(computeType: networks.computeType)
    let (_, _, frames, height, width) = latents.shape5
    let chunk = Model.decodingChunk(height: height, width: width)
    for start in stride(from: 0, to: frames, by: chunk) {
      try Task.checkCancellation()
      let count = try withTensorErrors {
        try withoutGradient {
          try sink.append(stream(latents.slice(2, start..<min(start + chunk, frames))))
        }
      }
      report(.decoding(frames: count, of: sink.frameCount))
    }
  }

  /// The thread count belongs to the calling thread, so it is set on this one.
  func setThreads() {
    if let threadCount, Engine.threadCount != threadCount { Engine.threadCount = threadCount }
  }
}

extension Model {
  /// Latent frames decoded at a time: few enough to bound memory, many enough to be fast.
  static func decodingChunk(height: Int, width: Int) -> Int {
    max(1, min(8, 4096 / max(1, height * width)))
  }
}

extension Duration {
  /// The length in seconds.
  var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
