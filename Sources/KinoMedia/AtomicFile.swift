import Foundation

/// A file that appears under its name only when it is whole.
///
/// Bytes go to a hidden file beside the target, which is renamed by ``publish()`` and removed by
/// ``discard()`` or when this object goes away. One that a killed program left behind is removed by the
/// next that writes into the folder: its owner would hold a lock on it.
package final class AtomicFile {
  package let path: String
  package let temporaryPath: String
  private let overwrite: Bool
  private let lock: CInt
  private var isOpen = true

  /// Checks that the target can be written and creates the temporary file.
  package init(path: String, overwrite: Bool) throws {
    self.path = path
    self.overwrite = overwrite
    let folder = (path as NSString).deletingLastPathComponent
    try Self.checkTarget(path, overwrite: overwrite)
    try Self.checkFolder(folder.isEmpty ? "." : folder, path: path)
    Self.removeAbandoned(in: folder.isEmpty ? "." : folder)
    let token = String(UInt64.random(in: .min ... .max), radix: 36)
    temporaryPath = (folder as NSString).appendingPathComponent(".kino-\(token).partial")
    let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw MediaError.system(errno, path: path, doing: "write") }
    flock(descriptor, LOCK_EX | LOCK_NB)
    lock = descriptor
  }

  deinit {
    discard()
    close(lock)
  }

  /// Removes temporary files whose programs are gone.
  ///
  /// - Parameters:
  ///   - folder: Where to look; not in folders in it.
  ///   - seconds: The least age: a new one may not have its lock yet, if others write here too.
  package static func removeAbandoned(in folder: String, age seconds: Int = 61) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    where name.hasPrefix(".kino-") && name.hasSuffix(".partial") {
      let path = (folder as NSString).appendingPathComponent(name)
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      var status = stat()
      guard fstat(descriptor, &status) == 0, time(nil) - status.modified >= seconds,
        flock(descriptor, LOCK_EX | LOCK_NB) == 0
      else { continue }
      unlink(path)
    }
  }

  /// Replaces the content of the temporary file.
  func write(_ bytes: [UInt8]) throws {
    let descriptor = open(temporaryPath, O_WRONLY | O_TRUNC | O_CLOEXEC)
    guard descriptor >= 0 else { throw MediaError.system(errno, path: path, doing: "write") }
    defer { close(descriptor) }
    try bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let count = Foundation.write(
          descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else {
          throw MediaError.system(count < 0 ? errno : ENOSPC, path: path, doing: "write")
        }
        done += count
      }
    }
  }

  /// Gives the file its name. Afterwards nothing remains to be discarded.
  package func publish() throws {
    guard isOpen else { return }
    try synchronize()
    if overwrite {
      guard rename(temporaryPath, path) == 0 else {
        throw MediaError.system(errno, path: path, doing: "write")
      }
    } else {
      try renameExclusively()
    }
    isOpen = false
  }

  /// Removes the temporary file.
  package func discard() {
    guard isOpen else { return }
    isOpen = false
    unlink(temporaryPath)
  }

  // MARK: Internal

  /// Links instead of renaming: a link fails if somebody made the target meanwhile.
  private func renameExclusively() throws {
    if link(temporaryPath, path) == 0 {
      unlink(temporaryPath)
      return
    }
    let number = errno
    if number == EEXIST { throw Self.exists(path) }
    // File systems without hard links.
    var status = stat()
    if lstat(path, &status) == 0 { throw Self.exists(path) }
    guard rename(temporaryPath, path) == 0 else {
      throw MediaError.system(errno, path: path, doing: "write")
    }
  }

  /// Waits until the bytes are on the disk, so that a power cut leaves the old file or the new.
  private func synchronize() throws {
    let descriptor = open(temporaryPath, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw MediaError.system(errno, path: path, doing: "write") }
    defer { close(descriptor) }
    let supported = fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP
    if !supported { throw MediaError.system(errno, path: path, doing: "write") }
  }

  private static func checkTarget(_ path: String, overwrite: Bool) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFLNK else {
      throw MediaError(
        .notAFile, path: path, details: "A folder or device has this name; choose another name.")
    }
    if !overwrite { throw exists(path) }
  }

  private static func checkFolder(_ folder: String, path: String) throws {
    var status = stat()
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw MediaError(
        .folderMissing, path: path,
        details: "There is no folder \(folder); create it or choose another.")
    }
    guard access(folder, W_OK | X_OK) == 0 else {
      throw MediaError.system(errno, path: folder, doing: "write")
    }
  }

  private static func exists(_ path: String) -> MediaError {
    MediaError(
      .outputExists, path: path,
      details: "The file exists already; choose another name or allow overwriting.")
  }
}

extension stat {
  /// Seconds since 1970 at which the content last changed.
  fileprivate var modified: Int {
    #if os(Linux)
      st_mtim.tv_sec
    #else
      st_mtimespec.tv_sec
    #endif
  }
}
