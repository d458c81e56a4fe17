/// The frames of a part of a file at the size and rate of the result, in either order.
///
/// Backwards, they are read block by block from the end, each block forwards, so that memory does not grow
/// with the length.
final class SourceFrames {
  private let part: MediaPart
  private let work: ResolvedComposition
  private let reader: ClipReader
  /// The block being given out, backwards.
  private var block: [Frame] = []
  /// Frames before the block that are still to be read.
  private var rest: Int?
  private let blockLength: Int

  init(_ part: MediaPart, work: ResolvedComposition) throws {
    self.part = part
    self.work = work
    reader = try ClipReader(path: part.path, options: work.readOptions(part))
    blockLength = max(8, min(256, (256 << 20) / (work.size.width * work.size.height * 3)))
  }

  /// Whether something of the file could not be decoded so far.
  var isDamaged: Bool { reader.decodeErrorCount > 0 }

  /// The next frame; `nil` at the end.
  func next() throws -> Frame? {
    guard part.isReversed else { return try reader.next() }
    if rest == nil {
      var count = 0
      while try reader.next() != nil {
        try Task.checkCancellation()
        count += 1
      }
      rest = count
    }
    if block.isEmpty, let rest, rest > 0 {
      let start = max(0, rest - blockLength)
      var options = work.readOptions(part)
      options.startSeconds += Double(start) / work.framesPerSecond
      options.durationSeconds = nil
      options.frameLimit = rest - start
      block = Array(try Clip.read(part.path, options).frames)
      self.rest = start
    }
    return block.popLast()
  }
}

extension ResolvedComposition {
  /// Frames of the result that a shot may look at on either side of it.
  var reach: Int {
    shots.map { shot in
      max(shot.before, shot.after > 0 ? shot.offset + shot.after + 1 : 0) * shot.stride
    }.max() ?? 0
  }
}
