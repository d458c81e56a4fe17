internal import Dispatch
internal import KinoTensor

/// Unpacking to float32, each number with the operations and in the order of the reference, so that
/// results agree bit for bit. The layouts are those of ggml's blocks.
extension StoredType {
  /// Makes a float32 tensor of packed elements.
  func unpacked(_ bytes: UnsafeRawBufferPointer, shape: [Int]) -> Tensor {
    let blockCount = bytes.count / blockByteCount
    let values = FloatBuffer(count: blockCount * blockLength)
    if let source = bytes.baseAddress {
      unpack(source, blockCount: blockCount, to: values.start)
    }
    return Tensor(
      borrowing: UnsafeMutableRawPointer(values.start), shape: shape, dtype: .float32, owner: values
    )
  }

  /// Unpacks whole blocks, on all cores if there are many.
  private func unpack(
    _ source: UnsafeRawPointer, blockCount: Int, to target: UnsafeMutablePointer<Float>
  ) {
    let partLength = max(1, (1 << 18) / blockLength)
    nonisolated(unsafe) let (source, target) = (source, target)
    DispatchQueue.concurrentPerform(iterations: (blockCount + partLength - 1) / partLength) {
      part in
      let start = part * partLength
      let count = min(partLength, blockCount - start)
      unpackInOrder(
        source + start * blockByteCount, count, target + start * blockLength)
    }
  }

  /// Unpacks whole blocks on the thread that asks.
  func unpackInOrder(
    _ source: UnsafeRawPointer, _ count: Int, _ target: UnsafeMutablePointer<Float>
  ) {
    func each(_ unpack: (Block, UnsafeMutablePointer<Float>) -> Void) {
      for index in 0..<count {
        unpack(
          Block(start: source + index * blockByteCount), target + index * blockLength)
      }
    }
    switch self {
    case .q40: each(Block.q40)
    case .q41: each(Block.q41)
    case .q50: each(Block.q50)
    case .q51: each(Block.q51)
    case .q80: each(Block.q80)
    case .q2K: each(Block.q2K)
    case .q3K: each(Block.q3K)
    case .q4K: each(Block.q4K)
    case .q5K: each(Block.q5K)
    case .q6K: each(Block.q6K)
    case .float8e4m3: Self.lookUp(source, count, Self.e4m3, target)
    case .float8e5m2: Self.lookUp(source, count, Self.e5m2, target)
    default: preconditionFailure("\(rawValue) is not packed")
    }
  }

  private static func lookUp(
    _ source: UnsafeRawPointer, _ count: Int, _ values: [Float],
    _ target: UnsafeMutablePointer<Float>
  ) {
    let codes = UnsafeRawBufferPointer(start: source, count: count)
    values.withUnsafeBufferPointer { values in
      for index in 0..<count { target[index] = values[Int(codes[index])] }
    }
  }

  /// The values of 8-bit numbers with 5 bits of exponent: the upper halves of 16-bit ones.
  private static let e5m2: [Float] = (0...255).map { Block.half(UInt16($0) << 8) }

  /// The values of 8-bit numbers with 4 bits of exponent: no infinities, one NaN of each sign.
  private static let e4m3: [Float] = (0...255).map { code in
    let (exponent, fraction) = (code >> 3 & 15, Float(code & 7) / 8)
    if code & 0x7F == 0x7F { return .nan }
    let magnitude =
      exponent == 0
      ? Float(sign: .plus, exponent: -6, significand: fraction)
      : Float(sign: .plus, exponent: exponent - 7, significand: 1 + fraction)
    return code & 0x80 == 0 ? magnitude : -magnitude
  }
}

/// Memory for numbers that a tensor takes over.
private final class FloatBuffer {
  let start: UnsafeMutablePointer<Float>

  init(count: Int) { start = .allocate(capacity: count) }

  deinit { start.deallocate() }
}

/// One block of quantised numbers.
private struct Block {
  let start: UnsafeRawPointer

  subscript(_ offset: Int) -> UInt8 { start.load(fromByteOffset: offset, as: UInt8.self) }

  func signed(_ offset: Int) -> Int8 { start.load(fromByteOffset: offset, as: Int8.self) }

  /// The 16-bit floating-point number at an offset.
  func half(_ offset: Int) -> Float {
    Self.half(UInt16(self[offset]) | UInt16(self[offset + 1]) << 8)
  }

  /// Written out, since Swift has no `Float16` on Intel Macs.
  static func half(_ bits: UInt16) -> Float {
    let (sign, exponent) = (UInt32(bits & 0x8000) << 16, UInt32(bits >> 10 & 31))
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: sign | magnitude.bitPattern)
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }

  /// The scale and the minimum of a part of a Q4_K or Q5_K block: 6 bits each, 8 of each in 12 bytes.
  func scaleAndMinimum(_ part: Int, at offset: Int) -> (scale: Float, minimum: Float) {
    if part < 4 {
      return (Float(self[offset + part] & 63), Float(self[offset + part + 4] & 63))
    }
    let low = self[offset + part + 4]
    return (
      Float(low & 15 | (self[offset + part - 4] >> 6) << 4),
      Float(low >> 4 | (self[offset + part] >> 6) << 4)
    )
  }

  static func q40(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let scale = block.half(0)
    for i in 0..<16 {
      target[i] = scale * Float(Int(block[2 + i] & 15) - 8)
      target[i + 16] = scale * Float(Int(block[2 + i] >> 4) - 8)
    }
  }

  static func q41(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for i in 0..<16 {
      target[i] = scale * Float(block[4 + i] & 15) + minimum
      target[i + 16] = scale * Float(block[4 + i] >> 4) + minimum
    }
  }

  /// The fifth bit of element `i`, in place.
  private func fifthBit(_ i: Int, at offset: Int) -> UInt8 {
    (self[offset + i / 8] >> UInt8(i % 8) & 1) << 4
  }

  static func q50(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let scale = block.half(0)
    for i in 0..<16 {
      let (low, high) = (block[6 + i] & 15, block[6 + i] >> 4)
      target[i] = scale * Float(Int(low | block.fifthBit(i, at: 2)) - 16)
      target[i + 16] = scale * Float(Int(high | block.fifthBit(i + 16, at: 2)) - 16)
    }
  }

  static func q51(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for i in 0..<16 {
      let (low, high) = (block[8 + i] & 15, block[8 + i] >> 4)
      target[i] = scale * Float(low | block.fifthBit(i, at: 4)) + minimum
      target[i + 16] = scale * Float(high | block.fifthBit(i + 16, at: 4)) + minimum
    }
  }

  static func q80(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let scale = block.half(0)
    for i in 0..<32 { target[i] = scale * Float(block.signed(2 + i)) }
  }

  /// 16 scales and minima of 4 bits, 2 bits per element.
  static func q2K(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (block.half(80), block.half(82))
    for part in 0..<16 {
      let (low, high) = (block[part] & 15, block[part] >> 4)
      let (a, b) = (scale * Float(low), minimum * Float(high))
      let (group, shift) = (part / 8, UInt8(part % 8 / 2 * 2))
      for i in 0..<16 {
        let code = block[16 + group * 32 + part % 2 * 16 + i] >> shift & 3
        target[part * 16 + i] = a * Float(code) - b
      }
    }
  }

  /// 16 scales of 6 bits, 2 bits per element and a third in a mask that counts 4 where it is 0.
  static func q3K(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let scale = block.half(108)
    for part in 0..<16 {
      let low = part < 8 ? block[96 + part] & 15 : block[96 + part - 8] >> 4
      let high = block[104 + part % 4] >> UInt8(part / 4 * 2) & 3
      let a = scale * Float(Int(low | high << 4) - 32)
      let (group, step) = (part / 8, part % 8 / 2)
      for i in 0..<16 {
        let column = part % 2 * 16 + i
        let code = Int(block[32 + group * 32 + column] >> UInt8(step * 2) & 3)
        let isHigh = block[column] >> UInt8(group * 4 + step) & 1 == 1
        target[part * 16 + i] = a * Float(isHigh ? code : code - 4)
      }
    }
  }

  static func q4K(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let factors = block.scaleAndMinimum(part, at: 4)
      let (a, b) = (scale * factors.scale, minimum * factors.minimum)
      for i in 0..<32 {
        let pair = block[16 + part / 2 * 32 + i]
        target[part * 32 + i] = a * Float(part % 2 == 0 ? pair & 15 : pair >> 4) - b
      }
    }
  }

  static func q5K(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let factors = block.scaleAndMinimum(part, at: 4)
      let (a, b) = (scale * factors.scale, minimum * factors.minimum)
      for i in 0..<32 {
        let pair = block[48 + part / 2 * 32 + i]
        let code = part % 2 == 0 ? pair & 15 : pair >> 4
        let fifth = (block[16 + i] >> UInt8(part) & 1) << 4
        target[part * 32 + i] = a * Float(code | fifth) - b
      }
    }
  }

  static func q6K(_ block: Block, _ target: UnsafeMutablePointer<Float>) {
    let scale = block.half(208)
    for part in 0..<8 {
      let (half, step) = (part / 4, part % 4)
      for i in 0..<32 {
        let pair = block[half * 64 + step % 2 * 32 + i]
        let low = step < 2 ? pair & 15 : pair >> 4
        let high = block[128 + half * 32 + i] >> UInt8(step * 2) & 3
        let a = scale * Float(block.signed(192 + part * 2 + i / 16))
        target[part * 32 + i] = a * Float(Int(low | high << 4) - 32)
      }
    }
  }
}
