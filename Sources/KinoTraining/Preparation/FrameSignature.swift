internal import KinoMedia

/// What a frame looks like from afar: its mean colours on a grid of 16x16 cells.
struct FrameSignature {
  /// Cells in a row, and rows.
  static let side = 16

  private let pixels: [UInt8]

  /// Takes a frame that was read at 16x16.
  init(_ frame: Frame) {
    precondition(
      frame.width == Self.side && frame.height == Self.side, "a signature of \(frame.size)")
    pixels = frame.pixels
  }

  /// The difference to another frame: the mean over all cells, and the greatest of any; both in levels.
  func change(from other: FrameSignature) -> (mean: Float, greatest: UInt8) {
    var (sum, greatest) = (0, UInt8(0))
    for (a, b) in zip(pixels, other.pixels) {
      let difference = a > b ? a - b : b - a
      sum += Int(difference)
      greatest = max(greatest, difference)
    }
    return (Float(sum) / Float(pixels.count), greatest)
  }

  /// The facts of the frame, with those of the two before it, where there are any.
  func facts(after last: FrameSignature?, _ secondLast: FrameSignature?) -> FrameFacts {
    let lumas = (0..<pixels.count / 3).map { luma($0) }
    let (darkest, brightest) = (lumas.min() ?? 0, lumas.max() ?? 0)
    let (mean, greatest) = last.map(change) ?? (0, 0)
    return FrameFacts(
      change: mean, greatestChange: greatest,
      changeOverTwo: secondLast.map { change(from: $0).mean } ?? mean,
      brightness: UInt8(lumas.reduce(0, +) / lumas.count), contrast: UInt8(brightest - darkest))
  }

  private func luma(_ cell: Int) -> Int {
    let (red, green, blue) = (pixels[cell * 3], pixels[cell * 3 + 1], pixels[cell * 3 + 2])
    return (Int(red) * 54 + Int(green) * 183 + Int(blue) * 19) >> 8
  }

  /// Bytes of a ``look``.
  static let lookBytes = 8 * 8 * 3

  /// The colours of 8x8 cells: what a frame looks like at any size and quality.
  var look: [UInt8] {
    (0..<Self.lookBytes).map { index in
      let (cell, channel) = (index / 3, index % 3)
      let first = (cell / 8 * 2 * Self.side + cell % 8 * 2) * 3 + channel
      let below = first + Self.side * 3
      let sum = Int(pixels[first]) + Int(pixels[first + 3])
      return UInt8((sum + Int(pixels[below]) + Int(pixels[below + 3]) + 2) / 4)
    }
  }
}

/// What is kept of every frame of a file: 12 bytes.
struct FrameFacts: Hashable, Sendable {
  /// Mean difference to the frame before, in levels; 0 for the first.
  var change: Float
  /// The greatest difference of any cell to the frame before.
  var greatestChange: UInt8
  /// Mean difference to the frame before that one.
  var changeOverTwo: Float
  /// Mean luma, 0...255.
  var brightness: UInt8
  /// From the darkest to the brightest cell.
  var contrast: UInt8
}
