internal import CFFmpeg
import Foundation
public import KinoSystem

/// Reports why a clip or picture could not be read or written, and what to do next.
public struct MediaError: KinoError, Hashable {
  /// Names one kind of failure; compare with the static members.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the code.
    public let description: String

    init(_ description: String) { self.description = description }

    /// No file is at the path.
    public static let fileNotFound = Code("fileNotFound")
    /// The path names a folder, a pipe or a device.
    public static let notAFile = Code("notAFile")
    /// The file exists and may not be read.
    public static let unreadable = Code("unreadable")
    /// The file holds no bytes.
    public static let emptyFile = Code("emptyFile")
    /// FFmpeg recognises no clip or picture in the file.
    public static let notMedia = Code("notMedia")
    /// The file has sound or other streams and no pictures.
    public static let noVideo = Code("noVideo")
    /// No decoder, encoder or file format of this build handles it.
    public static let unsupported = Code("unsupported")
    /// Nothing could be decoded.
    public static let corrupt = Code("corrupt")
    /// The picture or clip is over a limit of the options.
    public static let tooLarge = Code("tooLarge")
    /// An option or argument is out of its range.
    public static let invalidOption = Code("invalidOption")
    /// The frame does not fit what it is given to.
    public static let invalidFrame = Code("invalidFrame")
    /// The target exists and `overwrite` is false.
    public static let outputExists = Code("outputExists")
    /// The folder of the target does not exist.
    public static let folderMissing = Code("folderMissing")
    /// The target's folder may not be written to.
    public static let unwritable = Code("unwritable")
    /// The disk or quota is full.
    public static let diskFull = Code("diskFull")
    /// The encoder or the muxer failed.
    public static let encodingFailed = Code("encodingFailed")
    /// The writer was finished, cancelled or failed before.
    public static let writerClosed = Code("writerClosed")
    /// Memory ran out.
    public static let outOfMemory = Code("outOfMemory")
  }

  /// What kind of failure this is.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { [.unsupported, .invalidOption].contains(code) }
  /// The file it is about, as the caller named it.
  public let path: String?
  /// What was expected, what was found, and what to do next.
  public let details: String

  /// Creates an error.
  public init(_ code: Code, path: String? = nil, details: String) {
    self.code = code
    self.path = path
    self.details = details
  }

  /// The path, if there is one, and the details.
  public var description: String {
    path.map { "\($0): \(details)" } ?? details
  }
}

extension MediaError {
  static func outOfMemory(_ purpose: String) -> MediaError {
    MediaError(
      .outOfMemory, details: "Memory ran out for \(purpose); use a smaller size or fewer frames.")
  }

  static func undecodable(_ path: String) -> MediaError {
    MediaError(
      .corrupt, path: path,
      details: "No frame could be decoded; check that the file is whole.")
  }

  static func nothingShown(_ path: String, at seconds: Double) -> MediaError {
    MediaError(
      .noVideo, path: path, details: "Nothing is shown at \(seconds) s; start earlier.")
  }

  /// Says why a file operation of the system failed.
  static func system(_ number: Int32, path: String, doing action: String) -> MediaError {
    MediaError(FileError(number, path: path, doing: action))
  }

  /// The same error, of this type.
  init(_ error: FileError) {
    self.init(Code(error.code.rawValue), path: error.path, details: error.details)
  }

  /// Does work on a file that is being written, with errors of this type.
  static func writing<Result>(
    _ body: () throws(FileError) -> Result
  ) throws(MediaError) -> Result {
    do throws(FileError) { return try body() } catch { throw MediaError(error) }
  }

  /// The text FFmpeg has for a status.
  static func text(ofStatus status: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    av_strerror(status, &buffer, buffer.count)
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Makes FFmpeg silent: its messages reach callers as ``MediaError`` only.
enum MediaLog {
  static let silence: Void = av_log_set_level(AV_LOG_QUIET)
}
