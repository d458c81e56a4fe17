internal import CFFmpeg
internal import CWebP

/// Gives the frames of a file in order, with timestamps.
protocol FrameSource: AnyObject {
  /// The unit of timestamps in seconds.
  var timeBase: Double { get }
  /// The number of packets and frames that were damaged so far.
  var errorCount: Int { get }
  /// Goes to the last key frame at or before a time, in seconds on the container's clock. Returns
  /// whether it could.
  func seek(to seconds: Double) -> Bool
  /// Returns the next frame, or `nil` at the end or where the damage starts that never ends.
  func next() throws -> FrameBuffer?
}

/// Holds an animated WebP file, which FFmpeg 5 can't decode, in memory.
///
/// Frames build on each other; decoding holds two of them besides the file.
final class WebPAnimation {
  let size: FrameSize
  /// For how long each frame is shown, in milliseconds.
  let durations: [Int]
  fileprivate let bytes: UnsafeMutableBufferPointer<UInt8>

  /// Files are kept whole in memory; larger ones are refused.
  private static let byteLimit = 1 << 30

  /// Reads a file; `nil` if it is no animated WebP.
  init?(_ source: FileSource) throws {
    let head = source.bytes(at: 0, count: 30)
    let isAnimated =
      head.count == 30 && head.starts(with: Array("RIFF".utf8))
      && head[8..<16].elementsEqual("WEBPVP8X".utf8) && head[20] & 2 != 0
    guard isAnimated, let (width, height) = PictureHeader.webP(head) else { return nil }
    guard source.byteCount <= Self.byteLimit else {
      throw MediaError(
        .tooLarge, path: source.path,
        details: "An animated WebP of more than 1 GiB is too large; convert it to .mp4.")
    }
    size = FrameSize(width: width, height: height)
    let read = source.bytes(at: 0, count: source.byteCount)
    bytes = .allocate(capacity: read.count)
    _ = bytes.initialize(from: read)
    durations = Self.durations(WebPData(bytes: bytes.baseAddress, size: bytes.count))
    guard !durations.isEmpty else { throw MediaError.undecodable(source.path) }
  }

  deinit { bytes.deallocate() }

  /// How long it lasts, in milliseconds.
  var duration: Int { durations.reduce(0, +) }

  /// The rate at which a constant-rate copy shows every frame.
  ///
  /// Encoders round times to milliseconds and make one frame of equal ones: the lowest usual rate is
  /// meant at which every frame begins with a frame.
  var frameRate: FrameRate {
    let average = 1000 * Double(durations.count) / Double(max(1, duration))
    let usual = (1...60).flatMap { [Double($0) - 0.5, Double($0), Double($0) * 1000 / 1001] }
    let likely = usual.filter { $0 > average - 0.05 }
    for tolerance in [0.51, 1] {
      for rate in likely.compactMap({ FrameRate($0) }) where gives(rate, within: tolerance) {
        return rate
      }
    }
    return FrameRate(average) ?? FrameRate(25)
  }

  /// Whether every frame begins at one of a rate, within so many milliseconds.
  private func gives(_ rate: FrameRate, within tolerance: Double) -> Bool {
    let interval = 1000 * rate.seconds(ofFrame: 1)
    var start = 0.0
    for duration in durations {
      let distance = abs(start - (start / interval).rounded() * interval)
      guard distance <= tolerance, Double(duration) > interval / 2 else { return false }
      start += Double(duration)
    }
    return true
  }

  private static func durations(_ data: WebPData) -> [Int] {
    var data = data
    guard let demuxer = WebPDemux(&data) else { return [] }
    defer { WebPDemuxDelete(demuxer) }
    var iterator = WebPIterator()
    var result: [Int] = []
    // Frame numbers begin at 1.
    var isThere = WebPDemuxGetFrame(demuxer, 1, &iterator)
    while isThere != 0 {
      // Browsers show frames of no duration for a moment, too.
      result.append(max(1, min(Int(iterator.duration), 1 << 24)))
      isThere = WebPDemuxNextFrame(&iterator)
    }
    WebPDemuxReleaseIterator(&iterator)
    return result
  }
}

/// Decodes an animation from its beginning.
final class WebPDecoder: FrameSource {
  let timeBase = 0.001
  private(set) var errorCount = 0
  private let animation: WebPAnimation
  private let decoder: OpaquePointer
  private var index = 0
  private var time = 0

  init(_ animation: WebPAnimation) throws {
    self.animation = animation
    var options = WebPAnimDecoderOptions()
    var data = WebPData(bytes: animation.bytes.baseAddress, size: animation.bytes.count)
    guard WebPAnimDecoderOptionsInit(&options) != 0,
      let decoder = WebPAnimDecoderNew(&data, &options)
    else { throw MediaError.outOfMemory("an animation of \(animation.size)") }
    self.decoder = decoder
  }

  deinit { WebPAnimDecoderDelete(decoder) }

  func seek(to seconds: Double) -> Bool { false }

  func next() throws -> FrameBuffer? {
    guard index < animation.durations.count, WebPAnimDecoderHasMoreFrames(decoder) != 0 else {
      return nil
    }
    var pixels: UnsafeMutablePointer<UInt8>?
    var end: Int32 = 0
    guard WebPAnimDecoderGetNext(decoder, &pixels, &end) != 0, let pixels else {
      errorCount += 1
      index = animation.durations.count
      return nil
    }
    let size = animation.size
    let buffer = try FrameBuffer(size: size, format: AV_PIX_FMT_RGBA)
    guard let plane = buffer.firstPlane else { throw MediaError.outOfMemory("a frame") }
    for row in 0..<size.height {
      (plane.start + row * plane.stride).update(
        from: pixels + row * size.width * 4, count: size.width * 4)
    }
    buffer.pointer.pointee.best_effort_timestamp = Int64(time)
    kino_set_frame_duration(buffer.pointer, Int64(animation.durations[index]))
    time += animation.durations[index]
    index += 1
    return buffer
  }
}
