internal import KinoTensor

/// Packing into the blocks of ggml's Q8_0 and Q4_K.
enum BlockPacking {
  /// Elements that are packed at a time, so that what is between stays small.
  private static let chunkLength = 1 << 22

  /// Packs the elements of a tensor, whole blocks of a type, in their order.
  static func packed(_ value: Tensor, as type: StoredType) -> [UInt8] {
    let flat = value.reshaped(to: -1)
    var bytes = [UInt8](
      repeating: 0, count: flat.count / type.blockLength * type.blockByteCount)
    for start in stride(from: 0, to: flat.count, by: chunkLength) {
      let end = min(start + chunkLength, flat.count)
      let blocks = flat.slice(0, start..<end).cast(to: .float32).reshaped(to: -1, type.blockLength)
      let offset = start / type.blockLength * type.blockByteCount
      bytes.withUnsafeMutableBytes { bytes in
        let target = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
        switch type {
        case .q80: q80(blocks, into: target)
        case .q4K: q4K(blocks, into: target)
        default: preconditionFailure("\(type.rawValue) is not written")
        }
      }
    }
    return bytes
  }

  // MARK: - Q8_0

  /// 32 numbers with one scale, the largest magnitude over 127.
  private static func q80(_ blocks: Tensor, into target: UnsafeMutableRawBufferPointer) {
    let scales = blocks.abs().max(along: 1, keepingDimensions: true) / 127
    let codes = (blocks / scales.maximum(Tensor(1e-37))).rounded().cast(to: .int8)
    scales.cast(to: .float16).withUnsafeBytes { scales in
      codes.withUnsafeBytes { codes in
        for block in 0..<scales.count / 2 {
          let start = block * StoredType.q80.blockByteCount
          target[start..<start + 2].copyBytes(from: scales[block * 2..<block * 2 + 2])
          target[start + 2..<start + 34].copyBytes(from: codes[block * 32..<block * 32 + 32])
        }
      }
    }
  }

  // MARK: - Q4_K

  /// 256 numbers in 8 parts of 32, `a q - m` with `q` of 4 bits; the parts' `a` and `m` have 6 bits, and one
  /// 16-bit scale for all `a`, one for all `m`.
  private static func q4K(_ blocks: Tensor, into target: UnsafeMutableRawBufferPointer) {
    let parts = blocks.reshaped(to: -1, 8, 32)
    let fit = AffineFit(parts, levels: 15)
    let (scale, scaleCodes) = sixBits(fit.scale)
    let (minimum, minimumCodes) = sixBits(fit.minimum)
    let (a, m) = (scale * scaleCodes, minimum * minimumCodes)
    let codes = AffineFit.codes(parts, scale: a, minimum: m, levels: 15)
    func bytes(_ tensor: Tensor) -> [UInt8] {
      tensor.cast(to: .uint8).withUnsafeBytes { [UInt8]($0) }
    }
    func halves(_ tensor: Tensor) -> [UInt8] {
      tensor.cast(to: .float16).withUnsafeBytes { [UInt8]($0) }
    }
    let (scales, minima) = (halves(scale), halves(minimum))
    let (a6, m6, q) = (bytes(scaleCodes), bytes(minimumCodes), bytes(codes))
    for block in 0..<scales.count / 2 {
      let start = block * StoredType.q4K.blockByteCount
      target[start..<start + 2].copyBytes(from: scales[block * 2..<block * 2 + 2])
      target[start + 2..<start + 4].copyBytes(from: minima[block * 2..<block * 2 + 2])
      for part in 0..<4 {
        let (low, high) = (block * 8 + part, block * 8 + part + 4)
        target[start + 4 + part] = a6[low] | (a6[high] >> 4) << 6
        target[start + 8 + part] = m6[low] | (m6[high] >> 4) << 6
        target[start + 12 + part] = a6[high] & 15 | m6[high] << 4
      }
      for index in 0..<128 {
        let first = block * 256 + index / 32 * 64 + index % 32
        target[start + 16 + index] = q[first] | q[first + 32] << 4
      }
    }
  }

  /// A 16-bit scale for the values of each block's parts, `[blocks, 8, 1]`, as float32, and their multiples of it,
  /// 0 to 63.
  private static func sixBits(_ values: Tensor) -> (scale: Tensor, codes: Tensor) {
    let scale = (values.max(along: 1, keepingDimensions: true) / 63).cast(to: .float16)
      .cast(to: .float32)
    let codes = (values / scale.maximum(Tensor(1e-37))).rounded().clamped(to: 0...63)
    return (scale, codes)
  }
}

/// For rows of numbers, the `a` and `m`, both at least 0, with which `a q - m` is nearest to them in squares, `q` being
/// whole numbers from 0: found by trying some steps, each with the best line through its codes.
private struct AffineFit {
  /// `[..., 1]`, as ``minimum``.
  private(set) var scale: Tensor
  private(set) var minimum: Tensor

  init(_ rows: Tensor, levels: Double) {
    func sum(_ tensor: Tensor) -> Tensor { tensor.sum(along: -1, keepingDimensions: true) }
    let zero = Tensor(0)
    let low = -(-rows).max(along: -1, keepingDimensions: true).maximum(zero)
    let range = rows.max(along: -1, keepingDimensions: true).maximum(zero) - low
    (scale, minimum) = (range / levels, -low)
    var least = sum(Self.error(rows, scale, minimum, levels).squared())
    let (count, total) = (Double(rows.size(-1)), sum(rows))
    for width in [levels - 1.5, levels - 0.75, levels, levels + 0.75, levels + 1.5] {
      let q = Self.codes(rows, scale: range / width, minimum: -low, levels: levels)
      let (sums, squares, products) = (sum(q), sum(q.squared()), sum(q * rows))
      let spread = (squares * count - sums.squared()).maximum(Tensor(1e-12))
      var a = ((products * count - sums * total) / spread).maximum(zero)
      var m = (a * sums - total) / count
      // A line that would start above zero has to start there.
      let isAbove = m.less(than: 0).cast(to: .float32)
      a = a + ((products / squares.maximum(Tensor(1e-12))).maximum(zero) - a) * isAbove
      m = m.maximum(zero)
      let error = sum(Self.error(rows, a, m, levels).squared())
      let isBetter = error.less(than: least).cast(to: .float32)
      scale = scale + (a - scale) * isBetter
      minimum = minimum + (m - minimum) * isBetter
      least = least + (error - least) * isBetter
    }
  }

  static func codes(_ rows: Tensor, scale: Tensor, minimum: Tensor, levels: Double) -> Tensor {
    ((rows + minimum) / scale.maximum(Tensor(1e-37))).rounded().clamped(to: 0...levels)
  }

  private static func error(_ rows: Tensor, _ a: Tensor, _ m: Tensor, _ levels: Double) -> Tensor {
    codes(rows, scale: a, minimum: m, levels: levels) * a - m - rows
  }
}
