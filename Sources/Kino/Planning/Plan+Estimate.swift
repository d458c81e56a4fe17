internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

extension Plan {
  /// Estimates a composition without doing any of it; times are filled in by ``timed(by:isMeasured:)``.
  init(_ work: ResolvedComposition, model: Model, keepsFrames: Bool) throws {
    (size, frames) = (work.size.description, work.frameCount)
    framesPerSecond = work.framesPerSecond
    let settings = work.sampling
    let branches = settings.guidanceScale == 1 ? 1 : 2
    let width = settings.precision.computeType.byteCount
    var (tokens, windows, largest, made, latents) = (0, 0, 0, 0, 0)
    (samplingOperations, decodingOperations) = (0, 0)
    decodingBytes = 0
    for shot in work.shots {
      let passes = try PlannedPass.all(of: shot, in: work, model: model)
      tokens += passes.map(\.shape.tokenCount).max() ?? 0
      for pass in passes {
        windows += pass.windows.count
        largest = max(largest, pass.tokensAtOnce)
        latents = max(latents, pass.shape.axes.reduce(4, *))
        samplingOperations += try pass.operations(work.sampling, branches: branches, model: model)
        decodingOperations += model.autoencoder.decodingOperations(
          latentFrames: pass.shape.frames, height: pass.shape.height, width: pass.shape.width)
        let chunk = Model.decodingChunk(height: pass.shape.height, width: pass.shape.width)
        decodingBytes = max(
          decodingBytes,
          model.autoencoder.decodingBytes(
            latentFrames: min(chunk, pass.shape.frames), height: pass.shape.height,
            width: pass.shape.width, bytesPerNumber: width))
      }
      made += shot.canvasFrameCount
    }
    (tokenCount, windowCount, tokensPerWindow) = (tokens, windows, largest)
    canvasSize = work.canvasSize.description
    canvasFrames = made
    weightBytes = work.shots.isEmpty ? 0 : model.weightBytes(settings.precision)
    activationBytes =
      model.transformer.activationBytes(
        tokens: TextGuidedDenoiser.tokensAtOnce(largest, texts: branches), bytesPerNumber: width)
      + 12 * latents
    let frameBytes = work.size.width * work.size.height * 3
    // Besides the result, what shots see of their neighbours.
    outputBytes = frameBytes * ((keepsFrames ? work.frameCount : 6) + 2 * work.reach)
    peakBytes = Self.programBytes + weightBytes + max(activationBytes, decodingBytes) + outputBytes
    availableBytes = MachineMemory.availableBytes
    (fastestSeconds, slowestSeconds, isTimeMeasured) = (0, 0, false)
    warnings = work.warnings
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
  /// Tokens of each window's tile, and tiles of a window.
  let windows: [(tokens: Int, tiles: Int)]
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
    windows = try shot.windows(model).windows.map {
      ($0.frames.count / shape.patch.frames * perFrame, max(1, tiles.count))
    }
  }

  func operations(_ settings: ResolvedSampling, branches: Int, model: Model) throws -> Double {
    try windows.reduce(0) { sum, window in
      let steps = try model.schedule(settings, tokens: window.tokens, from: level)?.stepCount ?? 0
      let evaluations = steps * settings.sampler.sampler.evaluationsPerStep * branches
      return sum + Double(evaluations * window.tiles)
        * model.transformer.floatingPointOperations(tokens: window.tokens, textTokens: 64)
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

extension Model {
  /// Bytes of all weights when products are computed in a precision.
  func weightBytes(_ precision: Precision) -> Int {
    let width = precision.computeType.byteCount
    let sets = [
      (weights.autoencoder, width), (weights.transformer, precision == .int8 ? 1 : width),
      (weights.textEncoder, width),
    ]
    return sets.reduce(0) { sum, part in
      sum + part.0.tensors.reduce(0) { $0 + $1.elementCount * part.1 }
    }
  }
}

extension DiffusionTransformer.Configuration {
  /// Bytes that one pass holds at its widest: the float32 stream and its modulation, queries, keys
  /// and values, and the feed-forward network's hidden layer.
  func activationBytes(tokens: Int, bytesPerNumber: Int) -> Int {
    let stream = width * 4 * 8
    let products = (width * 6 + feedForwardWidth * 2) * bytesPerNumber
    return tokens * (stream + products)
  }
}

extension VideoAutoencoder.Configuration {
  /// The decoder's levels: channels in and out, and positions, from the latents up.
  private func levels(
    latentFrames: Int, height: Int, width: Int
  ) -> [(inputs: Int, outputs: Int, positions: Double, isLast: Bool)] {
    let widths = ([widthMultipliers[widthMultipliers.count - 1]] + widthMultipliers.reversed())
      .map { $0 * decoderWidth }
    let doublings = temporalDownsampling.reversed() + [false]
    var (frames, height, width) = (Double(latentFrames), Double(height), Double(width))
    return doublings.enumerated().map { level, doubles in
      let positions = frames * height * width
      if doubles { frames *= 2 }
      (height, width) = (height * 2, width * 2)
      return (widths[level], widths[level + 1], positions, level == doublings.count - 1)
    }
  }

  /// Counts the floating-point operations of decoding, convolutions only.
  func decodingOperations(latentFrames: Int, height: Int, width: Int) -> Double {
    var sum = 0.0
    for level in levels(latentFrames: latentFrames, height: height, width: width) {
      let (inputs, outputs) = (Double(level.inputs), Double(level.outputs))
      let blocks = Double(residualBlockCount + 1)
      let first = 27 * (inputs * outputs + outputs * outputs)
      sum += level.positions * (first + (blocks - 1) * 54 * outputs * outputs)
      // The convolution after doubling the rows, the columns and, mostly, the frames.
      if !level.isLast { sum += level.positions * 8 * 9 * outputs * outputs }
    }
    let deepest = Double(decoderWidth * widthMultipliers[widthMultipliers.count - 1])
    sum += Double(latentFrames * height * width) * 4 * 27 * deepest * deepest
    return 2 * sum
  }

  /// Bytes that decoding so many latent frames at once holds at its widest.
  func decodingBytes(latentFrames: Int, height: Int, width: Int, bytesPerNumber: Int) -> Int {
    let perFrame =
      levels(latentFrames: 1, height: height, width: width)
      .map { $0.positions * Double(max($0.inputs, $0.outputs)) }.max() ?? 0
    let pixels = Double(latentFrames * temporalScale * height * width * spatialScale * spatialScale)
    // Measured: tensors of the widest level alive at once, and what its convolutions keep of the past.
    let alive = 2.5 * Double(latentFrames) + 4.8
    return Int(perFrame * alive) * bytesPerNumber + Int(pixels) * 3 * 4 * 3
  }
}
