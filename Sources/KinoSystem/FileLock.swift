package import Foundation

/// A lock that one program at a time can hold.
///
/// It is the system's (`flock`) and goes with the process, however that ends; the file stays.
package final class FileLock: Sendable {
  private let descriptor: CInt

  /// Takes a lock, if nobody has it.
  ///
  /// - Parameters:
  ///   - path: The file that stands for the lock; it is made if need be.
  ///   - permissions: Of a new file.
  /// - Returns: `nil` if another program, or another part of this one, holds the lock.
  /// - Throws: ``FileError`` if the file can't be opened for writing.
  package static func taken(
    at path: String, permissions: mode_t = 0o666
  ) throws(FileError) -> FileLock? {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, permissions)
    guard descriptor >= 0 else { throw FileError(errno, path: path, doing: "write") }
    let lock = FileLock(descriptor)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      if errno == EWOULDBLOCK { return nil }
      throw FileError(errno, path: path, doing: "lock")
    }
    return lock
  }

  private init(_ descriptor: CInt) { self.descriptor = descriptor }

  deinit { close(descriptor) }
}
