internal import Foundation

/// Says why a file or folder could not be read or written.
public struct FileError: KinoError, Hashable {
  /// The kind of failure.
  public enum Code: String, Hashable, Sendable {
    /// There is no such file.
    case fileNotFound
    /// A folder or a device has the name.
    case notAFile
    /// There is a file of the name already.
    case outputExists
    /// The folder is not there.
    case folderMissing
    /// The disk or a quota is full.
    case diskFull
    /// The system refuses to read it.
    case unreadable
    /// The system refuses to write it.
    case unwritable
  }

  /// What kind of failure this is.
  public let code: Code
  /// The file or folder.
  public let path: String
  /// What was found, in a few words.
  public let found: String
  /// What was found, and what to do next.
  public let details: String

  init(_ code: Code, path: String, found: String, details: String) {
    (self.code, self.path, self.found, self.details) = (code, path, found, details)
  }

  /// Explains a number that a call to the system left behind.
  ///
  /// - Parameters:
  ///   - number: Of `errno`.
  ///   - path: The file.
  ///   - action: What was tried: `read` or `write`.
  package init(_ number: Int32, path: String, doing action: String) {
    let found = String(cString: strerror(number))
    let refusal: Code = action == "read" ? .unreadable : .unwritable
    switch number {
    case ENOENT:
      self.init(
        .fileNotFound, path: path, found: found,
        details: "There is no such file; check the path.")
    case EACCES, EPERM, EROFS:
      self.init(
        refusal, path: path, found: found,
        details: "No permission to \(action) it; change its permissions or choose another path.")
    case ENOSPC, EDQUOT, EFBIG:
      self.init(
        .diskFull, path: path, found: found,
        details: "The disk is full or a quota is reached; free some space or choose another disk.")
    default:
      self.init(
        refusal, path: path, found: found, details: "Could not \(action) it: \(found).")
    }
  }

  /// The path and the details.
  public var description: String { "\(path): \(details)" }
}
