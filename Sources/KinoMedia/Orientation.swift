/// One of the eight ways a stored picture is turned for display.
///
/// A transposition, where there is one, comes first; the flips act on its result.
struct Orientation: Hashable {
  var transposes = false
  var flipsHorizontally = false
  var flipsVertically = false

  static let identity = Orientation()

  init() {}

  /// Takes the nearest quarter turn or mirror image of a display matrix (nine 16.16 numbers).
  init(matrix: UnsafePointer<Int32>) {
    // A stored point (x, y) is shown at (a x + c y, b x + d y).
    let (a, b) = (Int64(matrix[0]), Int64(matrix[1]))
    let (c, d) = (Int64(matrix[3]), Int64(matrix[4]))
    if abs(a) + abs(d) >= abs(b) + abs(c) {
      flipsHorizontally = a < 0
      flipsVertically = d < 0
    } else {
      transposes = true
      flipsHorizontally = c < 0
      flipsVertically = b < 0
    }
  }

  /// How far it turns clockwise, in degrees: 0, 90, 180 or 270.
  var degrees: Int {
    if transposes { return flipsHorizontally ? 90 : 270 }
    return flipsVertically ? 180 : 0
  }

  /// Whether the turned picture is mirrored, left to right or top to bottom.
  var isMirrored: Bool { (flipsHorizontally == flipsVertically) == transposes }

  func apply(to size: FrameSize) -> FrameSize { transposes ? size.transposed : size }

  func apply(to frame: Frame) -> Frame {
    guard self != .identity else { return frame }
    let size = apply(to: frame.size)
    let width = frame.width
    // Offsets in the source of one step right and one step down in the result.
    var right = transposes ? width * 3 : 3
    var down = transposes ? 3 : width * 3
    var start = 0
    if flipsHorizontally {
      start += right * (size.width - 1)
      right = -right
    }
    if flipsVertically {
      start += down * (size.height - 1)
      down = -down
    }
    let pixels = [UInt8](unsafeUninitializedCapacity: frame.pixels.count) { result, count in
      frame.pixels.withUnsafeBufferPointer { source in
        var to = 0
        for y in 0..<size.height {
          var from = start + y * down
          for _ in 0..<size.width {
            result[to] = source[from]
            result[to + 1] = source[from + 1]
            result[to + 2] = source[from + 2]
            to += 3
            from += right
          }
        }
      }
      count = frame.pixels.count
    }
    return Frame(width: size.width, height: size.height, pixels: pixels)
  }
}
