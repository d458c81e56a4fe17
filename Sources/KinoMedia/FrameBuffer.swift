internal import CFFmpeg

/// Owns one AVFrame.
final class FrameBuffer {
  let pointer: UnsafeMutablePointer<AVFrame>

  /// Creates a frame without pixels.
  init() throws {
    guard let pointer = av_frame_alloc() else { throw MediaError.outOfMemory("a frame") }
    self.pointer = pointer
  }

  /// Creates a frame of zeros, margins included: scalers and encoders read past the rows' ends.
  convenience init(size: FrameSize, format: AVPixelFormat) throws {
    try self.init()
    pointer.pointee.width = Int32(size.width)
    pointer.pointee.height = Int32(size.height)
    pointer.pointee.format = format.rawValue
    guard av_frame_get_buffer(pointer, 64) >= 0 else {
      throw MediaError.outOfMemory("a picture of \(size)")
    }
    let buffers = [pointer.pointee.buf.0, pointer.pointee.buf.1, pointer.pointee.buf.2]
    for case let buffer? in buffers {
      buffer.pointee.data.update(repeating: 0, count: buffer.pointee.size)
    }
  }

  /// Creates an RGB frame with the pixels of `frame`.
  convenience init(_ frame: Frame) throws {
    try self.init(size: frame.size, format: AV_PIX_FMT_RGB24)
    guard let plane = pointer.pointee.data.0 else { throw MediaError.outOfMemory("a frame") }
    let stride = Int(pointer.pointee.linesize.0)
    let rowBytes = frame.width * 3
    frame.pixels.withUnsafeBytes { source in
      for row in 0..<frame.height {
        let bytes = source[row * rowBytes..<(row + 1) * rowBytes]
        UnsafeMutableRawBufferPointer(start: plane + row * stride, count: rowBytes)
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes))
      }
    }
  }

  deinit {
    var owned: UnsafeMutablePointer<AVFrame>? = pointer
    av_frame_free(&owned)
  }

  var size: FrameSize {
    FrameSize(
      width: max(1, Int(pointer.pointee.width)), height: max(1, Int(pointer.pointee.height)))
  }

  var format: AVPixelFormat { AVPixelFormat(rawValue: pointer.pointee.format) }

  /// Returns another owner of the same pixels, which may be cropped without changing this one.
  func sharing() throws -> FrameBuffer {
    let other = try FrameBuffer()
    guard av_frame_ref(other.pointer, pointer) >= 0 else { throw MediaError.outOfMemory("a frame") }
    return other
  }

  /// The rows of the first plane; `nil` if there is none.
  var firstPlane: (start: UnsafeMutablePointer<UInt8>, stride: Int)? {
    pointer.pointee.data.0.map { ($0, Int(pointer.pointee.linesize.0)) }
  }
}
