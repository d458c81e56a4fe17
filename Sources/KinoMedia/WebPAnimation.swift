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
  let delays: FrameDelays
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
    delays = FrameDelays(
      delays: Self.delays(WebPData(bytes: bytes.baseAddress, size: bytes.count)),
      ticksPerSecond: 1000)
    guard !delays.delays.isEmpty else { throw MediaError.undecodable(source.path) }
  }

  deinit { bytes.deallocate() }

  private static func delays(_ data: WebPData) -> [Int] {
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
    guard index < animation.delays.delays.count, WebPAnimDecoderHasMoreFrames(decoder) != 0 else {
      return nil
    }
    var pixels: UnsafeMutablePointer<UInt8>?
    var end: Int32 = 0
    guard WebPAnimDecoderGetNext(decoder, &pixels, &end) != 0, let pixels else {
      errorCount += 1
      index = animation.delays.delays.count
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
    kino_set_frame_duration(buffer.pointer, Int64(animation.delays.delays[index]))
    time += animation.delays.delays[index]
    index += 1
    return buffer
  }
}
