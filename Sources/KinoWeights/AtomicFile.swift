import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file written beside its target and renamed onto it when complete.
///
/// Until ``commit()`` the target is untouched; an object dropped without it removes what it wrote.
/// A process killed outright leaves a hidden `.partial` file, never a target.
final class AtomicFile {
  private let target: String
  private let temporary: String
  private var descriptor: Int32

  init(replacing url: URL) throws(WeightsError) {
    target = url.path
    temporary =
      url.deletingLastPathComponent()
      .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString).partial").path
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Self.cannotWrite(target, errno) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporary)
  }

  /// Writes a whole small file.
  static func write(_ data: Data, to url: URL) throws(WeightsError) {
    let file = try AtomicFile(replacing: url)
    try file.write([UInt8](data), at: 0)
    try file.commit()
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(WeightsError) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(WeightsError) in try write(buffer, at: offset) }
    }
    try result.get()
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(WeightsError) {
    var written = 0
    while written < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written,
        off_t(offset + written))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Self.cannotWrite(target, count < 0 ? errno : EIO) }
      written += count
    }
  }

  /// Flushes the bytes to disk, then gives them the target's name, unless `check` throws on reading them.
  func commit(
    checking check: (_ written: URL) throws(WeightsError) -> Void = { _ in }
  ) throws(WeightsError) {
    guard fsync(descriptor) == 0 else { throw Self.cannotWrite(target, errno) }
    try check(URL(fileURLWithPath: temporary))
    guard rename(temporary, target) == 0 else { throw Self.cannotWrite(target, errno) }
    close(descriptor)
    descriptor = -1
    Self.flushFolder(of: target)
  }

  /// Makes the new name survive a power cut, where the file system lets folders be flushed.
  private static func flushFolder(of path: String) {
    let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  static func cannotWrite(_ path: String, _ code: Int32) -> WeightsError {
    WeightsError(
      .cannotWrite, at: path, expected: "to write the file", found: systemMessage(code),
      advice: "Check that its folder exists, may be written to, and has space left.")
  }
}
