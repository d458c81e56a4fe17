internal import CFFmpeg

/// Reads a clip or picture frame by frame, in bounded memory.
///
/// Frames come at a constant rate: each shows what the file shows at its time (the nearest stored
/// frame, by timestamps). Rotation tags and pixel shapes are applied, transparent pixels laid over
/// the background, and colours converted with the matrix and range that the file states. High
/// dynamic range is not tone-mapped. Sound is ignored; the cover of an audio file is a picture.
///
/// Playlists and files that refer to other files or to the network are refused.
public final class ClipReader {
  /// What the file says of itself.
  public let info: MediaInfo
  /// The size of every frame returned.
  public let size: FrameSize
  /// The rate of the frames returned.
  public let framesPerSecond: Double

  /// The number of damaged packets and frames met so far; the frames around them were kept.
  public var decodeErrorCount: Int { decoder.errorCount }

  private let options: ReadOptions
  private let decoder: VideoDecoder
  private let converter: FrameConverter
  private let isPictureFormat: Bool
  private var current: VideoDecoder.Picture
  private var upcoming: VideoDecoder.Picture?
  private var converted: Frame?
  private var returnedCount = 0

  /// Opens a file and decodes its first frame.
  ///
  /// - Throws: ``MediaError`` if the file is missing, unreadable, no clip or picture, over a limit,
  ///   or so damaged that no frame of the part asked for can be decoded.
  public convenience init(path: String, options: ReadOptions = ReadOptions()) throws {
    try self.init(path: path, options: options, seeks: options.startSeconds > 0)
  }

  private init(path: String, options: ReadOptions, seeks: Bool) throws {
    try options.validate()
    self.options = options
    (decoder, current) = try Self.open(path, options, seeks: seeks)
    let file = decoder.file
    isPictureFormat = file.isPictureFormat
    framesPerSecond = options.framesPerSecond ?? file.framesPerSecond
    converter = FrameConverter(fit: options.fit, background: options.background)
    let natural = Self.naturalSize(current, file)
    try MediaFile.check(
      width: natural.width, height: natural.height, limit: options.pixelLimit, path: path)
    size = options.size ?? natural
    info = MediaInfo(
      file: file, size: natural, first: current.buffer, origin: decoder.origin ?? 0)
    upcoming = try decoder.next()
  }

  /// Returns the next frame, or `nil` at the end.
  ///
  /// Damage in the middle of the file ends or shortens the clip and is counted in
  /// ``decodeErrorCount``; it is no error.
  public func next() throws -> Frame? {
    if let limit = options.frameLimit, returnedCount >= limit { return nil }
    let offset = Double(returnedCount) / framesPerSecond
    if let duration = options.durationSeconds, offset >= duration - 1e-6 { return nil }
    let time = options.startSeconds + offset + tolerance
    while let picture = upcoming, picture.time <= time {
      current = picture
      converted = nil
      upcoming = try decoder.next()
    }
    if upcoming == nil {
      if isPictureFormat && decoder.frameCount == 1 {
        if returnedCount > 0 { return nil }
      } else if time >= end {
        return nil
      }
    }
    let frame = try converted ?? convert(current)
    converted = frame
    returnedCount += 1
    return frame
  }

  // MARK: Internal

  /// The number of frames to come if the file is what it says.
  fileprivate var expectedFrameCount: Int {
    let rest = max(0, info.durationSeconds - options.startSeconds)
    let seconds = min(rest, options.durationSeconds ?? rest)
    let count = Int(min(1e9, seconds * framesPerSecond).rounded()) + 1
    return min(count, options.frameLimit ?? count)
  }

  /// A stored frame counts this much before its time, which absorbs rounded timestamps.
  private var tolerance: Double {
    0.43 * min(1 / framesPerSecond, 1 / decoder.file.framesPerSecond)
  }

  /// When the last frame is over, in seconds.
  private var end: Double {
    let own = current.time + current.duration
    let stated = decoder.file.durationSeconds
    return stated > current.time ? min(own, stated) : own
  }

  private func convert(_ picture: VideoDecoder.Picture) throws -> Frame {
    try converter.convert(
      picture.buffer, pixelAspect: Self.aspect(picture, decoder.file),
      orientation: Self.orientation(picture, decoder.file), isStill: isPictureFormat, to: size)
  }

  /// Opens the file and returns the first frame of the part asked for.
  private static func open(
    _ path: String, _ options: ReadOptions, seeks: Bool
  ) throws -> (VideoDecoder, VideoDecoder.Picture) {
    let decoder = try VideoDecoder(
      file: MediaFile(path: path, pixelLimit: options.pixelLimit), pixelLimit: options.pixelLimit)
    // Times count from the first picture.
    var first = try decoder.next()
    let hasSought = seeks && decoder.seek(to: options.startSeconds)
    if hasSought { first = try decoder.next() }
    if let first, !hasSought || first.time <= options.startSeconds {
      return (decoder, first)
    }
    // Some containers go to a later place than asked, or nowhere: read from the start instead.
    if hasSought { return try open(path, options, seeks: false) }
    throw MediaError(
      .corrupt, path: path,
      details: "No frame could be decoded; check that the file is whole.")
  }

  private static func aspect(_ picture: VideoDecoder.Picture, _ file: MediaFile) -> Double {
    let own = av_q2d(picture.buffer.pointer.pointee.sample_aspect_ratio)
    return own.isFinite && own >= 1 / 16.0 && own <= 16 ? own : file.pixelAspect
  }

  private static func orientation(
    _ picture: VideoDecoder.Picture, _ file: MediaFile
  ) -> Orientation {
    let matrix =
      kino_frame_display_matrix(picture.buffer.pointer) ?? kino_stream_display_matrix(file.stream)
    return matrix.map { Orientation(matrix: $0) } ?? .identity
  }

  /// The size in square pixels as shown; the longer side of a pixel decides, so nothing is lost.
  private static func naturalSize(_ picture: VideoDecoder.Picture, _ file: MediaFile) -> FrameSize {
    let stored = picture.buffer.size
    let ratio = aspect(picture, file)
    let width = Double(stored.width) * max(1, ratio)
    let height = Double(stored.height) * max(1, 1 / ratio)
    return orientation(picture, file).apply(
      to: FrameSize(width: Int(width.rounded()), height: Int(height.rounded())))
  }
}

extension Clip {
  /// Reads a clip or picture into memory.
  ///
  /// - Parameters:
  ///   - path: Any file FFmpeg reads; see ``ClipReader``.
  ///   - options: Which part, and at what size and rate.
  /// - Returns: At least one frame.
  /// - Throws: ``MediaError`` as ``ClipReader`` does, `noVideo` if nothing is shown at
  ///   `startSeconds`, and `tooLarge` if the result would be over `byteLimit`.
  public static func read(_ path: String, _ options: ReadOptions = ReadOptions()) throws -> Clip {
    let reader = try ClipReader(path: path, options: options)
    var clip = Clip(
      width: reader.size.width, height: reader.size.height,
      framesPerSecond: reader.framesPerSecond, pixels: [])
    // What the file states may be wrong by any amount: believe it up to 1 GiB.
    let most = min(1 << 30, options.byteLimit) / (reader.size.pixelCount * 3)
    clip.reserveCapacity(min(reader.expectedFrameCount, most))
    while let frame = try reader.next() {
      guard clip.pixels.count + frame.pixels.count <= options.byteLimit else {
        throw MediaError(
          .tooLarge, path: path,
          details: """
            The clip needs more than \(options.byteLimit) bytes of memory; read a part, a smaller \
            size or a lower rate, or stream it with ClipReader.
            """)
      }
      clip.append(frame)
    }
    guard clip.frameCount > 0 else {
      throw MediaError(
        .noVideo, path: path,
        details: "Nothing is shown at \(options.startSeconds) s; start earlier.")
    }
    return clip
  }
}

extension Frame {
  /// Reads a picture, or the first frame of a clip from `startSeconds` on.
  ///
  /// - Throws: ``MediaError`` as ``Clip/read(_:_:)`` does.
  public static func read(_ path: String, _ options: ReadOptions = ReadOptions()) throws -> Frame {
    var options = options
    options.frameLimit = 1
    return try Clip.read(path, options)[0]
  }
}
