internal import KinoTensor

/// Collects decoded frames, or writes them to a file as they come; keeps a few for a contact sheet.
struct FrameSink {
  private let request: ResolvedRequest
  private let writer: ClipWriter?
  private var clip: Clip
  private(set) var highlights: Clip
  private var count = 0
  private let highlightIndices: Set<Int>

  /// Checks the target before any work is done for it.
  init(_ target: RenderTarget, request: ResolvedRequest, recipe: Recipe) throws {
    self.request = request
    let empty = Clip(
      width: request.size.width, height: request.size.height,
      framesPerSecond: request.framesPerSecond, pixels: [])
    (clip, highlights) = (empty, empty)
    let last = request.frameCount - 1
    highlightIndices = Set((0..<6).map { ($0 * last * 2 + 5) / 10 })
    switch target {
    case .memory:
      writer = nil
      clip.reserveCapacity(request.frameCount)
    case .file(let path, var options):
      options.recipe = recipe.json
      options.title = options.title ?? recipe.title
      writer = try ClipWriter(
        path: path, size: request.size, framesPerSecond: request.framesPerSecond,
        options: options)
    }
  }

  /// Takes the next frames, `[1, 3, f, H, W]` in -1...1; those past the clip's end are dropped.
  ///
  /// - Returns: Frames taken so far.
  mutating func append(_ pixels: Tensor) throws -> Int {
    let (_, _, frames, height, width) = pixels.shape5
    for index in 0..<min(frames, request.frameCount - count) {
      let bytes = pixels.squeezing(0).slice(1, index..<index + 1).pixelBytes
      let frame = try Frame(width: width, height: height, pixels: bytes)
        .resized(to: request.size, fit: .crop)
      if let writer { try writer.append(frame) } else { clip.append(frame) }
      if highlightIndices.contains(count) { highlights.append(frame) }
      count += 1
    }
    return count
  }

  /// Frames of the whole clip.
  var frameCount: Int { request.frameCount }

  /// Completes the file, if there is one.
  func finish(_ recipe: Recipe) throws -> GenerationEvent {
    guard let writer else { return .finished(GeneratedClip(clip: clip, recipe: recipe)) }
    try writer.finish()
    return .wrote(
      GeneratedFile(path: writer.path, frameCount: count, recipe: recipe, highlights: highlights))
  }
}
