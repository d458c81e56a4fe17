internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// Makes one shot: encodes what is known, samples, and decodes into the result.
struct ShotMaker {
  let work: ResolvedComposition
  let shot: ResolvedShot
  let around: Surroundings
  let model: Model
  let pipeline: any ModelPipeline
  let device: Device
  let rescued: RescuedLatents
  /// Parts of the picture along each side that are encoded, and decoded, one after the other.
  var tiles = 1
  /// Windows of all shots.
  let windowCount: Int
  /// Windows of the shots, and of this one's passes, before the next canvas.
  var windowsBefore: Int
  let report: GenerationEvents.Report

  /// Noise at which the detail of an enlarged clip is sampled.
  static let detail = 0.35

  /// Samples the shot: clean latents of its canvas, `[C, F, H, W]`, normalised.
  mutating func latents(_ pace: inout Pace) throws -> Tensor {
    let encoder = ShotEncoder(
      work: work, shot: shot, model: model, pipeline: pipeline, device: device, tiles: tiles,
      report: report)
    let latents = try sampled(
      encoder.canvas(around), known: encoder.known(around),
      isTiled: work.isTiled && work.baseSize == nil, &pace)
    guard work.baseSize != nil else { return latents }
    return try sampled(enlarged(latents, by: encoder), isTiled: true, &pace)
  }

  private mutating func sampled(
    _ canvas: Canvas, known: KnownFrames? = nil, isTiled: Bool, _ pace: inout Pace
  ) throws -> Tensor {
    let job = CanvasJob(
      canvas: canvas, known: known, prompts: shot.prompts.map(\.text),
      negativePrompt: work.composition.negativePrompt, sampling: work.sampling,
      windows: try shot.windows(model), framesPerSecond: work.framesPerSecond / Double(shot.stride),
      windowsBefore: windowsBefore, windowCount: windowCount, firstDraw: shot.firstDraw,
      isTiled: isTiled)
    windowsBefore += job.windows.windows.count
    return try Sampling(
      model: model, pipeline: pipeline, job: job, device: device, rescued: rescued, report: report
    ).timed(&pace)
  }

  /// A canvas of the full size from latents of the base size: their frames, made larger, and noised.
  private func enlarged(_ latents: Tensor, by encoder: ShotEncoder) throws -> Canvas {
    var pieces: [Tensor] = []
    var pending: [Frame] = []
    let encode = pipeline.encoding(tiles: tiles)
    let scale = model.geometry.temporalScale
    try decoded(latents) { frame, _ in
      pending.append(frame)
      let count = pieces.isEmpty ? 1 : scale
      if pending.count == count {
        pieces.append(try encoder.encode(pending, encode))
        pending = []
        report(.encoding(frames: pieces.count * scale - scale + 1, of: shot.canvasFrameCount))
      }
    }
    let shape = try shot.latentShape(model, size: work.canvasSize)
    return try Canvas.edited(
      concatenate(pieces, along: 1), strength: Self.detail, patch: shape.patch
    ).with(prompts: shot.promptStretches(model))
  }

  // MARK: Decoding

  /// Decodes latents into the result.
  func decode(_ latents: Tensor, into sink: inout FrameSink) throws {
    var finisher = try ShotFinisher(shot, work: work, around: around)
    let count = max(sink.count, work.frameCount)
    try decoded(latents) { frame, index in
      for frame in try finisher.append(frame, at: index) { try sink.append(frame) }
    } afterPiece: {
      report(.decoding(frames: sink.count, of: count))
    }
    let rest = try finisher.finish()
    if rest.isEmpty { return }
    for frame in rest { try sink.append(frame) }
    report(.decoding(frames: sink.count, of: count))
  }

  /// Hands on the frames of latents, at the size of their canvas, piece by piece: memory does not grow with
  /// the clip's length.
  private func decoded(
    _ latents: Tensor, _ body: (_ frame: Frame, _ index: Int) throws -> Void,
    afterPiece: () -> Void = {}
  ) throws {
    let decode = pipeline.decoding()
    let (_, frames, height, width) = latents.shape4
    let chunk = Model.decodingChunk(height: height, width: width)
    if tiles > 1 {
      let clip = try withTensorErrors {
        try withoutGradient {
          try pipeline.decoded(latents, framesAtOnce: chunk, tiles: tiles)
        }
      }
      for index in 0..<clip.frameCount { try body(clip[index], index) }
      return afterPiece()
    }
    var index = 0
    for start in stride(from: 0, to: frames, by: chunk) {
      try Task.checkCancellation()
      let pixels = try withTensorErrors {
        withoutGradient {
          decode(latents.slice(1, start..<min(start + chunk, frames)))
        }
      }
      for offset in 0..<pixels.size(2) {
        try Task.checkCancellation()
        let bytes = pixels.squeezing(0).slice(1, offset..<offset + 1).pixelBytes
        try body(Frame(width: pixels.size(4), height: pixels.size(3), pixels: bytes), index)
        index += 1
      }
      afterPiece()
    }
  }
}

extension Sampling {
  /// Samples, and adds the time to the pace.
  func timed(_ pace: inout Pace) throws -> Tensor {
    try Task.checkCancellation()
    let start = ContinuousClock.now
    defer { pace.secondsSampled += (.now - start).inSeconds }
    return try latents(&pace)
  }
}
