internal import CFFmpeg

/// Decodes one stream of a file, frame by frame, and steps over what is damaged.
final class StreamDecoder: FrameSource {
  let file: MediaFile
  let stream: UnsafeMutablePointer<AVStream>
  private(set) var errorCount = 0

  private let codec: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>
  private var isDraining = false
  /// Some containers go to any packet; decoders may show what they make of it.
  private var needsKeyFrame = false
  /// After so many failures in a row, or packets without a frame, the rest is given up.
  private let patience = (failures: 256, packets: 100_000)

  /// Opens the decoder of a stream, which is from now on the only one the file reads.
  init(file: MediaFile, stream: UnsafeMutablePointer<AVStream>, pixelLimit: Int) throws {
    self.file = file
    self.stream = stream
    guard let packet = av_packet_alloc() else { throw MediaError.outOfMemory("reading") }
    do {
      codec = try Self.openCodec(file, stream, pixelLimit: pixelLimit)
    } catch {
      var owned: UnsafeMutablePointer<AVPacket>? = packet
      av_packet_free(&owned)
      throw error
    }
    self.packet = packet
    file.read(only: stream)
  }

  deinit {
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
    var codec: UnsafeMutablePointer<AVCodecContext>? = codec
    avcodec_free_context(&codec)
  }

  var timeBase: Double { av_q2d(stream.pointee.time_base) }

  func seek(to seconds: Double) -> Bool {
    let target = (seconds / timeBase).rounded(.down)
    guard abs(target) < 1e18,
      av_seek_frame(file.context, stream.pointee.index, Int64(target), Int32(AVSEEK_FLAG_BACKWARD))
        >= 0
    else { return false }
    avcodec_flush_buffers(codec)
    isDraining = false
    needsKeyFrame = true
    return true
  }

  func next() throws -> FrameBuffer? {
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
        return buffer
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

  // MARK: Internal

  /// Gives the decoder one packet of the stream, or the end. Returns whether it was accepted.
  private func sendPacket() -> Bool {
    let status = av_read_frame(file.context, packet)
    guard status >= 0 else {
      isDraining = true
      let isWhole = status == kino_status_end()
      return avcodec_send_packet(codec, nil) >= 0 && isWhole
    }
    defer { av_packet_unref(packet) }
    guard packet.pointee.stream_index == stream.pointee.index else { return true }
    if needsKeyFrame, packet.pointee.flags & AV_PKT_FLAG_KEY == 0 { return true }
    needsKeyFrame = false
    let sent = avcodec_send_packet(codec, packet)
    return sent >= 0 || sent == kino_status_end()
  }

  private func isUsable(_ buffer: FrameBuffer) -> Bool {
    let frame = buffer.pointer.pointee
    guard frame.data.0 != nil, frame.nb_samples > 0 || (frame.width > 0 && frame.height > 0)
    else { return false }
    if frame.flags & Int32(AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0 {
      errorCount += 1
    }
    return true
  }

  /// FFmpeg's own decoders of VP8 and VP9 drop the transparency that libvpx's know.
  private static func decoder(
    of stream: UnsafeMutablePointer<AVStream>, _ identifier: AVCodecID
  ) -> UnsafePointer<AVCodec>? {
    let names = [AV_CODEC_ID_VP8.rawValue: "libvpx", AV_CODEC_ID_VP9.rawValue: "libvpx-vp9"]
    let alpha = av_dict_get(stream.pointee.metadata, "alpha_mode", nil, 0)
    if let name = names[identifier.rawValue], let value = alpha?.pointee.value,
      String(cString: value) == "1", let decoder = avcodec_find_decoder_by_name(name)
    {
      return decoder
    }
    return avcodec_find_decoder(identifier)
  }

  private static func openCodec(
    _ file: MediaFile, _ stream: UnsafeMutablePointer<AVStream>, pixelLimit: Int
  ) throws -> UnsafeMutablePointer<AVCodecContext> {
    let parameters = stream.pointee.codecpar
    let identifier = parameters?.pointee.codec_id ?? AV_CODEC_ID_NONE
    guard let parameters, let decoder = decoder(of: stream, identifier) else {
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
      context.pointee.pkt_timebase = stream.pointee.time_base
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
