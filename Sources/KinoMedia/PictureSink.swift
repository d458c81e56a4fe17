internal import CFFmpeg
internal import KinoSystem

/// Encodes one frame as PNG or JPEG.
final class PictureSink: FrameSink {
  private let file: AtomicFile
  private let format: MediaFormat
  private let options: WriteOptions
  private var hasFrame = false

  init(file: AtomicFile, format: MediaFormat, options: WriteOptions) {
    self.file = file
    self.format = format
    self.options = options
  }

  func append(_ frame: Frame) throws {
    guard !hasFrame else {
      throw MediaError(
        .unsupported, path: file.path,
        details: "A \(format.rawValue) file holds one frame; use .mp4, .gif or .webp for clips.")
    }
    hasFrame = true
    let bytes = try PictureCoder.encode(frame, format: format, quality: options.quality)
    let whole = PictureComment.inserted(options.recipe, into: bytes, of: format)
    try MediaError.writing { () throws(FileError) in try file.write(whole) }
  }

  func finish() throws {}
}

/// Encodes frames as WebP: one as a still, more as an animation that repeats for ever.
final class WebPSink: FrameSink {
  private let file: AtomicFile
  private let rate: FrameRate
  private let options: WriteOptions
  private var first: Frame?
  private var animation: FrameEncoder?
  private var frameCount = 0
  private var bytes: [UInt8] = []

  init(file: AtomicFile, rate: FrameRate, options: WriteOptions) {
    self.file = file
    self.rate = rate
    self.options = options
  }

  func append(_ frame: Frame) throws {
    frameCount += 1
    guard frameCount > 1 else {
      first = frame
      return
    }
    if let first {
      animation = try PictureCoder.webPEncoder(
        "libwebp_anim", size: frame.size, quality: options.quality)
      self.first = nil
      try encode(first, at: 0)
    }
    try encode(frame, at: frameCount - 1)
  }

  func finish() throws {
    if let first {
      bytes = try PictureCoder.encode(first, format: .webp, quality: options.quality)
    } else {
      try animation?.encode(nil, collect)
      setEnd(Int((rate.seconds(ofFrame: frameCount) * 1000).rounded()))
    }
    let whole = PictureComment.inserted(options.recipe, into: bytes, of: .webp)
    try MediaError.writing { () throws(FileError) in try file.write(whole) }
  }

  private func encode(_ frame: Frame, at index: Int) throws {
    let picture = try PictureCoder.picture(frame, as: .rgb(frame.size, format: AV_PIX_FMT_BGRA))
    picture.pointer.pointee.pts = Int64((rate.seconds(ofFrame: index) * 1000).rounded())
    try animation?.encode(picture, collect)
  }

  /// Gives the last frame its duration, which the encoder can't know, so that the animation is
  /// `milliseconds` long.
  private func setEnd(_ milliseconds: Int) {
    var (offset, start) = (12, 0)
    var last: (place: Int, start: Int)?
    while offset + 24 <= bytes.count {
      if bytes[offset..<offset + 4].elementsEqual("ANMF".utf8) {
        // Four numbers of three bytes for the frame's place and size come first.
        last = (offset + 20, start)
        start += PictureHeader.little(bytes, offset + 20, 3)
      }
      let count = PictureHeader.little(bytes, offset + 4, 4)
      offset += 8 + count + count % 2
    }
    guard let last, (1..<1 << 24).contains(milliseconds - last.start) else { return }
    for index in 0..<3 {
      bytes[last.place + index] = UInt8(
        truncatingIfNeeded: (milliseconds - last.start) >> (8 * index))
    }
  }

  private func collect(_ packet: UnsafeMutablePointer<AVPacket>) {
    bytes += UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
  }
}

extension Frame {
  /// The bytes of a file that shows the frame.
  ///
  /// - Parameters:
  ///   - format: PNG, JPEG or WebP.
  ///   - quality: Of JPEG and WebP, 1...100.
  /// - Returns: The whole file.
  /// - Throws: ``MediaError`` for other formats, or if this FFmpeg lacks the encoder.
  public func encoded(as format: MediaFormat, quality: Int = 90) throws -> [UInt8] {
    guard [.png, .jpeg, .webp].contains(format) else {
      throw MediaError(
        .unsupported, details: "A .\(format.rawValue) is no picture; use png, jpeg or webp.")
    }
    return try PictureCoder.encode(self, format: format, quality: quality)
  }
}

/// Encodes single pictures in memory.
enum PictureCoder {
  static func encode(_ frame: Frame, format: MediaFormat, quality: Int) throws -> [UInt8] {
    let (encoder, layout) = try encoder(for: format, size: frame.size, quality: quality)
    let picture = try picture(frame, as: layout)
    picture.pointer.pointee.pts = 0
    picture.pointer.pointee.quality = encoder.context.pointee.global_quality
    var bytes: [UInt8] = []
    for input in [picture, nil] {
      try encoder.encode(input) { packet in
        bytes += UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
      }
    }
    return bytes
  }

  static func picture(_ frame: Frame, as layout: kino_picture_layout) throws -> FrameBuffer {
    try FrameConverter().scale(FrameBuffer(frame), from: .rgb(frame.size), to: layout)
  }

  static func webPEncoder(_ name: String, size: FrameSize, quality: Int) throws -> FrameEncoder {
    try FrameEncoder(
      name, layout: .rgb(size, format: AV_PIX_FMT_BGRA),
      timeBase: AVRational(num: 1, den: 1000),
      options: ["quality": "\(quality)", "lossless": quality == 100 ? "1" : "0"])
  }

  private static func encoder(
    for format: MediaFormat, size: FrameSize, quality: Int
  ) throws -> (FrameEncoder, kino_picture_layout) {
    let timeBase = AVRational(num: 1, den: 25)
    switch format {
    case .jpeg:
      let isFine = quality >= 90
      let layout = kino_picture_layout.jpeg(
        size, format: isFine ? AV_PIX_FMT_YUVJ444P : AV_PIX_FMT_YUVJ420P)
      let encoder = try FrameEncoder("mjpeg", layout: layout, timeBase: timeBase) { context in
        context.color_range = AVCOL_RANGE_JPEG
        context.colorspace = AVCOL_SPC_BT470BG
        context.flags |= Int32(AV_CODEC_FLAG_QSCALE)
        context.qmin = 1
        // Quality 100 is quantiser 1, quality 1 is 31.
        let quantiser = 1 + Int32((Double(100 - quality) * 30 / 99).rounded())
        context.global_quality = quantiser * Int32(FF_QP2LAMBDA)
      }
      return (encoder, layout)
    case .webp:
      let encoder = try webPEncoder("libwebp", size: size, quality: quality)
      return (encoder, .rgb(size, format: AV_PIX_FMT_BGRA))
    default:
      let layout = kino_picture_layout.rgb(size)
      let encoder = try FrameEncoder(
        "png", layout: layout, timeBase: timeBase, options: ["pred": "mixed"])
      return (encoder, layout)
    }
  }
}
