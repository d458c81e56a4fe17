internal import CFFmpeg

/// Decodes the picture stream of a file, frame by frame, with times that only grow.
final class VideoDecoder {
  struct Picture {
    var buffer: FrameBuffer
    /// When it is shown, in seconds from the start of the stream.
    var time: Double
    /// For how long the stream says it is shown, in seconds.
    var duration: Double
  }

  let file: MediaFile
  /// The number of packets and frames that were damaged so far.
  private(set) var errorCount = 0
  /// The number of frames decoded so far.
  private(set) var frameCount = 0

  private let codec: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>
  private var isDraining = false
  private var origin: Double?
  private var lastTime: Double?
  /// After so many failures in a row, or packets without a frame, the rest is given up.
  private let patience = (failures: 256, packets: 100_000)

  init(file: MediaFile, pixelLimit: Int) throws {
    self.file = file
    guard let packet = av_packet_alloc() else { throw MediaError.outOfMemory("reading") }
    do {
      codec = try Self.openCodec(file, pixelLimit: pixelLimit)
    } catch {
      var owned: UnsafeMutablePointer<AVPacket>? = packet
      av_packet_free(&owned)
      throw error
    }
    self.packet = packet
    let start = file.stream.pointee.start_time
    if start != kino_no_timestamp() { origin = Double(start) * timeBase }
  }

  deinit {
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
    var codec: UnsafeMutablePointer<AVCodecContext>? = codec
    avcodec_free_context(&codec)
  }

  /// Goes to the last key frame at or before a time. Returns whether the container could.
  func seek(to seconds: Double) -> Bool {
    guard let origin else { return false }
    let target = Int64(((origin + seconds) / timeBase).rounded(.down))
    guard
      av_seek_frame(file.context, file.stream.pointee.index, target, Int32(AVSEEK_FLAG_BACKWARD))
        >= 0
    else { return false }
    avcodec_flush_buffers(codec)
    lastTime = nil
    return true
  }

  /// Returns the next frame, or `nil` at the end or where the damage starts that never ends.
  func next() throws -> Picture? {
    let buffer = try FrameBuffer()
    var failures = 0
    var packets = 0
    while failures < patience.failures && packets < patience.packets {
      let status = avcodec_receive_frame(codec, buffer.pointer)
      if status >= 0 {
        guard isUsable(buffer) else {
          failures += 1
          errorCount += 1
          av_frame_unref(buffer.pointer)
          continue
        }
        return picture(buffer)
      }
      if status == kino_status_end() { return nil }
      if status != kino_status_again() {
        errorCount += 1
        failures += 1
        if isDraining { continue }
      }
      guard !isDraining else { return nil }
      packets += 1
      if !sendPacket() {
        errorCount += 1
        failures += 1
      }
    }
    return nil
  }

  // MARK: Packets

  private var timeBase: Double { av_q2d(file.stream.pointee.time_base) }

  /// Gives the decoder one packet of the stream, or the end. Returns whether it was accepted.
  private func sendPacket() -> Bool {
    let status = av_read_frame(file.context, packet)
    guard status >= 0 else {
      isDraining = true
      let isWhole = status == kino_status_end()
      return avcodec_send_packet(codec, nil) >= 0 && isWhole
    }
    defer { av_packet_unref(packet) }
    guard packet.pointee.stream_index == file.stream.pointee.index else { return true }
    let sent = avcodec_send_packet(codec, packet)
    return sent >= 0 || sent == kino_status_end()
  }

  private func isUsable(_ buffer: FrameBuffer) -> Bool {
    let frame = buffer.pointer.pointee
    guard frame.width > 0, frame.height > 0, frame.data.0 != nil else { return false }
    if frame.flags & Int32(AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0 {
      errorCount += 1
    }
    return true
  }

  // MARK: Time

  private func picture(_ buffer: FrameBuffer) -> Picture {
    frameCount += 1
    let interval = 1 / file.framesPerSecond
    let stamp = buffer.pointer.pointee.best_effort_timestamp
    var duration = Double(kino_frame_duration(buffer.pointer)) * timeBase
    // Jumps longer than the clip itself are damage, not pauses.
    let stated = file.durationSeconds
    let longest = stated > 0 ? min(stated, 86_400) + interval : 60
    if !(duration > 0 && duration <= longest) { duration = interval }
    let expected = lastTime.map { $0 + interval } ?? 0
    var time = expected
    if stamp != kino_no_timestamp() {
      let absolute = Double(stamp) * timeBase
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

  // MARK: Opening

  private static func openCodec(
    _ file: MediaFile, pixelLimit: Int
  ) throws -> UnsafeMutablePointer<AVCodecContext> {
    let parameters = file.stream.pointee.codecpar
    let identifier = parameters?.pointee.codec_id ?? AV_CODEC_ID_NONE
    guard let parameters, let decoder = avcodec_find_decoder(identifier) else {
      let name = String(cString: avcodec_get_name(identifier))
      throw MediaError(
        .unsupported, path: file.path,
        details: "This FFmpeg has no decoder for \(name); convert the file to H.264 or PNG.")
    }
    guard let context = avcodec_alloc_context3(decoder) else {
      throw MediaError.outOfMemory("a decoder")
    }
    var owned: UnsafeMutablePointer<AVCodecContext>? = context
    var status = avcodec_parameters_to_context(context, parameters)
    if status >= 0 {
      context.pointee.pkt_timebase = file.stream.pointee.time_base
      context.pointee.max_pixels = MediaFile.codedLimit(pixelLimit)
      // One thread: damaged streams then decode the same way every time.
      context.pointee.thread_count = 1
      status = avcodec_open2(context, decoder, nil)
    }
    guard status >= 0 else {
      avcodec_free_context(&owned)
      throw MediaError(
        .corrupt, path: file.path,
        details: """
          The decoder refuses the stream (\(MediaError.text(ofStatus: status))); check that the \
          file is whole.
          """)
    }
    return context
  }
}
