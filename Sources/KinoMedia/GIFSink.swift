internal import CFFmpeg
internal import KinoSystem

/// Encodes a GIF with one palette, chosen over all frames.
final class GIFSink: FrameSink {
  private let file: AtomicFile
  private let rate: FrameRate
  private let options: WriteOptions
  private let size: FrameSize
  private let graph: PaletteGraph
  private var frameCount = 0
  /// The frames wait in memory, 4 bytes a pixel, until the palette is known.
  private let byteLimit = 4 << 30

  init(file: AtomicFile, size: FrameSize, rate: FrameRate, options: WriteOptions) throws {
    guard rate.framesPerSecond <= 50 else {
      throw MediaError(
        .invalidOption, path: file.path,
        details: """
          Players show a GIF of more than 50 frames a second slowly, not at \(rate); use .mp4.
          """)
    }
    self.file = file
    self.size = size
    self.rate = rate
    self.options = options
    graph = try PaletteGraph(size: size)
  }

  func append(_ frame: Frame) throws {
    guard (frameCount + 1) * size.pixelCount * 4 <= byteLimit else {
      throw MediaError(
        .tooLarge, path: file.path,
        details: "A GIF of more than \(frameCount) frames of \(size) is too large; use .mp4.")
    }
    let picture = try FrameBuffer(frame)
    picture.pointer.pointee.pts = time(ofFrame: frameCount)
    frameCount += 1
    try graph.send(picture)
  }

  /// When a frame is shown, in 1/100 s.
  private func time(ofFrame index: Int) -> Int64 {
    Int64((rate.seconds(ofFrame: index) * 100).rounded())
  }

  func finish() throws {
    try graph.send(nil)
    let end = time(ofFrame: frameCount)
    let stream = try GIFStream(size: size, lastDelay: end - time(ofFrame: frameCount - 1))
    var waiting = try graph.receive()
    while let picture = waiting {
      waiting = try graph.receive()
      let time = picture.pointer.pointee.pts
      try stream.append(picture, duration: (waiting?.pointer.pointee.pts ?? end) - time)
    }
    let bytes = try stream.finish()
    let whole = PictureComment.inserted(options.recipe, into: bytes, of: .gif)
    try MediaError.writing { () throws(FileError) in try file.write(whole) }
  }
}

/// The filters that choose a palette and apply it.
private final class PaletteGraph {
  private let graph: UnsafeMutablePointer<AVFilterGraph>
  private let input, output: UnsafeMutablePointer<AVFilterContext>

  init(size: FrameSize) throws {
    guard let graph = avfilter_graph_alloc() else { throw MediaError.outOfMemory("a palette") }
    self.graph = graph
    // Ordered dither: unlike error diffusion it stands still where the picture does.
    let text = """
      buffer@in=video_size=\(size):pix_fmt=rgb24:time_base=1/100:pixel_aspect=1/1,\
      split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=bayer:bayer_scale=4,buffersink@out
      """
    var inputs: UnsafeMutablePointer<AVFilterInOut>?
    var outputs: UnsafeMutablePointer<AVFilterInOut>?
    graph.pointee.nb_threads = 1
    var status = avfilter_graph_parse2(graph, text, &inputs, &outputs)
    avfilter_inout_free(&inputs)
    avfilter_inout_free(&outputs)
    if status >= 0 { status = avfilter_graph_config(graph, nil) }
    guard status >= 0, let input = avfilter_graph_get_filter(graph, "buffer@in"),
      let output = avfilter_graph_get_filter(graph, "buffersink@out")
    else {
      var owned: UnsafeMutablePointer<AVFilterGraph>? = graph
      avfilter_graph_free(&owned)
      throw MediaError(
        .unsupported,
        details: "FFmpeg can't make a palette (\(MediaError.text(ofStatus: status))).")
    }
    (self.input, self.output) = (input, output)
  }

  deinit {
    var owned: UnsafeMutablePointer<AVFilterGraph>? = graph
    avfilter_graph_free(&owned)
  }

  func send(_ picture: FrameBuffer?) throws {
    let status = av_buffersrc_add_frame_flags(input, picture?.pointer, 0)
    guard status >= 0 else { throw failure(status) }
  }

  func receive() throws -> FrameBuffer? {
    let picture = try FrameBuffer()
    let status = av_buffersink_get_frame(output, picture.pointer)
    if status == kino_status_end() || status == kino_status_again() { return nil }
    guard status >= 0 else { throw failure(status) }
    return picture
  }

  private func failure(_ status: Int32) -> MediaError {
    MediaError(
      .encodingFailed, details: "The palette failed (\(MediaError.text(ofStatus: status))).")
  }
}

/// The encoder and muxer of a GIF, writing to memory.
private final class GIFStream {
  private let encoder: FrameEncoder
  private let context: UnsafeMutablePointer<AVFormatContext>
  private var durations: [Int64: Int64] = [:]

  init(size: FrameSize, lastDelay: Int64) throws {
    encoder = try FrameEncoder(
      "gif", layout: .rgb(size, format: AV_PIX_FMT_PAL8), timeBase: AVRational(num: 1, den: 100))
    var made: UnsafeMutablePointer<AVFormatContext>?
    avformat_alloc_output_context2(&made, nil, "gif", nil)
    guard let made else {
      throw MediaError(.unsupported, details: "This FFmpeg can't write GIF files.")
    }
    context = made
    context.pointee.flags |= Int32(AVFMT_FLAG_BITEXACT)
    guard let stream = avformat_new_stream(context, nil) else {
      throw MediaError.outOfMemory("writing")
    }
    stream.pointee.time_base = AVRational(num: 1, den: 100)
    try check(avcodec_parameters_from_context(stream.pointee.codecpar, encoder.context))
    try check(avio_open_dyn_buf(&context.pointee.pb))
    var options: OpaquePointer?
    // The muxer would repeat the one before.
    av_dict_set(&options, "final_delay", "\(max(1, lastDelay))", 0)
    let status = avformat_write_header(context, &options)
    av_dict_free(&options)
    try check(status)
  }

  deinit {
    _ = takeBytes()
    avformat_free_context(context)
  }

  func append(_ picture: FrameBuffer, duration: Int64) throws {
    durations[picture.pointer.pointee.pts] = max(1, duration)
    try encoder.encode(picture, write)
  }

  func finish() throws -> [UInt8] {
    try encoder.encode(nil, write)
    try check(av_write_trailer(context))
    return takeBytes()
  }

  private func write(_ packet: UnsafeMutablePointer<AVPacket>) throws {
    packet.pointee.duration = durations[packet.pointee.pts] ?? 1
    packet.pointee.stream_index = 0
    try check(av_interleaved_write_frame(context, packet))
  }

  private func takeBytes() -> [UInt8] {
    guard let io = context.pointee.pb else { return [] }
    var data: UnsafeMutablePointer<UInt8>?
    let count = avio_close_dyn_buf(io, &data)
    context.pointee.pb = nil
    defer { av_free(data) }
    return Array(UnsafeBufferPointer(start: data, count: max(0, Int(count))))
  }

  private func check(_ status: Int32) throws {
    guard status < 0 else { return }
    throw MediaError(
      .encodingFailed, details: "Writing failed (\(MediaError.text(ofStatus: status))).")
  }
}
