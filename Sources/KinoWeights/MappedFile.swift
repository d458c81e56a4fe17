#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A regular file opened for reading and mapped into memory.
///
/// The mapping is private and copy-on-write: a tensor made over it may be changed in place without
/// touching the file. If another process cuts the file short while it is mapped, touching the lost
/// pages kills the process (SIGBUS). ``checkUnchanged()`` narrows that window to the time between
/// the check and the read; it cannot close it. Replace checkpoints by renaming, as
/// ``SafetensorsWriter`` does, and the old file stays whole for those who mapped it.
///
/// `@unchecked Sendable`: all state is set once in `init`; the pages are unmapped in `deinit` only.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  package let byteCount: Int
  private let descriptor: Int32
  private let modified: timespec
  private let start: UnsafeMutableRawPointer?

  package init(path: String) throws(WeightsError) {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Self.cannotRead(path, errno) }
    do {
      let status = try Self.status(of: descriptor, path: path)
      self.start = try Self.map(descriptor, byteCount: status.size, path: path)
      self.byteCount = status.size
      self.modified = status.modified
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    if let start { munmap(start, byteCount) }
    close(descriptor)
  }

  /// All bytes; valid as long as this object lives.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: byteCount)
  }

  /// Checks that the file still has the size and modification time it had when it was mapped.
  package func checkUnchanged() throws(WeightsError) {
    let status = try Self.status(of: descriptor, path: path)
    guard status.size == byteCount, status.modified.tv_sec == modified.tv_sec,
      status.modified.tv_nsec == modified.tv_nsec
    else {
      throw WeightsError(
        .changedOnDisk, at: path, expected: "the \(byteCount) bytes that were opened",
        found: "a file of \(status.size) bytes that was written to since",
        advice: "Open it again once the other program has finished writing.")
    }
  }

  /// Lets the system take back the memory of a part, but for pages that it shares with its neighbours; they
  /// are read from the file again when touched. Changes made in place may be lost.
  func releasePages(of part: UnsafeRawBufferPointer) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    guard let start, let first = part.baseAddress else { return }
    let begin = (first - UnsafeRawPointer(start) + page - 1) / page * page
    let end = (first - UnsafeRawPointer(start) + part.count) / page * page
    if begin < end { madvise(start + begin, end - begin, MADV_DONTNEED) }
  }

  /// The modification time, as text to compare.
  var stamp: String { "\(modified.tv_sec).\(modified.tv_nsec)" }

  /// Copies bytes with `pread`, which reports a file cut short instead of killing the process.
  func read(_ range: Range<Int>) throws(WeightsError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
      while filled < range.count {
        let count = pread(
          descriptor, buffer.baseAddress.map { $0 + filled }, range.count - filled,
          off_t(range.lowerBound + filled))
        if count > 0 { filled += count; continue }
        if count < 0 && errno == EINTR { continue }
        failure = count < 0 ? errno : 0
        return
      }
    }
    guard failure == 0 else { throw Self.cannotRead(path, failure) }
    guard bytes.count == range.count else {
      throw WeightsError(
        .changedOnDisk, at: path, expected: "\(range.upperBound) bytes", found: "fewer",
        advice: "Another program is writing this file: open it again when that has finished.")
    }
    return bytes
  }

  // MARK: - Internal

  private static func map(
    _ descriptor: Int32, byteCount: Int, path: String
  ) throws(WeightsError) -> UnsafeMutableRawPointer? {
    guard byteCount > 0 else { return nil }
    // Pages are copied only when written to, so none need be reserved.
    let flags = MAP_PRIVATE | MAP_NORESERVE
    let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, 0)
    guard let start, start != MAP_FAILED else { throw cannotRead(path, errno) }
    return start
  }

  private static func status(
    of descriptor: Int32, path: String
  ) throws(WeightsError) -> (size: Int, modified: timespec) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw cannotRead(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw WeightsError(
        .cannotRead, at: path, expected: "a regular file", found: "a folder or a device",
        advice: "Give the path of the file itself.")
    }
    #if canImport(Darwin)
      return (Int(status.st_size), status.st_mtimespec)
    #else
      return (Int(status.st_size), status.st_mtim)
    #endif
  }

  static func cannotRead(_ path: String, _ code: Int32) -> WeightsError {
    WeightsError(
      code == ENOENT ? .notFound : .cannotRead, at: path, expected: "a readable file",
      found: code == ENOENT ? "none" : systemMessage(code),
      advice: "Check the path and its permissions.")
  }
}

/// Returns the system's own words for an `errno` value.
func systemMessage(_ code: Int32) -> String {
  strerror(code).map { String(cString: $0) } ?? "error \(code)"
}
