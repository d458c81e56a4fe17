internal import CFFmpeg

/// Decodes the picture stream of a file, frame by frame, with times that only grow.
final class VideoDecoder {
  struct Picture: TimedPicture {
    var buffer: FrameBuffer
    var time: Double
    var duration: Double
  }

  let file: MediaFile
  /// The number of packets and frames that were damaged so far.
  var errorCount: Int { decoder.errorCount }
  /// When the first picture is shown, in seconds on the container's clock; `nil` until one with a
  /// timestamp was decoded.
  var origin: Double? { clock.origin }
  /// Whether every picture so far had a timestamp, and each a later one than the last.
  var isRegular: Bool { clock.isRegular }

  private let decoder: any FrameSource
  private var clock: PictureClock

  init(file: MediaFile, pixelLimit: Int) throws {
    self.file = file
    clock = PictureClock(file)
    decoder =
      try file.animation.map(WebPDecoder.init)
      ?? StreamDecoder(file: file, stream: file.stream, pixelLimit: pixelLimit)
  }

  /// Goes to the last key frame at or before a time. Returns whether the container could; it can't
  /// before the first picture was decoded.
  func seek(to seconds: Double) -> Bool {
    guard let origin, decoder.seek(to: origin + seconds) else { return false }
    clock.restart()
    return true
  }

  /// Returns the next frame, or `nil` at the end or where the damage starts that never ends.
  func next() throws -> Picture? {
    guard let buffer = try decoder.next() else { return nil }
    let stamp = buffer.pointer.pointee.best_effort_timestamp
    let (time, duration) = clock.place(
      stamp: stamp == kino_no_timestamp() ? nil : Double(stamp) * decoder.timeBase,
      duration: Double(kino_frame_duration(buffer.pointer)) * decoder.timeBase)
    return Picture(buffer: buffer, time: time, duration: duration)
  }
}
