internal import CFFmpeg
import Foundation

/// Encodes H.264, and AAC where there is sound, into an MP4 or MOV file.
final class MovieSink: FrameSink {
  private let file: AtomicFile
  private let layout: kino_picture_layout
  private let size: FrameSize
  private let encoder: FrameEncoder
  private let sound: SoundEncoder?
  private let converter = FrameConverter()
  private let muxer: Muxer
  private var frameCount: Int64 = 0

  init(
    file: AtomicFile, format: MediaFormat, size: FrameSize, rate: FrameRate,
    options: WriteOptions
  ) throws {
    self.file = file
    self.size = FrameSize(width: size.width + size.width % 2, height: size.height + size.height % 2)
    layout = .video709(self.size)
    let rate = rate.rational
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
    sound = try SoundMix(options.sound).map(SoundEncoder.init)
    var texts: [String: String] = [:]
    texts["comment"] = options.recipe
    texts["title"] = options.title
    // MOV's own comment field ends at 64 KiB.
    let flags = format == .mov ? "+faststart+use_metadata_tags" : "+faststart"
    muxer = try Muxer(
      format == .mov ? "mov" : "mp4", file: file,
      encoders: [encoder] + (sound.map { [$0.encoder] } ?? []), rate: rate, metadata: texts,
      options: ["movflags": flags])
  }

  func append(_ frame: Frame) throws {
    let picture = try converter.scale(
      FrameBuffer(frame.extended(to: size)), from: .rgb(size), to: layout)
    picture.pointer.pointee.pts = frameCount
    frameCount += 1
    try encoder.encode(picture) { try muxer.write($0, stream: 0) }
    try sound?.advance(to: frameCount, timeBase: timeBase) { try muxer.write($0, stream: 1) }
  }

  func finish() throws {
    try encoder.encode(nil) { try muxer.write($0, stream: 0) }
    try sound?.finish(at: frameCount, timeBase: timeBase) { try muxer.write($0, stream: 1) }
    try muxer.finish()
  }

  /// The length of a frame.
  private var timeBase: AVRational { encoder.context.pointee.time_base }
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
