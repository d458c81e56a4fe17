internal import CFFmpeg

/// Owns one FFmpeg encoder.
final class FrameEncoder {
  let context: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>
  private let name: String

  /// Opens the encoder called `name` for pictures.
  ///
  /// - Parameters:
  ///   - name: FFmpeg's name of the encoder.
  ///   - layout: The size and format of the frames it is given.
  ///   - timeBase: The unit of their times.
  ///   - options: The encoder's own options by name.
  ///   - configure: Sets fields of the context before it is opened.
  /// - Throws: ``MediaError`` if there is no such encoder or it refuses the size.
  convenience init(
    _ name: String, layout: kino_picture_layout, timeBase: AVRational,
    options: [String: String] = [:], configure: (inout AVCodecContext) -> Void = { _ in }
  ) throws {
    try self.init(name, describedAs: "\(layout.width)x\(layout.height)", options: options) {
      $0.width = layout.width
      $0.height = layout.height
      $0.pix_fmt = layout.format
      $0.time_base = timeBase
      $0.sample_aspect_ratio = AVRational(num: 1, den: 1)
      configure(&$0)
    }
  }

  /// Opens the encoder called `name`; `configure` sets the fields of its context.
  init(
    _ name: String, describedAs input: String, options: [String: String] = [:],
    configure: (inout AVCodecContext) -> Void
  ) throws {
    self.name = name
    guard let encoder = avcodec_find_encoder_by_name(name) else {
      throw MediaError(
        .unsupported,
        details: "This FFmpeg lacks the encoder \(name); install one that has it.")
    }
    guard let context = avcodec_alloc_context3(encoder), let packet = av_packet_alloc() else {
      throw MediaError.outOfMemory("an encoder")
    }
    self.context = context
    self.packet = packet
    context.pointee.flags |= Int32(AV_CODEC_FLAG_BITEXACT)
    context.pointee.thread_count = 1
    configure(&context.pointee)
    var dictionary: OpaquePointer?
    for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
    let status = avcodec_open2(context, encoder, &dictionary)
    av_dict_free(&dictionary)
    guard status >= 0 else {
      throw MediaError(
        .encodingFailed,
        details: """
          The encoder \(name) refuses \(input) (\(MediaError.text(ofStatus: status))); try another \
          size.
          """)
    }
  }

  deinit {
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
    var context: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&context)
  }

  /// The parameter sets of an H.264 encoder.
  var parameterSets: ParameterSets? {
    guard let data = context.pointee.extradata else { return nil }
    return ParameterSets(
      Array(UnsafeBufferPointer(start: data, count: Int(context.pointee.extradata_size))))
  }

  /// Encodes a frame, or with `nil` what is left, and hands over the packets that are ready.
  func encode(
    _ frame: FrameBuffer?, _ consume: (UnsafeMutablePointer<AVPacket>) throws -> Void
  ) throws {
    var status = avcodec_send_frame(context, frame?.pointer)
    while status >= 0 {
      status = avcodec_receive_packet(context, packet)
      if status == kino_status_again() || status == kino_status_end() { return }
      guard status >= 0 else { break }
      defer { av_packet_unref(packet) }
      try consume(packet)
    }
    throw MediaError(
      .encodingFailed,
      details: "The encoder \(name) failed (\(MediaError.text(ofStatus: status))).")
  }
}
