package import KinoTensor
internal import KinoWeights

/// Makes clips with one model, which it keeps loaded.
///
/// ```swift
/// import Kino
///
/// let studio = try await Studio(model: .bundled)
/// for try await event in studio.generate("a red ball bounces on grass", size: .init(256, 256)) {
///   switch event {
///   case .step(let progress): print("\(progress.index) of \(progress.count)")
///   case .finished(let result): try result.write(to: "ball.mp4")
///   default: break
///   }
/// }
/// ```
///
/// Work starts when its events are iterated, and stops within one step when the iterating task is
/// cancelled. Several pieces of work are done one after the other.
public final class Studio: Sendable {
  /// The model.
  public let model: Model
  /// Where it computes.
  public let device: ComputeDevice
  let actor: ModelActor
  private let probe: SpeedProbe
  private let hashes = WeightsHashCache(file: WeightsHashCache.userFile)
  private let threadCount: Int?

  /// Opens a model; its weights are read with the first work, or by ``warmUp(precision:)``.
  ///
  /// - Parameters:
  ///   - source: Which model.
  ///   - files: Parts to take instead of those that would be found.
  ///   - loras: Adapters to add to its transformer, in order.
  ///   - device: Where to compute.
  ///   - threadCount: Threads of one operation, at least 1; `nil` uses all cores. The result does
  ///     not depend on it.
  /// - Throws: ``StudioError`` if there is no such model or device, and what ``Model/init(at:files:searching:)`` and
  ///   ``Model/merging(_:)`` throw.
  public convenience init(
    model source: ModelSource = .bundled, files: ModelFiles = ModelFiles(), loras: [LoRAFile] = [],
    device: ComputeDevice = .cpu, threadCount: Int? = nil
  ) async throws {
    try self.init(
      Model(source, files: files).merging(loras), device: device, threadCount: threadCount)
  }

  /// Uses an opened model.
  package init(_ model: Model, device: ComputeDevice = .cpu, threadCount: Int? = nil) throws {
    self.model = model
    self.device = device
    guard device.tensorDevice.isAvailable else {
      throw StudioError(
        .unsupported,
        """
        The device \(device.rawValue) is not available to this build of LibTorch; use cpu, or build \
        with a LibTorch for it (see scripts/bootstrap).
        """)
    }
    if let threadCount, !(1...1024 ~= threadCount) {
      throw StudioError(.invalidSetting, "threads is \(threadCount); use a number in 1...1024.")
    }
    self.threadCount = threadCount
    actor = ModelActor(model, device: device.tensorDevice, threadCount: threadCount)
    probe = SpeedProbe(device: device.tensorDevice, threadCount: threadCount)
  }

  /// Loads the weights now.
  ///
  /// - Throws: `WeightsError` if they are damaged or not the model's.
  public func warmUp(precision: Precision = .f32) async throws {
    try requireSupport(of: precision)
    try await actor.prepare(precision)
  }

  // MARK: - Making

  /// Makes a composition.
  ///
  /// - Parameters:
  ///   - composition: What to make; see ``Composition`` for a function per verb.
  ///   - settings: How to sample it.
  ///   - path: The file to write, whose extension chooses the format; frames then go there as they
  ///     are decoded, so that memory does not grow with the length. `nil` keeps the clip in memory.
  ///   - options: Quality of the file, and whether it may replace another.
  ///   - resumes: Whether to go on with what an earlier try at the same file has left: latents beside it.
  ///   - names: What the recipe calls sources, by their paths, where these mean nothing to its readers.
  /// - Returns: The events; the last is ``GenerationEvent/finished(_:)`` or
  ///   ``GenerationEvent/wrote(_:)``. Faults of the composition are thrown by the iteration.
  public func events(
    of composition: Composition, _ settings: SamplingSettings = SamplingSettings(),
    writingTo path: String? = nil, _ options: WriteOptions = WriteOptions(), resumes: Bool = false,
    naming names: [String: String] = [:]
  ) -> GenerationEvents {
    let target = path.map { RenderTarget.file($0, options) } ?? .memory
    return GenerationEvents { [self] report in
      var settings = settings
      if resumes, let path, settings.seed == nil {
        settings.seed = RescuedLatents.recipe(beside: path)?.settings.seed
      }
      let work = try composition.resolved(for: model, settings)
      if let path { try work.requireFormat(of: path) }
      try requireSupport(of: work.sampling.precision)
      let plan = try await plan(work, keepsFrames: path == nil)
      report(.planned(plan))
      let format = try path.map { try MediaFormat(path: $0) }
      if let size = format?.size(for: work.size), size != work.size {
        report(.warning("H.264 has even sizes only: the result is \(size), not \(work.size)."))
      }
      for warning in plan.warnings {
        let isLost = warning == Composition.keptSound && format.map { !$0.holdsSound } ?? false
        report(
          .warning(
            isLost
              ? "A .\(format?.rawValue ?? "") holds no sound; the source's is left out." : warning)
        )
      }
      var recipe = Recipe(
        work, model: model, hash: try model.hash(hashes).hexadecimal,
        sources: try work.sourceHashes())
      recipe.loras = model.loras
      recipe.rename(names)
      try await actor.render(
        work, plan: plan, to: target, recipe: recipe, resumes: resumes, report: report)
    }
  }

  /// Makes a clip from words.
  ///
  /// What is left `nil` is the model's choice; see ``Composition`` and ``SamplingSettings`` for more.
  public func generate(
    _ prompt: String, size: FrameSize? = nil, seconds: Double? = nil, seed: UInt64? = nil,
    steps: Int? = nil, guidance: Double? = nil
  ) -> GenerationEvents {
    events(
      of: .generate(prompt, size: size, seconds: seconds),
      SamplingSettings(seed: seed, stepCount: steps, guidanceScale: guidance))
  }

  /// Makes a picture from words.
  public func image(
    _ prompt: String, size: FrameSize? = nil, seed: UInt64? = nil, steps: Int? = nil,
    guidance: Double? = nil
  ) -> GenerationEvents {
    events(
      of: .image(prompt, size: size),
      SamplingSettings(seed: seed, stepCount: steps, guidanceScale: guidance))
  }

  // MARK: - Planning

  /// Says what a composition would take, without making it.
  ///
  /// - Throws: ``StudioError`` if it can't be made, and what reading its sources throws.
  public func plan(
    _ composition: Composition, _ settings: SamplingSettings = SamplingSettings()
  ) async throws -> Plan {
    let work = try composition.resolved(for: model, settings)
    try requireSupport(of: work.sampling.precision)
    return try await plan(work, keepsFrames: false)
  }

  private func plan(_ work: ResolvedComposition, keepsFrames: Bool) async throws -> Plan {
    var plan = try Plan(work, model: model, keepsFrames: keepsFrames)
    plan.warnings += model.loras.compactMap(\.warning)
    let threads = threadCount ?? Engine.threadCount
    let precision = work.sampling.precision
    let known = SpeedRecord.rate(
      model, precision: precision, threads: threads, device: device.tensorDevice)
    if let known { return plan.timed(by: known, isMeasured: true) }
    return plan.timed(by: await probe.peakRate(precision), isMeasured: false)
  }

  private func requireSupport(of precision: Precision) throws {
    guard precision == .int8 && device != .cpu else { return }
    throw StudioError(
      .unsupported,
      "The precision int8 is computed on the processor only; use bf16 on \(device.rawValue).")
  }
}

/// Where a model computes.
public enum ComputeDevice: String, Codable, CaseIterable, Sendable {
  /// The processor.
  case cpu
  /// The first NVIDIA graphics processor.
  case cuda
  /// The graphics processor of a Mac.
  case mps

  package var tensorDevice: Device {
    switch self {
    case .cpu: .cpu
    case .cuda: .cuda(0)
    case .mps: .mps
    }
  }
}
