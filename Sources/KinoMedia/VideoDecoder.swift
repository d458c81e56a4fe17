internal import CFFmpeg

/// Decodes the picture stream of a file, frame by frame, with times that only grow.
final class VideoDecoder {
  struct Picture {
    var buffer: FrameBuffer
    /// When it is shown, in seconds from the first picture.
    var time: Double
    /// For how long the stream says it is shown, in seconds.
    var duration: Double
  }

  let file: MediaFile
  /// When the first picture is shown, in seconds on the container's clock; `nil` until one with a
  /// timestamp was decoded.
  private(set) var origin: Double?
  /// The number of packets and frames that were damaged so far.
  var errorCount: Int { decoder.errorCount }
  /// The number of frames decoded so far, or since the last seek.
  private(set) var frameCount = 0

  private let decoder: StreamDecoder
  private var lastTime: Double?

  init(file: MediaFile, pixelLimit: Int) throws {
    self.file = file
    decoder = try StreamDecoder(file: file, stream: file.stream, pixelLimit: pixelLimit)
  }

  /// Goes to the last key frame at or before a time. Returns whether the container could; it can't
  /// before the first picture was decoded.
  func seek(to seconds: Double) -> Bool {
    guard let origin, decoder.seek(to: origin + seconds) else { return false }
    lastTime = nil
    frameCount = 0
    return true
  }

  /// Returns the next frame, or `nil` at the end or where the damage starts that never ends.
  func next() throws -> Picture? {
    try decoder.next().map(picture)
  }

  private func picture(_ buffer: FrameBuffer) -> Picture {
    frameCount += 1
    let interval = 1 / file.framesPerSecond
    let stamp = buffer.pointer.pointee.best_effort_timestamp
    var duration = Double(kino_frame_duration(buffer.pointer)) * decoder.timeBase
    // Jumps longer than the clip itself are damage, not pauses.
    let stated = file.durationSeconds
    let longest = stated > 0 ? min(stated, 86_400) + interval : 60
    if !(duration > 0 && duration <= longest) { duration = interval }
    let expected = lastTime.map { $0 + interval } ?? 0
    var time = expected
    if stamp != kino_no_timestamp() {
      let absolute = Double(stamp) * decoder.timeBase
      let origin = self.origin ?? absolute
      time = absolute - origin
      let isForward = lastTime.map { time > $0 } ?? true
      if !time.isFinite || !isForward || time - (lastTime ?? 0) > longest {
        time = expected
        self.origin = absolute - expected
      } else {
        self.origin = origin
      }
    }
    lastTime = time
    return Picture(buffer: buffer, time: time, duration: duration)
  }
}
