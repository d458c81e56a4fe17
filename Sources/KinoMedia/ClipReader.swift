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
  public let frameRate: FrameRate
  /// The rate of the frames returned, as a number.
  public var framesPerSecond: Double { frameRate.framesPerSecond }

  /// The number of damaged packets and frames met so far; the frames around them were kept.
  public var decodeErrorCount: Int { decoder.errorCount }

  private let options: ReadOptions
  private let decoder: VideoDecoder
  private let converter: FrameConverter
  private var sampler: FrameSampler<VideoDecoder.Picture>
  private var converted: Frame?

  /// Opens a file and decodes its first frame.
  ///
  /// - Throws: ``MediaError`` if the file is missing, unreadable, no clip or picture, over a limit,
  ///   or so damaged that no frame of the part asked for can be decoded.
  public convenience init(path: String, options: ReadOptions = ReadOptions()) throws {
    try self.init(path: path, options: options, from: 0)
  }

  /// Opens a file so that the first frame returned is one after the start of the part asked for.
  init(path: String, options: ReadOptions, from index: Int) throws {
    try options.validate()
    self.options = options
    let file = try MediaFile(path: path, pixelLimit: options.pixelLimit)
    let rate = options.framesPerSecond.flatMap { FrameRate($0) } ?? file.frameRate
    let time = options.startSeconds + rate.seconds(ofFrame: index)
    let opened = try Self.open(file, options, at: time)
    let first = opened.first
    decoder = opened.decoder
    frameRate = rate
    converter = FrameConverter(fit: options.fit, background: options.background)
    let natural = Self.naturalSize(first, file)
    try MediaFile.check(
      width: natural.width, height: natural.height, limit: options.pixelLimit, path: path)
    size = options.size ?? natural
    info = MediaInfo(
      file: file, size: natural, first: first.buffer, origin: decoder.origin ?? 0,
      orientation: Self.orientation(first, file))
    sampler = FrameSampler(
      decoder.file, options, rate: rate, from: index, first: opened.current,
      source: decoder.next)
  }

  /// Returns the next frame, or `nil` at the end.
  ///
  /// Damage in the middle of the file ends or shortens the clip and is counted in
  /// ``decodeErrorCount``; it is no error.
  public func next() throws -> Frame? {
    guard let (picture, isNew) = try sampler.next() else { return nil }
    if !isNew, let converted { return converted }
    let frame = try convert(picture)
    converted = frame
    return frame
  }

  // MARK: Internal

  /// Whether nothing damaged was met so far.
  var isWhole: Bool { decoder.errorCount == 0 && decoder.isRegular }

  /// The number of frames to come if the file is what it says.
  fileprivate var expectedFrameCount: Int {
    let rest = max(0, info.durationSeconds - options.startSeconds)
    let seconds = min(rest, options.durationSeconds ?? rest)
    let count = Int(min(1e9, seconds * framesPerSecond).rounded()) + 1
    return min(count, options.frameLimit ?? count)
  }

  private func convert(_ picture: VideoDecoder.Picture) throws -> Frame {
    try converter.convert(
      picture.buffer, pixelAspect: Self.aspect(picture, decoder.file),
      orientation: Self.orientation(picture, decoder.file), isStill: decoder.file.isPictureFormat,
      to: size)
  }

  /// Returns a decoder, the first picture, and one that is shown at or before a time; what the decoder
  /// gives next comes after that one.
  private static func open(
    _ file: MediaFile, _ options: ReadOptions, at time: Double
  ) throws -> (decoder: VideoDecoder, first: VideoDecoder.Picture, current: VideoDecoder.Picture) {
    let decoder = try VideoDecoder(file: file, pixelLimit: options.pixelLimit)
    // Times count from the first picture.
    guard let first = try decoder.next() else { throw MediaError.undecodable(file.path) }
    // The frames of animated pictures need all before them.
    guard time > 0, !file.isPictureFormat else { return (decoder, first, first) }
    // Some containers go to a later place than asked, or nowhere.
    for early in [0.0, 2] where time > early {
      guard decoder.seek(to: time - early) else { break }
      if let found = try decoder.next(), found.time <= time { return (decoder, first, found) }
    }
    let again = try VideoDecoder(
      file: MediaFile(path: file.path, pixelLimit: options.pixelLimit),
      pixelLimit: options.pixelLimit)
    guard let start = try again.next() else { throw MediaError.undecodable(file.path) }
    return (again, start, start)
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

extension ClipReader {
  /// Reads what is left into memory.
  func readAll(expecting count: Int) throws -> Clip {
    var clip = Clip(
      width: size.width, height: size.height, framesPerSecond: framesPerSecond, pixels: [])
    // What the file states may be wrong by any amount: believe it up to 1 GiB.
    let most = min(1 << 30, options.byteLimit) / (size.pixelCount * 3)
    clip.reserveCapacity(min(count, most))
    while let frame = try next() {
      try checkMemory(clip.frameCount + 1)
      clip.append(frame)
    }
    return clip
  }

  /// Refuses to hold more frames than `byteLimit` allows.
  func checkMemory(_ frameCount: Int) throws {
    guard frameCount * size.pixelCount * 3 > options.byteLimit else { return }
    throw MediaError(
      .tooLarge, path: decoder.file.path,
      details: """
        The clip needs more than \(options.byteLimit) bytes of memory; read a part, a smaller size or a \
        lower rate, or stream it with ClipReader.
        """)
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
    let clip = try reader.readAll(expecting: reader.expectedFrameCount)
    guard clip.frameCount > 0 else {
      throw MediaError.nothingShown(path, at: options.startSeconds)
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
