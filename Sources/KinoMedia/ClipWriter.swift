internal import KinoSystem

/// Writes a clip or picture frame by frame.
///
/// The extension chooses the format: H.264 in `.mp4`, `.m4v` and `.mov`, `.gif`, `.webp`, and
/// `.png`, `.jpg` for one frame. The target appears only when ``finish()`` returns; an error,
/// ``cancel()`` or dropping the writer leaves nothing behind. The same frames and options give the
/// same bytes with the same FFmpeg.
///
/// H.264 is `yuv420p`, BT.709, limited range, with the index at the start of the file, and AAC if
/// ``WriteOptions/sound`` names any. It needs
/// even sizes: the last column or row of an odd one is doubled, so the file is a pixel larger.
/// GIF counts time in 1/100 s, keeps its frames in memory until it is finished, and has one palette
/// of 255 colours for the whole clip.
///
/// ```swift
/// let writer = try ClipWriter(path: "a.mp4", size: clip.size, framesPerSecond: 24)
/// for frame in clip.frames { try writer.append(frame) }
/// try writer.finish()
/// ```
public final class ClipWriter {
  /// Where the file will appear.
  public let path: String
  /// The size every frame must have.
  public let size: FrameSize
  /// The number of frames appended so far.
  public private(set) var frameCount = 0

  private let mark: String?
  private let file: AtomicFile
  private var sink: (any FrameSink)?

  /// Checks the target and starts the encoder.
  ///
  /// - Parameters:
  ///   - path: The file to write.
  ///   - size: The size of every frame.
  ///   - framesPerSecond: The rate, in 0.01...1000, taken as ``FrameRate``; ignored for pictures.
  ///   - options: Quality, recipe, and whether to overwrite.
  /// - Throws: ``MediaError`` if the format is unknown or lacks its encoder, the target exists, or
  ///   its folder is missing or may not be written.
  public init(
    path: String, size: FrameSize, framesPerSecond: Double, options: WriteOptions = WriteOptions()
  ) throws {
    MediaLog.silence
    try options.validate()
    guard let rate = FrameRate(framesPerSecond) else {
      throw MediaError(
        .invalidOption, path: path,
        details: "framesPerSecond is \(framesPerSecond); use a rate in 0.01...1000.")
    }
    self.path = path
    self.size = size
    mark = options.mark
    let format = try MediaFormat(path: path)
    file = try MediaError.writing { () throws(FileError) in
      try AtomicFile(path: path, overwrite: options.overwrite)
    }
    switch format {
    case .mp4, .mov:
      sink = try MovieSink(
        file: file, format: format, size: size, rate: rate, options: options)
    case .gif:
      sink = try GIFSink(
        file: file, size: size, rate: rate, options: options)
    case .webp:
      sink = WebPSink(file: file, rate: rate, options: options)
    case .png, .jpeg:
      sink = PictureSink(file: file, format: format, options: options)
    }
  }

  deinit { cancel() }

  /// Encodes one more frame.
  ///
  /// - Throws: ``MediaError``; the writer is then closed and its temporary file gone.
  public func append(_ frame: Frame) throws {
    guard let sink else { throw closed }
    guard frame.size == size else {
      cancel()
      throw MediaError(
        .invalidFrame, path: path,
        details: "Frame \(frameCount) is \(frame.size), expected \(size); resize it first.")
    }
    let marked = mark.map { PixelFont.marked(frame, $0) } ?? frame
    try closingOnError { try sink.append(marked) }
    frameCount += 1
  }

  /// Encodes the frames of a clip; its rate is ignored.
  ///
  /// - Throws: ``MediaError`` as ``append(_:)-(Frame)``.
  public func append(_ clip: Clip) throws {
    for frame in clip.frames { try append(frame) }
  }

  /// The pictures of a whole file, if the one being written can hold them as they are stored: H.264 of
  /// the same size and rate, with the parameter sets that Kino's own files have.
  ///
  /// - Throws: ``MediaError`` if the file can't be opened.
  package func stored(_ path: String) throws -> StoredPictures? {
    guard let sink else { throw closed }
    return try sink.stored(path)
  }

  /// Writes pictures as they are stored.
  ///
  /// - Parameter pictures: What ``stored(_:)`` of this writer has returned.
  /// - Throws: ``MediaError``; the writer is then closed and its temporary file gone.
  package func append(_ pictures: StoredPictures) throws {
    guard let sink else { throw closed }
    try closingOnError { try sink.append(pictures) }
    frameCount += pictures.frameCount
  }

  /// Completes the file and gives it its name.
  ///
  /// - Throws: ``MediaError`` if no frame was appended, the disk is full, or somebody made the
  ///   target meanwhile; the writer is then closed and nothing is left behind.
  public func finish() throws {
    guard let sink else { throw closed }
    guard frameCount > 0 else {
      cancel()
      throw MediaError(
        .invalidFrame, path: path, details: "No frame was appended; a file needs at least one.")
    }
    try closingOnError {
      try sink.finish()
      try MediaError.writing { () throws(FileError) in try file.publish() }
    }
    self.sink = nil
  }

  /// Removes what was written. Does nothing after ``finish()``.
  public func cancel() {
    sink = nil
    file.discard()
  }

  private var closed: MediaError {
    MediaError(
      .writerClosed, path: path,
      details: "The writer was finished, cancelled or failed before; create another one.")
  }

  private func closingOnError(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as MediaError {
      cancel()
      throw error.path == nil
        ? MediaError(error.code, path: path, details: error.details) : error
    }
  }
}

/// Takes frames of one size and leaves a whole file at the temporary path.
protocol FrameSink: AnyObject {
  func append(_ frame: Frame) throws
  func finish() throws
  /// The pictures of a whole file, if they can be taken as they are stored.
  func stored(_ path: String) throws -> StoredPictures?
  func append(_ pictures: StoredPictures) throws
}

extension FrameSink {
  func stored(_ path: String) throws -> StoredPictures? { nil }

  func append(_ pictures: StoredPictures) throws {
    preconditionFailure("a file of another kind than \(pictures.path)")
  }
}

extension Clip {
  /// Writes the clip to a file; see ``ClipWriter``.
  ///
  /// - Throws: ``MediaError`` as ``ClipWriter`` does.
  public func write(to path: String, _ options: WriteOptions = WriteOptions()) throws {
    let writer = try ClipWriter(
      path: path, size: size, framesPerSecond: framesPerSecond, options: options)
    try writer.append(self)
    try writer.finish()
  }
}

extension Frame {
  /// Writes the picture to a file; see ``ClipWriter``.
  ///
  /// - Throws: ``MediaError`` as ``ClipWriter`` does.
  public func write(to path: String, _ options: WriteOptions = WriteOptions()) throws {
    let writer = try ClipWriter(path: path, size: size, framesPerSecond: 25, options: options)
    try writer.append(self)
    try writer.finish()
  }
}
