internal import CFFmpeg
import Foundation

/// Gives FFmpeg the bytes of one regular file.
///
/// FFmpeg never sees the path, so that no part of it can be taken for a protocol or a pattern.
final class FileSource {
  let path: String
  let byteCount: Int
  private let descriptor: Int32

  init(path: String) throws {
    self.path = path
    // Non-blocking, so that a pipe without a writer can be refused rather than waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw MediaError.system(errno, path: path, doing: "read") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let number = errno
      close(descriptor)
      throw MediaError.system(number, path: path, doing: "read")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let found = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a pipe or device"
      throw MediaError(
        .notAFile, path: path, details: "Expected a clip or picture, found \(found); name a file.")
    }
    guard status.st_size > 0 else {
      close(descriptor)
      throw MediaError(
        .emptyFile, path: path, details: "The file is empty; copy or download it again.")
    }
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// The file name's extension if it is plain; FFmpeg's format detection weighs it.
  var fileExtension: String {
    let text = (path as NSString).pathExtension.lowercased()
    let isPlain = text.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) }
    // Text would be drawn as terminal art.
    return isPlain && !["txt", "ans", "asc", "diz", "nfo", "ice", "vt"].contains(text) ? text : ""
  }

  /// Returns up to `count` bytes from `offset` on.
  func bytes(at offset: Int, count: Int) -> [UInt8] {
    let count = min(count, max(0, byteCount - offset))
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(
          descriptor, buffer.baseAddress.map { $0 + filled }, count - filled,
          off_t(offset + filled))
        guard got > 0 else { break }
        filled += got
      }
    }
  }

  fileprivate func read(into buffer: UnsafeMutablePointer<UInt8>?, count: Int32) -> Int32 {
    let got = Foundation.read(descriptor, buffer, Int(count))
    if got == 0 { return kino_status_end() }
    return got < 0 ? kino_status_of_errno(errno) : Int32(got)
  }

  fileprivate func seek(to offset: Int64, whence: Int32) -> Int64 {
    if whence & kino_seek_size() != 0 { return Int64(byteCount) }
    let position = lseek(descriptor, off_t(offset), whence & 0xff)
    return position < 0 ? Int64(kino_status_of_errno(errno)) : Int64(position)
  }

  /// Makes an FFmpeg byte stream, which must not outlive this object.
  func makeIO() throws -> UnsafeMutablePointer<AVIOContext> {
    let size: Int32 = 65536
    guard let buffer = av_malloc(Int(size)) else { throw MediaError.outOfMemory("reading") }
    let io = avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self), size, 0,
      Unmanaged.passUnretained(self).toOpaque(),
      { object, buffer, count in
        guard let object else { return kino_status_end() }
        return Unmanaged<FileSource>.fromOpaque(object).takeUnretainedValue()
          .read(into: buffer, count: count)
      }, nil,
      { object, offset, whence in
        guard let object else { return -1 }
        return Unmanaged<FileSource>.fromOpaque(object).takeUnretainedValue()
          .seek(to: offset, whence: whence)
      })
    guard let io else {
      av_free(buffer)
      throw MediaError.outOfMemory("reading")
    }
    return io
  }
}
