internal import KinoTensor

/// Collects the frames of a result, or writes them to a file as they come; keeps a few for a contact sheet,
/// and those at both ends that shots may have to go on from.
struct FrameSink {
  private let work: ResolvedComposition
  private let writer: ClipWriter?
  private var clip: Clip
  private(set) var highlights: Clip
  /// Frames taken so far.
  private(set) var count = 0
  private let highlightIndices: Set<Int>
  /// The first frames of the result, and the last ones so far.
  private(set) var head: [Frame] = []
  private(set) var tail: [Frame] = []
  /// How much each frame so far differs from the one before it, where frames are remembered.
  private(set) var changes: [Double] = []
  /// Frames to remember at either end.
  private let reach: Int

  /// At 18 the noise of two encodings that meet at a seam changes flat ground by a level.
  private static let crfBesideSources = 12.0

  /// Checks the target before any work is done for it.
  init(_ target: RenderTarget, work: ResolvedComposition, recipe: Recipe) throws {
    self.work = work
    reach = work.reach
    let empty = Clip(
      width: work.size.width, height: work.size.height, framesPerSecond: work.framesPerSecond,
      pixels: [])
    (clip, highlights) = (empty, empty)
    highlightIndices = Set((0..<6).map { ContactSheet.index($0, of: 6, in: work.frameCount) })
    switch target {
    case .memory:
      writer = nil
      clip.reserveCapacity(work.frameCount)
    case .file(let path, var options):
      options.recipe = recipe.json
      if work.holdsSources {
        options.isEven = options.crf == nil
        options.crf = options.crf ?? Self.crfBesideSources
      }
      options.title = options.title ?? recipe.title
      if try MediaFormat(path: path).holdsSound { options.sound = work.sound }
      writer = try ClipWriter(
        path: path, size: work.size, framesPerSecond: work.framesPerSecond, options: options)
    }
  }

  /// The pictures of a part, if it is a whole file that the result can hold as it is stored.
  func stored(_ part: ResolvedPart) throws -> StoredPictures? {
    let media = part.part
    guard media.start == 0, media.seconds == nil, !media.isReversed else { return nil }
    let pictures = try writer?.stored(media.path)
    return pictures?.frameCount == part.frameCount ? pictures : nil
  }

  /// Writes stored pictures whose frames have been taken already.
  func write(_ pictures: StoredPictures) throws { try writer?.append(pictures) }

  /// Takes the next frame, of the result's size; if it `isStored`, the file gets it by ``write(_:)``.
  mutating func append(_ frame: Frame, isStored: Bool = false) throws {
    if !isStored {
      if let writer { try writer.append(frame) } else { clip.append(frame) }
    }
    if highlightIndices.contains(count) { highlights.append(frame) }
    if reach > 0 {
      if head.count < reach { head.append(frame) }
      if let last = tail.last { changes.append(frame.difference(from: last)) }
      if tail.count >= reach { tail.removeFirst() }
      tail.append(frame)
    }
    count += 1
  }

  /// Completes the file, if there is one.
  func finish(_ recipe: Recipe) throws -> GenerationEvent {
    guard let writer else { return .finished(GeneratedClip(clip: clip, recipe: recipe)) }
    try writer.finish()
    return .wrote(
      GeneratedFile(path: writer.path, frameCount: count, recipe: recipe, highlights: highlights))
  }
}
