internal import CFFmpeg
import Foundation
internal import KinoSystem

/// Encodes H.264, and AAC where there is sound, into an MP4 or MOV file.
final class MovieSink: FrameSink {
  private let file: AtomicFile
  private let layout: kino_picture_layout
  private let size: FrameSize
  private let rate: AVRational
  private let crf: Double
  private let isEven: Bool
  private static let standardCRF = 18.0
  /// Whether the last column or row is repeated.
  private let isExtended: Bool
  private var encoder: FrameEncoder
  /// Whether the encoder has been given frames.
  private var isEncoding = false
  private let sound: SoundEncoder?
  private let converter = FrameConverter()
  private let muxer: Muxer
  private var frameCount: Int64 = 0
  private var packetCount: Int64 = 0
  /// Whether several encoders, or other files, give the packets: their order alone tells when they are
  /// decoded.
  private var isJoined = false

  init(
    file: AtomicFile, format: MediaFormat, size: FrameSize, rate: FrameRate,
    options: WriteOptions
  ) throws {
    self.file = file
    self.size = format.size(for: size)
    layout = .video709(self.size)
    isExtended = self.size != size
    self.rate = rate.rational
    crf = options.crf ?? Self.standardCRF
    isEven = options.isEven
    encoder = try Self.encoder(layout, rate: self.rate, crf: crf, isEven: isEven)
    sound = try SoundMix(options.sound).map(SoundEncoder.init)
    var texts: [String: String] = [:]
    texts["comment"] = options.recipe
    texts["title"] = options.title
    // MOV's own comment field ends at 64 KiB.
    let flags = format == .mov ? "+faststart+use_metadata_tags" : "+faststart"
    muxer = try Muxer(
      format == .mov ? "mov" : "mp4", file: file,
      encoders: [encoder] + (sound.map { [$0.encoder] } ?? []), rate: self.rate,
      metadata: texts,
      options: ["movflags": flags])
  }

  private static func encoder(
    _ layout: kino_picture_layout, rate: AVRational, crf: Double, isEven: Bool
  ) throws -> FrameEncoder {
    // Its parameter sets then depend on size and rate alone, so that any two clips of these can be joined.
    var x264 = ["stitchable=1"]
    // The first frame is finer: what stands still is as it is there to the end.
    if isEven { x264 += ["mbtree=0", "ipratio=2", "pbratio=1"] }
    #if arch(x86_64)
      // x264's AVX-512 code reads memory it never wrote, so that its choices vary from run to run.
      if av_get_cpu_flags() & AV_CPU_FLAG_AVX512 != 0 { x264.append("asm=avx2") }
    #endif
    return try FrameEncoder(
      "libx264", layout: layout, timeBase: av_inv_q(rate),
      options: [
        "preset": "medium", "crf": "\(crf)", "x264-params": x264.joined(separator: ":"),
      ]
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
  }

  func append(_ frame: Frame) throws {
    let picture = try converter.scale(
      FrameBuffer(frame.extended(to: size)), from: .rgb(size), to: layout)
    picture.pointer.pointee.pts = frameCount
    frameCount += 1
    isEncoding = true
    try encoder.encode(picture) { try write($0) }
    try sound?.advance(to: frameCount, timeBase: timeBase) { try muxer.write($0, stream: 1) }
  }

  func stored(_ path: String) throws -> StoredPictures? {
    guard !isExtended, let sets = encoder.parameterSets else { return nil }
    return try StoredPictures(path: path, sets: sets, timeBase: timeBase, delay: delay)
  }

  func append(_ pictures: StoredPictures) throws {
    isJoined = true
    if isEncoding {
      try encoder.encode(nil) { try write($0) }
      encoder = try Self.encoder(layout, rate: rate, crf: crf, isEven: isEven)
      isEncoding = false
    }
    let start = frameCount
    try pictures.forEach { packet in
      packet.pointee.pts += start
      try write(packet)
      frameCount += 1
      try sound?.advance(to: frameCount, timeBase: timeBase) { try muxer.write($0, stream: 1) }
    }
  }

  func finish() throws {
    if isEncoding { try encoder.encode(nil) { try write($0) } }
    try sound?.finish(at: frameCount, timeBase: timeBase) { try muxer.write($0, stream: 1) }
    try muxer.finish()
  }

  private func write(_ packet: UnsafeMutablePointer<AVPacket>) throws {
    if isJoined { packet.pointee.dts = packetCount - Int64(delay) }
    packetCount += 1
    try muxer.write(packet, stream: 0)
  }

  /// The length of a frame.
  private var timeBase: AVRational { encoder.context.pointee.time_base }
  /// How many frames a picture may be stored after its turn.
  private var delay: Int { Int(encoder.context.pointee.has_b_frames) }
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
