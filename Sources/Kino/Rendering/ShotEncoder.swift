internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// Frames on either side of a shot, at the size and rate of the result.
struct Surroundings {
  /// The last frames before the shot, in order; empty where it starts anew.
  var previous: [Frame] = []
  /// How much every frame before the shot, from the start of the result, differs from the one before it.
  var changesBefore: [Double] = []
  /// The first frames after it.
  var next: [Frame] = []
  /// How much each of the first frames after it differs from the one before that, where they are a file's.
  var changesAfter: [Double] = []

  /// Frames of a file that tell how much it changes as a rule.
  static let framesCompared = 240
}

/// Makes a shot's canvas: reads and encodes what is known of it.
struct ShotEncoder {
  let work: ResolvedComposition
  let shot: ResolvedShot
  let model: Model
  let pipeline: any ModelPipeline
  let device: Device
  /// Parts of the picture along each side that are encoded one after the other.
  let tiles: Int
  let report: GenerationEvents.Report

  private var scale: Int { model.geometry.temporalScale }

  /// Encodes all that is known.
  ///
  /// - Throws: What reading the sources throws, `CancellationError`, and errors of tensors.
  func canvas(_ around: Surroundings) throws -> Canvas {
    let shape = try shot.latentShape(model, size: work.baseSize ?? work.canvasSize)
    let stretches = shot.promptStretches(model)
    guard model.family.conditioning == .tokens else {
      return try Canvas(shape: shape, prompts: stretches)
    }
    guard shot.before + shot.after > 0 || !shot.guides.isEmpty else {
      return try Canvas(shape: shape, prompts: stretches)
    }
    var content = (0..<shape.frames).map { _ in Tensor?.none }
    var levels = [Double](repeating: 1, count: shape.tokenCount)
    func hold(_ latents: Tensor, from frame: Int) {
      for index in 0..<latents.size(1) where frame + index < shape.frames {
        content[frame + index] = latents.slice(1, index..<index + 1)
        let first = (frame + index) / shape.patch.frames * shape.tokensPerFrame
        for token in first..<first + shape.tokensPerFrame { levels[token] = 0 }
      }
    }
    for guide in shot.guides where guide.frame == nil {
      try fill(&content, &levels, shape, guide: guide, around)
    }
    if shot.before > 0 { hold(try latents(leading: beforeFrames(around)), from: 0) }
    for guide in shot.guides { if let at = guide.frame { try place(guide, at: at, with: hold) } }
    if shot.after > 0 {
      let (history, frames) = afterFrames(around)
      let start = shape.frames - shot.after / scale
      hold(try latents(ofGroups: frames, after: history), from: start)
    }
    let free = Tensor.zeros([shape.channels, 1, shape.height, shape.width], device: device)
    return try Canvas(
      shape: shape, content: concatenate(content.map { $0 ?? free }, along: 1),
      noiseLevel: .patches(Tensor(levels.map(Float.init), shape: shape.grid)), prompts: stretches)
  }

  /// The frames that are known as pictures, for models that take them so.
  func known(_ around: Surroundings) throws -> KnownFrames? {
    guard model.family.conditioning != .tokens else { return nil }
    let pictures = try shot.pictures(around) {
      try Frame.read($0.guide.part.path, readOptions($0.guide.part))
    }
    let (size, count) = (work.canvasSize, shot.canvasFrameCount)
    let pixels = Tensor.zeros([1, 3, count, size.height, size.width])
    for (index, picture) in pictures {
      let scaled = try picture.resized(to: size, fit: work.canvasFit)
      pixels.slice(2, index..<index + 1)
        .add(inPlace: Clip(frames: [scaled], framesPerSecond: 1).tensor)
    }
    var known = KnownFrames(
      pixels: pixels, isKnown: (0..<count).map { pictures[$0] != nil })
    known.tiles = tiles
    return known
  }

  // MARK: Neighbours

  /// The last frames before the shot, as many as its canvas holds.
  private func beforeFrames(_ around: Surroundings) -> [Frame] {
    let last = around.previous.count - 1
    return (0..<shot.before).reversed().map {
      around.previous[max(0, last - $0 * shot.stride)]
    }
  }

  /// The held frames after the shot, and the one before them.
  private func afterFrames(_ around: Surroundings) -> (history: Frame, frames: [Frame]) {
    let last = around.next.count - 1
    func frame(_ index: Int) -> Frame { around.next[max(0, min(last, index * shot.stride))] }
    return (frame(shot.offset - 1), (0..<shot.after).map { frame(shot.offset + $0) })
  }

  // MARK: Guides

  private func place(
    _ guide: ResolvedGuide, at frame: Int, with hold: (Tensor, Int) -> Void
  ) throws {
    let start = shot.own.lowerBound + frame
    let size = model.geometry
    if guide.isStill {
      let picture = try Frame.read(guide.guide.part.path, readOptions(guide.guide.part))
      if start == 0 {
        hold(try latents(leading: [picture]), 0)
      } else {
        let group = Array(repeating: picture, count: scale)
        hold(try latents(ofGroups: group, after: picture), size.latentFrame(of: start))
      }
      return
    }
    var options = readOptions(guide.guide.part)
    options.frameLimit = guide.frameCount
    let clip = try Clip.read(guide.guide.part.path, options)
    if start == 0 {
      let whole = (clip.frameCount - 1) / scale * scale + 1
      hold(try latents(leading: Array(clip.frames.prefix(whole))), 0)
    } else {
      // The first whole group at or after the clip's start.
      let skipped = (scale - (start - 1) % scale) % scale
      let groups = (clip.frameCount - skipped) / scale
      guard groups > 0 else { return }
      let frames = (0..<groups * scale).map { clip[skipped + $0] }
      hold(
        try latents(ofGroups: frames, after: clip[max(0, skipped - 1)]),
        size.latentFrame(of: start + skipped))
    }
  }

  /// Fills the whole canvas from a guide, its neighbours included, and frees what may change.
  private func fill(
    _ content: inout [Tensor?], _ levels: inout [Double], _ shape: LatentShape,
    guide: ResolvedGuide, _ around: Surroundings
  ) throws {
    let source = try FrameStream(guide.guide.part, work: work)
    let mask = try guide.guide.mask.map { try FrameStream($0, work: work) }
    var index = 0
    guard var last = try source.next() else { throw StudioError.noFrames(guide.guide.part.path) }
    let before = shot.before > 0 ? beforeFrames(around) : []
    let after = around.next
    func nextFrame() throws -> Frame {
      defer { index += 1 }
      if index < before.count { return before[index] }
      let beyond = index - shot.own.upperBound
      if beyond >= 0, !after.isEmpty { return after[min(beyond, after.count - 1)] }
      if index > shot.own.lowerBound, beyond < 0, let frame = try source.next() { last = frame }
      return last
    }
    let encoding = pipeline.encoding(tiles: tiles)
    var latentFrame = 0
    let piece = Model.decodingChunk(height: shape.height, width: shape.width)
    while latentFrame < shape.frames {
      try Task.checkCancellation()
      let count = min(piece, shape.frames - latentFrame)
      let frames = try (0..<(latentFrame == 0 ? 1 + (count - 1) * scale : count * scale)).map { _ in
        try nextFrame()
      }
      let latents = try encode(frames, encoding)
      for offset in 0..<count {
        content[latentFrame + offset] = latents.slice(1, offset..<offset + 1)
      }
      latentFrame += count
      report(.encoding(frames: min(index, shot.canvasFrameCount), of: shot.canvasFrameCount))
    }
    try free(&levels, shape, guide: guide, mask: mask)
  }

  /// The noise level of each token: the guide's where its mask has any white.
  private func free(
    _ levels: inout [Double], _ shape: LatentShape, guide: ResolvedGuide, mask: FrameStream?
  ) throws {
    let (rows, columns) = (shape.grid[1], shape.grid[2])
    var current = [Float](repeating: 1, count: rows * columns)
    for frame in 0..<shape.frames {
      if let mask {
        // All frames of the group, and a still mask for all.
        var any: [Float]?
        for _ in 0..<(frame == 0 ? 1 : scale) {
          guard let picture = try mask.next() else { break }
          let shares = work.pixelMask(picture).maxima(rows: rows, columns: columns)
          any = any.map { zip($0, shares).map(max) } ?? shares
        }
        current = any ?? current
      }
      let first = frame / shape.patch.frames * shape.tokensPerFrame
      for token in 0..<shape.tokensPerFrame {
        levels[first + token] = current[token] > 0 ? guide.guide.noiseLevel : 0
      }
    }
  }

  // MARK: Encoding

  private func readOptions(_ part: MediaPart) -> ReadOptions { work.readOptions(part) }

  /// Latents `[C, f, H, W]` of frames that begin a clip: one more than a multiple of the scale.
  private func latents(leading frames: [Frame]) throws -> Tensor {
    try encode(frames, pipeline.encoding(tiles: tiles))
  }

  /// Latents of whole groups of frames, as they would be in the middle of a clip.
  private func latents(ofGroups frames: [Frame], after history: Frame) throws -> Tensor {
    try latents(leading: [history] + frames).slice(1, from: 1)
  }

  /// Frames of any size to latents `[C, f, H, W]` of the canvas's.
  func encode(_ frames: [Frame], _ body: (Tensor) -> Tensor) throws -> Tensor {
    try Task.checkCancellation()
    let scaled = try frames.map { try $0.resized(to: work.canvasSize, fit: work.canvasFit) }
    let pixels = Clip(frames: scaled, framesPerSecond: 1).tensor.moved(to: device)
    return try withTensorErrors {
      withoutGradient { body(pixels) }
    }
  }
}

extension ResolvedComposition {
  /// Pixels over which the edge of a mask fades: a 64th of the shorter side.
  var feather: Int { max(1, min(size.width, size.height) / 64) }

  func pixelMask(_ picture: Frame) -> PixelMask { PixelMask(picture, feather: feather) }

  /// How a part of a file is read for the result.
  func readOptions(_ part: MediaPart) -> ReadOptions {
    ReadOptions(
      size: size, fit: composition.fit, framesPerSecond: framesPerSecond, startSeconds: part.start,
      durationSeconds: part.seconds)
  }
}

/// The frames of a part of a file, at the size and rate of the result; a picture gives its one frame for ever.
final class FrameStream {
  private let reader: ClipReader
  private let isStill: Bool
  private var still: Frame?

  init(_ part: MediaPart, work: ResolvedComposition) throws {
    reader = try ClipReader(path: part.path, options: work.readOptions(part))
    isStill = reader.info.isStill
  }

  /// The next frame; `nil` at the end of a clip.
  func next() throws -> Frame? {
    if let still { return still }
    let frame = try reader.next()
    if isStill { still = frame }
    return frame
  }
}

extension StudioError {
  static func noFrames(_ path: String) -> StudioError {
    StudioError(.invalidLength, "\(path): no frame is shown in the part asked for; start earlier.")
  }
}
