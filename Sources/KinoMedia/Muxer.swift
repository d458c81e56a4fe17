internal import CFFmpeg
import Foundation
internal import KinoSystem

/// Owns an FFmpeg muxer, writing to the temporary path of a file.
final class Muxer {
  private let file: AtomicFile
  private let context: UnsafeMutablePointer<AVFormatContext>
  private let timeBases: [AVRational]

  /// Writes the header of a file with one stream per encoder; those of pictures show `rate` frames a
  /// second. `format` and `options` are FFmpeg's names.
  init(
    _ format: String, file: AtomicFile, encoders: [FrameEncoder], rate: AVRational,
    metadata: [String: String], options: [String: String]
  ) throws {
    self.file = file
    timeBases = encoders.map { $0.context.pointee.time_base }
    var made: UnsafeMutablePointer<AVFormatContext>?
    // With the protocol named, nothing in the path is taken for one.
    let url = "file:" + file.temporaryPath
    avformat_alloc_output_context2(&made, nil, format, url)
    guard let made else {
      throw MediaError(.unsupported, details: "This FFmpeg can't write \(format) files.")
    }
    context = made
    context.pointee.flags |= Int32(AVFMT_FLAG_BITEXACT)
    for encoder in encoders { try addStream(encoder, rate: rate) }
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

  func write(_ packet: UnsafeMutablePointer<AVPacket>, stream index: Int) throws {
    guard let stream = context.pointee.streams[index] else { return }
    if packet.pointee.duration == 0 { packet.pointee.duration = 1 }
    packet.pointee.stream_index = Int32(index)
    av_packet_rescale_ts(packet, timeBases[index], stream.pointee.time_base)
    try check(av_interleaved_write_frame(context, packet))
    try checkBytes()
  }

  func finish() throws {
    try check(av_write_trailer(context))
    avio_flush(context.pointee.pb)
    try checkBytes()
    try check(avio_closep(&context.pointee.pb))
  }

  private func addStream(_ encoder: FrameEncoder, rate: AVRational) throws {
    guard let stream = avformat_new_stream(context, nil) else {
      throw MediaError.outOfMemory("writing")
    }
    stream.pointee.time_base = encoder.context.pointee.time_base
    if encoder.context.pointee.codec_type == AVMEDIA_TYPE_VIDEO {
      stream.pointee.avg_frame_rate = rate
      stream.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
    }
    try check(avcodec_parameters_from_context(stream.pointee.codecpar, encoder.context))
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
