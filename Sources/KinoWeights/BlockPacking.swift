internal import KinoTensor

/// Packing into the blocks of Q8_0: 32 numbers with one scale, the largest magnitude over 127.
enum BlockPacking {
  /// Elements that are packed at a time, so that what is between stays small.
  private static let chunkLength = 1 << 22

  /// Packs the elements of a tensor, a multiple of 32, in their order.
  static func q80(_ value: Tensor) -> [UInt8] {
    let type = StoredType.q80
    let flat = value.reshaped(to: -1)
    var bytes = [UInt8](
      repeating: 0, count: flat.count / type.blockLength * type.blockByteCount)
    for start in stride(from: 0, to: flat.count, by: chunkLength) {
      let end = min(start + chunkLength, flat.count)
      let blocks = flat.slice(0, start..<end).cast(to: .float32).reshaped(to: -1, type.blockLength)
      let scales = blocks.abs().max(along: 1, keepingDimensions: true) / 127
      let codes = (blocks / scales.maximum(Tensor(1e-37))).rounded().cast(to: .int8)
      let offset = start / type.blockLength * type.blockByteCount
      bytes.withUnsafeMutableBytes { bytes in
        scales.cast(to: .float16).withUnsafeBytes { scales in
          codes.withUnsafeBytes { codes in
            interleave(
              scales, codes, into: UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]))
          }
        }
      }
    }
    return bytes
  }

  private static func interleave(
    _ scales: UnsafeRawBufferPointer, _ codes: UnsafeRawBufferPointer,
    into target: UnsafeMutableRawBufferPointer
  ) {
    guard let scale = scales.baseAddress, let code = codes.baseAddress,
      let target = target.baseAddress
    else { return }
    for block in 0..<scales.count / 2 {
      let start = target + block * 34
      start.copyMemory(from: scale + block * 2, byteCount: 2)
      (start + 2).copyMemory(from: code + block * 32, byteCount: 32)
    }
  }
}
