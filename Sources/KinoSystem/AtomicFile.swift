package import Foundation

/// A file that appears under its name only when it is whole.
///
/// Bytes go to a hidden file beside the target, which ``publish(checking:)`` renames, and which is removed by
/// ``discard()`` or when this object goes away. One that a killed program left behind is removed by the
/// next that writes into the folder: its owner would hold a lock on it.
package final class AtomicFile {
  /// The target.
  package let path: String
  /// The hidden file beside it, for those who write by path.
  package let temporaryPath: String
  private let overwrite: Bool
  private let descriptor: CInt
  private var isOpen = true

  /// Checks that the target can be written and creates the temporary file.
  package init(path: String, overwrite: Bool) throws(FileError) {
    self.path = path
    self.overwrite = overwrite
    let folder = (path as NSString).deletingLastPathComponent
    try Self.checkTarget(path, overwrite: overwrite)
    try Self.checkFolder(folder.isEmpty ? "." : folder, path: path)
    Self.removeAbandoned(in: folder.isEmpty ? "." : folder)
    let token = String(UInt64.random(in: .min ... .max), radix: 36)
    temporaryPath = (folder as NSString).appendingPathComponent(".kino-\(token).partial")
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileError(errno, path: path, doing: "write") }
    flock(descriptor, LOCK_EX | LOCK_NB)
  }

  deinit {
    discard()
    if descriptor >= 0 { close(descriptor) }
  }

  /// Writes a whole small file, replacing one that is there.
  package static func write(_ data: Data, to url: URL) throws(FileError) {
    let file = try AtomicFile(path: url.path, overwrite: true)
    try file.write([UInt8](data), at: 0)
    try file.publish()
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
  package func write(_ bytes: [UInt8]) throws(FileError) {
    guard ftruncate(descriptor, 0) == 0 else { throw failed(errno) }
    try write(bytes, at: 0)
  }

  /// Writes bytes at an offset.
  package func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(FileError) in try write(buffer, at: offset) }
    }
    try result.get()
  }

  /// Writes bytes at an offset.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    var written = 0
    while written < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written,
        off_t(offset + written))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failed(count < 0 ? errno : ENOSPC) }
      written += count
    }
  }

  /// Flushes the bytes to disk and gives the file its name. Afterwards nothing remains to be discarded.
  package func publish() throws(FileError) {
    guard isOpen else { return }
    try synchronize()
    if overwrite {
      guard rename(temporaryPath, path) == 0 else { throw failed(errno) }
    } else {
      try renameExclusively()
    }
    isOpen = false
    flushFolder()
  }

  /// Removes the temporary file.
  package func discard() {
    guard isOpen else { return }
    isOpen = false
    unlink(temporaryPath)
  }

  // MARK: Internal

  private func failed(_ number: Int32) -> FileError {
    FileError(number, path: path, doing: "write")
  }

  /// Links instead of renaming: a link fails if somebody made the target meanwhile.
  private func renameExclusively() throws(FileError) {
    if link(temporaryPath, path) == 0 {
      unlink(temporaryPath)
      return
    }
    let number = errno
    if number == EEXIST { throw Self.exists(path) }
    // File systems without hard links.
    var status = stat()
    if lstat(path, &status) == 0 { throw Self.exists(path) }
    guard rename(temporaryPath, path) == 0 else { throw failed(errno) }
  }

  /// Waits until the bytes are on the disk, so that a power cut leaves the old file or the new. They may have
  /// been written by path.
  private func synchronize() throws(FileError) {
    let written = open(temporaryPath, O_RDONLY | O_CLOEXEC)
    guard written >= 0 else { throw failed(errno) }
    defer { close(written) }
    let supported = fsync(written) == 0 || errno == EINVAL || errno == ENOTSUP
    if !supported { throw failed(errno) }
  }

  /// Makes the new name survive a power cut, where the file system lets folders be flushed.
  private func flushFolder() {
    let name = (path as NSString).deletingLastPathComponent
    let folder = open(name.isEmpty ? "." : name, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  private static func checkTarget(_ path: String, overwrite: Bool) throws(FileError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFLNK else {
      throw FileError(
        .notAFile, path: path, found: "a folder or a device",
        details: "A folder or device has this name; choose another name.")
    }
    if !overwrite { throw exists(path) }
  }

  private static func checkFolder(_ folder: String, path: String) throws(FileError) {
    var status = stat()
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw FileError(
        .folderMissing, path: path, found: "no folder \(folder)",
        details: "There is no folder \(folder); create it or choose another.")
    }
    guard access(folder, W_OK | X_OK) == 0 else {
      throw FileError(errno, path: folder, doing: "write")
    }
  }

  private static func exists(_ path: String) -> FileError {
    FileError(
      .outputExists, path: path, found: "a file of this name",
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
