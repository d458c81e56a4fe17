internal import KinoDiffusion

extension Plan {
  /// Estimates a composition without doing any of it, for a machine that can give so many bytes; times are
  /// filled in by ``timed(by:isMeasured:)``.
  init(
    _ work: ResolvedComposition, model: Model, keepsFrames: Bool,
    available: Int? = MachineMemory.availableBytes
  ) throws {
    (size, frames) = (work.size.description, work.frameCount)
    framesPerSecond = work.framesPerSecond
    let settings = work.sampling
    let branches = work.needsNegative ? 2 : 1
    let cost = model.family.cost
    var (tokens, windows, largest, made, latents) = (0, 0, 0, 0, 0)
    var shapes: [LatentShape] = []
    (samplingOperations, decodingOperations) = (0, 0)
    decodingBytes = 0
    for shot in work.shots {
      let passes = try PlannedPass.all(of: shot, in: work, model: model)
      tokens += passes.map(\.shape.tokenCount).max() ?? 0
      shapes += passes.map(\.shape)
      for pass in passes {
        windows += pass.windows.count
        largest = max(largest, pass.tokensAtOnce)
        latents = max(latents, pass.shape.axes.reduce(4, *))
        samplingOperations += try pass.operations(work.sampling, branches: branches, model: model)
        decodingOperations += cost.decodingOperations(pass.shape)
        let chunk = Model.decodingChunk(height: pass.shape.height, width: pass.shape.width)
        decodingBytes = max(
          decodingBytes,
          cost.decodingBytes(
            pass.shape, framesAtOnce: min(chunk, pass.shape.frames), settings.precision))
      }
      made += shot.canvasFrameCount
    }
    (tokenCount, windowCount, tokensPerWindow) = (tokens, windows, largest)
    canvasSize = work.canvasSize.description
    canvasFrames = made
    let weights = work.shots.isEmpty ? nil : model.family.weightMemory(settings.precision)
    weightBytes = weights?.most ?? 0
    activationBytes =
      cost.velocityBytes(tokens: largest, texts: branches, settings.precision)
      + 12 * latents
    let frameBytes = work.size.width * work.size.height * 3
    // Besides the result, what shots see of their neighbours.
    outputBytes = frameBytes * ((keepsFrames ? work.frameCount : 6) + 2 * work.reach)
    let others = Self.programBytes + outputBytes
    let sampling = weights?.sampling ?? 0
    (availableBytes, decodingTiles) = (available, 1)
    if let available, others + sampling + decodingBytes > available,
      let fitting = Self.tiled(
        shapes, cost, settings.precision, below: decodingBytes,
        within: available - others - sampling)
    {
      (decodingTiles, decodingBytes) = fitting
    }
    peakBytes =
      others + max(weights?.reading ?? 0, sampling + max(activationBytes, decodingBytes))
    (fastestSeconds, slowestSeconds, isTimeMeasured) = (0, 0, false)
    warnings = work.warnings
  }

  /// The fewest tiles along a side with which decoding is within a number of bytes, or with which it takes
  /// least, and what it takes; `nil` if that is no less than the whole.
  private static func tiled(
    _ shapes: [LatentShape], _ cost: any ModelCost, _ precision: Precision, below whole: Int,
    within limit: Int
  ) -> (tiles: Int, bytes: Int)? {
    var best: (tiles: Int, bytes: Int)?
    for tiles in 2...8 {
      let bytes = shapes.map { shape in
        let chunk = Model.decodingChunk(height: shape.height, width: shape.width)
        return cost.decodingBytes(
          shape, framesAtOnce: min(chunk, shape.frames), tiles: tiles, precision)
      }
      let largest = bytes.compactMap(\.self).max()
      guard let largest, !bytes.contains(nil), largest < best?.bytes ?? whole else {
        continue
      }
      best = (tiles, largest)
      if largest <= limit { break }
    }
    return best
  }

  /// Fills in the times from a rate in operations a second.
  func timed(by rate: Double, isMeasured: Bool) -> Plan {
    var plan = self
    // A trial shows the peak; whole networks reach a part of it.
    let range = isMeasured ? 0.7...1.2 : 0.15...0.9
    let operations = samplingOperations + decodingOperations
    plan.fastestSeconds = operations / (rate * range.upperBound)
    plan.slowestSeconds = operations / (rate * range.lowerBound)
    plan.isTimeMeasured = isMeasured
    return plan
  }
}

/// One canvas that a shot is sampled on: most have one, those made small first have two.
private struct PlannedPass {
  let shape: LatentShape
  /// Tokens of each window's tile, tiles of a window, and whether some of it is known exactly.
  let windows: [(tokens: Int, tiles: Int, isTold: Bool)]
  /// The highest noise level.
  let level: Double

  var tokensAtOnce: Int { windows.map(\.tokens).max() ?? 0 }

  static func all(
    of shot: ResolvedShot, in work: ResolvedComposition, model: Model
  ) throws -> [PlannedPass] {
    let guided = shot.guides.first { $0.frame == nil }?.guide.noiseLevel ?? 1
    guard let base = work.baseSize else {
      let size = work.canvasSize
      return [try PlannedPass(shot, model, size: size, level: guided, isTiled: work.isTiled)]
    }
    return [
      try PlannedPass(shot, model, size: base, level: 1, isTiled: false),
      try PlannedPass(shot, model, size: work.canvasSize, level: ShotMaker.detail, isTiled: true),
    ]
  }

  private init(
    _ shot: ResolvedShot, _ model: Model, size: FrameSize, level: Double, isTiled: Bool
  ) throws {
    let shape = try shot.latentShape(model, size: size)
    self.shape = shape
    self.level = level
    let tiles = isTiled ? model.tiles(over: shape) : []
    let area = tiles.first.map { $0.rows.count * $0.columns.count } ?? shape.height * shape.width
    let perFrame = area / shape.patch.height / shape.patch.width
    let (start, end) = shot.knownLatents(model)
    let isTold =
      model.family.conditioning == .tokens
      && shot.guides.contains { $0.frame != nil || $0.guide.mask != nil }
    windows = try shot.windows(model).windows.map { window in
      (
        window.frames.count / shape.patch.frames * perFrame, max(1, tiles.count),
        isTold || window.frames.lowerBound < start
          || window.frames.upperBound > shape.frames - end
      )
    }
  }

  func operations(_ settings: ResolvedSampling, branches: Int, model: Model) throws -> Double {
    try windows.reduce(0) { sum, window in
      let sigmas = try model.schedule(settings, tokens: window.tokens, from: level)?.sigmas ?? [0]
      let isLed = window.isTold && settings.historyGuidanceScale != 1
      let led = isLed ? sigmas.count { HistoryGuidance.sigmas.contains($0) } : 0
      let evaluations = (sigmas.count - 1) * branches + led
      return sum
        + Double(evaluations * settings.sampler.sampler.evaluationsPerStep * window.tiles)
        * model.family.cost.velocityOperations(tokens: window.tokens)
    }
  }
}

extension Plan {
  /// Describes a smaller result of the same kind that fits, if there is one.
  static func fitting(_ work: ResolvedComposition, model: Model, bytes: Int) -> String? {
    let step = model.sizeMultiple
    for halvings in 1...6 {
      let scale = 1 / Double(1 << halvings).squareRoot()
      func side(_ length: Int) -> Int { max(1, Int(Double(length) * scale) / step) * step }
      var smaller = work.composition
      let size = FrameSize(side(work.size.width), side(work.size.height))
      let isFree = work.composition.timeline.count == 1 && work.shots.first?.guides.isEmpty == true
      let frames = isFree ? max(1, work.frameCount >> (halvings / 2)) : work.frameCount
      smaller.size = size
      smaller.framesPerSecond = work.framesPerSecond
      if isFree { smaller.updateShots { ($0.frames, $0.seconds) = (frames, nil) } }
      guard let resolved = try? smaller.resolved(for: model, work.sampling.settings),
        let plan = try? Plan(resolved, model: model, keepsFrames: false)
      else { continue }
      if plan.peakBytes <= bytes { return "\(frames) frames of \(size)" }
    }
    return nil
  }
}
