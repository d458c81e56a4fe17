internal import CFFmpeg
import Foundation

/// Encodes H.264 into an MP4 or MOV file.
final class MovieSink: FrameSink {
  private let file: AtomicFile
  private let layout: kino_picture_layout
  private let size: FrameSize
  private let encoder: FrameEncoder
  private let converter = FrameConverter()
  private let muxer: Muxer
  private var frameCount: Int64 = 0

  init(
    file: AtomicFile, format: MediaFormat, size: FrameSize, framesPerSecond: Double,
    options: WriteOptions
  ) throws {
    self.file = file
    self.size = FrameSize(width: size.width + size.width % 2, height: size.height + size.height % 2)
    layout = .video709(self.size)
    let rate = av_d2q(framesPerSecond, 1_001_000)
    var settings = ["preset": "medium", "crf": "\(options.crf)"]
    #if arch(x86_64)
      // x264's AVX-512 code reads memory it never wrote, so that its choices vary from run to run.
      if av_get_cpu_flags() & AV_CPU_FLAG_AVX512 != 0 { settings["x264-params"] = "asm=avx2" }
    #endif
    encoder = try FrameEncoder(
      "libx264", layout: layout, timeBase: av_inv_q(rate), options: settings
    ) { context in
      context.framerate = rate
      context.color_primaries = AVCOL_PRI_BT709
      context.color_trc = AVCOL_TRC_BT709
      context.colorspace = AVCOL_SPC_BT709
      context.color_range = AVCOL_RANGE_MPEG
      context.chroma_sample_location = AVCHROMA_LOC_LEFT
      context.flags |= Int32(AV_CODEC_FLAG_GLOBAL_HEADER)
      // A fixed number: the bytes depend on it.
      context.thread_count = 4
    }
    var texts: [String: String] = [:]
    texts["comment"] = options.recipe
    texts["title"] = options.title
    // MOV's own comment field ends at 64 KiB.
    let flags = format == .mov ? "+faststart+use_metadata_tags" : "+faststart"
    muxer = try Muxer(
      format == .mov ? "mov" : "mp4", file: file, encoder: encoder, rate: rate, metadata: texts,
      options: ["movflags": flags])
  }

  func append(_ frame: Frame) throws {
    let picture = try converter.scale(
      FrameBuffer(frame.extended(to: size)), from: .rgb(size), to: layout)
    picture.pointer.pointee.pts = frameCount
    frameCount += 1
    try encoder.encode(picture, muxer.write)
  }

  func finish() throws {
    try encoder.encode(nil, muxer.write)
    try muxer.finish()
  }
}

extension Frame {
  /// Repeats the last column and row up to a larger size.
  fileprivate func extended(to size: FrameSize) -> Frame {
    guard size != self.size else { return self }
    var result: [UInt8] = []
    result.reserveCapacity(size.pixelCount * 3)
    for y in 0..<size.height {
      let end = (min(y, height - 1) + 1) * width * 3
      result += pixels[end - width * 3..<end]
      for _ in width..<max(width, size.width) { result += pixels[end - 3..<end] }
    }
    return Frame(width: size.width, height: size.height, pixels: result)
  }
}

/// Owns an FFmpeg muxer with one stream, writing to the temporary path of a file.
private final class Muxer {
  private let file: AtomicFile
  private let context: UnsafeMutablePointer<AVFormatContext>
  private let timeBase: AVRational

  init(
    _ format: String, file: AtomicFile, encoder: FrameEncoder, rate: AVRational,
    metadata: [String: String], options: [String: String]
  ) throws {
    self.file = file
    timeBase = encoder.context.pointee.time_base
    var made: UnsafeMutablePointer<AVFormatContext>?
    // With the protocol named, nothing in the path is taken for one.
    let url = "file:" + file.temporaryPath
    avformat_alloc_output_context2(&made, nil, format, url)
    guard let made else {
      throw MediaError(.unsupported, details: "This FFmpeg can't write \(format) files.")
    }
    context = made
    context.pointee.flags |= Int32(AVFMT_FLAG_BITEXACT)
    guard let stream = avformat_new_stream(context, nil) else {
      throw MediaError.outOfMemory("writing")
    }
    stream.pointee.time_base = timeBase
    stream.pointee.avg_frame_rate = rate
    stream.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
    try check(avcodec_parameters_from_context(stream.pointee.codecpar, encoder.context))
    for (key, value) in metadata { av_dict_set(&context.pointee.metadata, key, value, 0) }
    try check(avio_open(&context.pointee.pb, url, AVIO_FLAG_WRITE))
    var dictionary: OpaquePointer?
    for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
    let status = avformat_write_header(context, &dictionary)
    av_dict_free(&dictionary)
    try check(status)
  }

  deinit {
    avio_closep(&context.pointee.pb)
    avformat_free_context(context)
  }

  func write(_ packet: UnsafeMutablePointer<AVPacket>) throws {
    guard let stream = context.pointee.streams[0] else { return }
    if packet.pointee.duration == 0 { packet.pointee.duration = 1 }
    packet.pointee.stream_index = 0
    av_packet_rescale_ts(packet, timeBase, stream.pointee.time_base)
    try check(av_interleaved_write_frame(context, packet))
    try checkBytes()
  }

  func finish() throws {
    try check(av_write_trailer(context))
    avio_flush(context.pointee.pb)
    try checkBytes()
    try check(avio_closep(&context.pointee.pb))
  }

  /// The muxer may report success while its bytes did not reach the disk.
  private func checkBytes() throws {
    if let io = context.pointee.pb { try check(io.pointee.error) }
  }

  private func check(_ status: Int32) throws {
    guard status < 0 else { return }
    let number = kino_errno_of_status(status)
    if [ENOSPC, EDQUOT, EFBIG, EACCES, EROFS, EIO].contains(number) {
      throw MediaError.system(number, path: file.path, doing: "write")
    }
    throw MediaError(
      .encodingFailed, path: file.path,
      details: "Writing failed (\(MediaError.text(ofStatus: status))).")
  }
}
