internal import CFFmpeg

/// Owns an open demuxer and knows its picture stream.
final class MediaFile {
  let source: FileSource
  let context: UnsafeMutablePointer<AVFormatContext>
  let stream: UnsafeMutablePointer<AVStream>
  /// What is decoded instead of ``stream`` if the file is an animated WebP.
  let animation: WebPAnimation?
  /// The delays of an animated GIF or WebP.
  private let delays: FrameDelays?
  private let io: UnsafeMutablePointer<AVIOContext>

  /// Opens a file and looks at its first packets. Pictures over `pixelLimit` are refused before
  /// memory is taken for them.
  init(path: String, pixelLimit: Int) throws {
    MediaLog.silence
    source = try FileSource(path: path)
    if let size = PictureHeader.size(of: source) {
      try Self.check(width: size.width, height: size.height, limit: pixelLimit, path: path)
    }
    animation = try WebPAnimation(source)
    delays = animation?.delays ?? GIFBlocks.delays(source)
    let io = try source.makeIO()
    do {
      context = try Self.open(source, io: io)
    } catch {
      Self.free(io)
      throw error
    }
    self.io = io
    do {
      stream = try Self.findStream(context, path: path, pixelLimit: pixelLimit)
    } catch {
      Self.close(context, io)
      throw error
    }
  }

  deinit { Self.close(context, io) }

  var path: String { source.path }

  /// The short name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2` or `png_pipe`.
  var formatName: String {
    context.pointee.iformat.flatMap { $0.pointee.name }.map { String(cString: $0) } ?? "unknown"
  }

  /// Whether the picture may be a still: a picture format or the cover of an audio file.
  var isPictureFormat: Bool {
    let name = formatName
    return name.hasSuffix("_pipe") || ["gif", "apng", "image2", "ico", "webp"].contains(name)
      || animation != nil || stream.pointee.disposition & Int32(AV_DISPOSITION_ATTACHED_PIC) != 0
  }

  /// Whether a picture format holds frames with times.
  var isAnimated: Bool { ["gif", "apng"].contains(formatName) || animation != nil }

  /// The rate at which a constant-rate copy shows every frame.
  var frameRate: FrameRate {
    if let rate = delays?.frameRate { return rate }
    if let animation { return FrameRate(animation.delays.average) ?? FrameRate(25) }
    let average = FrameRate(stream.pointee.avg_frame_rate)
    let base = FrameRate(stream.pointee.r_frame_rate)
    guard let average, average.framesPerSecond <= 480 else {
      return base.flatMap { $0.framesPerSecond <= 240 ? $0 : nil } ?? FrameRate(25)
    }
    guard let base else { return average }
    let ratio = base.framesPerSecond / average.framesPerSecond
    // Frames that are shown for uneven times need the common divisor of these, where that is a sane
    // rate. Twice the average is the rate of fields; MPEG-2 states fields too, to slow films down.
    // An average just above is the same rate, measured over rounded times.
    let isMeant =
      isPictureFormat
      ? ratio > 1 && base.framesPerSecond <= 30
      : ratio > 0.995 && ratio < 1.9 && base.framesPerSecond <= 120
        && stream.pointee.codecpar.pointee.codec_id != AV_CODEC_ID_MPEG2VIDEO
    return isMeant ? base : average
  }

  /// The duration the container states, in seconds; 0 if it states none.
  var durationSeconds: Double {
    if let animation { return animation.delays.seconds }
    let own = stream.pointee.duration
    if own > 0 { return Double(own) * av_q2d(stream.pointee.time_base) }
    let whole = context.pointee.duration
    return whole > 0 ? Double(whole) / Double(AV_TIME_BASE) : 0
  }

  /// How many times as wide as high a stored pixel is shown.
  var pixelAspect: Double {
    let ratio = av_q2d(av_guess_sample_aspect_ratio(context, stream, nil))
    return ratio.isFinite && ratio >= 1 / 16.0 && ratio <= 16 ? ratio : 1
  }

  /// All streams, in the order of the container.
  var streams: [UnsafeMutablePointer<AVStream>] {
    (0..<Int(context.pointee.nb_streams)).compactMap { context.pointee.streams[$0] }
  }

  /// The sound a player would play.
  var soundStream: UnsafeMutablePointer<AVStream>? {
    let index = av_find_best_stream(
      context, AVMEDIA_TYPE_AUDIO, -1, stream.pointee.index, nil, 0)
    return index >= 0 ? context.pointee.streams[Int(index)] : nil
  }

  /// Lets the demuxer skip the packets of all other streams.
  func read(only chosen: UnsafeMutablePointer<AVStream>) {
    for stream in streams {
      stream.pointee.discard = stream == chosen ? AVDISCARD_DEFAULT : AVDISCARD_ALL
    }
  }

  /// What decoders are held to: they count pixels with their margins and alignment.
  static func codedLimit(_ pixelLimit: Int) -> Int64 {
    Int64(min(pixelLimit, 1 << 40)) * 5 / 4 + (1 << 20)
  }

  static func check(width: Int, height: Int, limit: Int, path: String) throws {
    let (count, overflow) = width.multipliedReportingOverflow(by: height)
    guard overflow || count > limit else { return }
    throw MediaError(
      .tooLarge, path: path,
      details: """
        The picture is \(width)x\(height), the limit is \(limit) pixels; make it smaller.
        """)
  }

  // MARK: Opening

  private static func open(
    _ source: FileSource, io: UnsafeMutablePointer<AVIOContext>
  ) throws -> UnsafeMutablePointer<AVFormatContext> {
    let name = source.fileExtension.isEmpty ? "" : "clip.\(source.fileExtension)"
    let format = try probe(source, io: io, name: name)
    guard let made = avformat_alloc_context() else { throw MediaError.outOfMemory("reading") }
    made.pointee.pb = io
    kino_refuse_nested_files(made)
    var options: OpaquePointer?
    // Whatever still refers to other files finds no protocol to reach them with.
    av_dict_set(&options, "protocol_whitelist", "none", 0)
    av_dict_set(&options, "probesize", "5000000", 0)
    av_dict_set(&options, "analyzeduration", "5000000", 0)
    var context: UnsafeMutablePointer<AVFormatContext>? = made
    let status = avformat_open_input(&context, name, format, &options)
    av_dict_free(&options)
    guard status >= 0, let context else {
      throw unrecognised(source, status)
    }
    return context
  }

  /// Recognises the container and refuses those that hold no pictures but names of other files.
  private static func probe(
    _ source: FileSource, io: UnsafeMutablePointer<AVIOContext>, name: String
  ) throws -> UnsafePointer<AVInputFormat> {
    var found: UnsafePointer<AVInputFormat>?
    let status = av_probe_input_buffer2(io, &found, name, nil, 0, 0)
    guard status >= 0, let format = found else { throw unrecognised(source, status) }
    let names = format.pointee.name.map { String(cString: $0) } ?? ""
    let playlists: Set = ["hls", "concat", "dash", "imf", "sdp", "rtsp", "webm_dash_manifest"]
    guard playlists.isDisjoint(with: names.split(separator: ",").map(String.init)) else {
      throw MediaError(
        .unsupported, path: source.path,
        details: "A playlist (\(names)) refers to other files; name the clip itself.")
    }
    return format
  }

  private static func unrecognised(_ source: FileSource, _ status: Int32) -> MediaError {
    MediaError(
      .notMedia, path: source.path,
      details: """
        FFmpeg finds no clip or picture in it (\(MediaError.text(ofStatus: status))); check that \
        the file is whole and of a known format.
        """)
  }

  private static func findStream(
    _ context: UnsafeMutablePointer<AVFormatContext>, path: String, pixelLimit: Int
  ) throws -> UnsafeMutablePointer<AVStream> {
    let streamCount = Int(context.pointee.nb_streams)
    var options = [OpaquePointer?](repeating: nil, count: streamCount)
    for index in options.indices {
      av_dict_set(&options[index], "max_pixels", "\(codedLimit(pixelLimit))", 0)
      av_dict_set(&options[index], "threads", "1", 0)
    }
    // Its failure shows below: there is no stream, or the decoder finds nothing.
    _ = avformat_find_stream_info(context, &options)
    for index in options.indices { av_dict_free(&options[index]) }
    let index = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
    guard index >= 0, let stream = context.pointee.streams[Int(index)] else {
      let hasOther = context.pointee.nb_streams > 0
      throw MediaError(
        hasOther ? .noVideo : .notMedia, path: path,
        details: hasOther
          ? "Expected pictures, found only sound or data; name a clip or a picture."
          : "No stream was found in it; check that the file is whole.")
    }
    let parameters = stream.pointee.codecpar.pointee
    try check(
      width: Int(parameters.width), height: Int(parameters.height), limit: pixelLimit, path: path)
    return stream
  }

  private static func close(
    _ context: UnsafeMutablePointer<AVFormatContext>, _ io: UnsafeMutablePointer<AVIOContext>
  ) {
    var owned: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&owned)
    free(io)
  }

  private static func free(_ io: UnsafeMutablePointer<AVIOContext>) {
    av_free(io.pointee.buffer)
    var owned: UnsafeMutablePointer<AVIOContext>? = io
    avio_context_free(&owned)
  }
}
