import Foundation
internal import KinoDiffusion
internal import KinoModels
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights

/// Owns the networks; everything that computes with tensors runs here, on the model's own thread.
actor ModelActor {
  private let thread: DedicatedThread
  let model: Model
  let device: Device
  private let threadCount: Int?
  private var loaded: (precision: Precision, pipeline: any ModelPipeline)?

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(_ model: Model, device: Device, threadCount: Int?) {
    thread = DedicatedThread(name: "kino.model")
    self.model = model
    self.device = device
    self.threadCount = threadCount
  }

  /// Loads the networks, or hands out those loaded before.
  private func load(_ precision: Precision) throws -> any ModelPipeline {
    setThreads()
    if let loaded, loaded.precision == precision { return loaded.pipeline }
    // Frees the others first: both together may not fit.
    loaded = nil
    let pipeline = try withTensorErrors { try model.family.load(precision, on: device) }
    loaded = (precision, pipeline)
    return pipeline
  }

  /// Loads the networks for later.
  func prepare(_ precision: Precision) throws { _ = try load(precision) }

  /// Makes a composition: streams what is kept, samples and decodes what is not, and hands frames on as
  /// they come.
  func render(
    _ work: ResolvedComposition, plan: Plan, to target: RenderTarget, recipe: Recipe,
    resumes: Bool = false, report: @escaping GenerationEvents.Report
  ) throws {
    setThreads()
    let precision = work.sampling.precision
    // Now, not when it was asked for: what ran before may have taken or freed memory.
    try plan.requireMemory(
      for: work, model: model,
      isLoaded: loaded?.precision == precision && model.family.weightMemory(precision).stays)
    var sink = try FrameSink(target, work: work, recipe: recipe)
    let rescued = try RescuedLatents(target, recipe: recipe, resumes: resumes)
    var pace = Pace(work: work, plan: plan)
    var windows = 0
    try read(work)
    do {
      for (index, segment) in work.segments.enumerated() {
        switch segment {
        case .media(let part): try copy(part, of: work, into: &sink, report: report)
        case .shot(let shot):
          var maker = ShotMaker(
            work: work, shot: shot, around: try surroundings(ofShotAt: index, in: work, sink),
            model: model, pipeline: try load(precision), device: device, rescued: rescued,
            tiles: plan.decodingTiles, windowCount: plan.windowCount,
            windowsBefore: windows, report: report)
          let latents = try maker.latents(&pace)
          windows = maker.windowsBefore
          try maker.decode(latents, into: &sink)
        }
      }
      report(try sink.finish(recipe))
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw rescued.explaining(error)
    }
    rescued.remove()
    if plan.samplingOperations > 0 && !resumes {
      SpeedRecord.note(
        model, operations: plan.samplingOperations, seconds: pace.secondsSampled,
        precision: precision, threads: Engine.threadCount, device: device)
    }
  }

  /// Reads the texts of all shots together.
  private func read(_ work: ResolvedComposition) throws {
    guard !work.shots.isEmpty else { return }
    let pipeline = try load(work.sampling.precision)
    let negative = work.needsNegative ? [work.composition.negativePrompt] : []
    try withTensorErrors {
      try withoutGradient {
        try pipeline.read(work.shots.flatMap(\.prompts).map(\.text) + negative)
      }
    }
  }

  /// Copies frames of a source to the result: as they are stored where that can be, else encoded once.
  private func copy(
    _ part: ResolvedPart, of work: ResolvedComposition, into sink: inout FrameSink,
    report: GenerationEvents.Report
  ) throws {
    if let stored = try sink.stored(part) {
      var trial = sink
      let isWhole = try copy(part, of: work, into: &trial, isStored: true, report: report)
      if isWhole {
        try trial.write(stored)
        sink = trial
        return
      }
    }
    let start = sink.count
    guard try !copy(part, of: work, into: &sink, isStored: false, report: report) else { return }
    let count = sink.count - start
    let loss =
      count < part.frameCount
      ? "only \(count) of \(part.frameCount) frames could be read"
      : "some of its frames may not look as they should"
    report(.warning("\(part.part.path) is damaged: \(loss)."))
  }

  /// Reads the frames of a part into the result; whether all of them were there, undamaged.
  private func copy(
    _ part: ResolvedPart, of work: ResolvedComposition, into sink: inout FrameSink, isStored: Bool,
    report: GenerationEvents.Report
  ) throws -> Bool {
    let frames = try SourceFrames(part.part, work: work)
    let start = sink.count
    while let frame = try frames.next() {
      try Task.checkCancellation()
      try sink.append(frame, isStored: isStored)
      if (sink.count - start) % 16 == 0 {
        report(.copying(frames: sink.count, of: max(sink.count, work.frameCount)))
      }
    }
    if sink.count == start { throw StudioError.noFrames(part.part.path) }
    report(.copying(frames: sink.count, of: max(sink.count, work.frameCount)))
    return !frames.isDamaged && sink.count - start == part.frameCount
  }

  /// The frames on both sides of a shot, as far as it joins them.
  private func surroundings(
    ofShotAt index: Int, in work: ResolvedComposition, _ sink: FrameSink
  ) throws -> Surroundings {
    guard case .shot(let shot) = work.segments[index] else { return Surroundings() }
    var around = Surroundings()
    if shot.before > 0 { (around.previous, around.changesBefore) = (sink.tail, sink.changes) }
    guard shot.after > 0 else { return around }
    guard index + 1 < work.segments.count, case .media(let part) = work.segments[index + 1] else {
      around.next = sink.head
      return around
    }
    let frames = try SourceFrames(part.part, work: work)
    var last: Frame?
    let most = max(work.reach, Surroundings.framesCompared)
    while around.changesAfter.count < most, let frame = try frames.next() {
      if around.next.count < work.reach { around.next.append(frame) }
      if let last { around.changesAfter.append(frame.difference(from: last)) }
      last = frame
    }
    return around
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
  package var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
