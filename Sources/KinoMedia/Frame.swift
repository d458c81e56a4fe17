/// Holds one colour, 8 bits a channel, sRGB.
public struct Color: Hashable, Sendable {
  /// The channels, 0...255.
  public var red, green, blue: UInt8

  /// Creates a colour from its channels.
  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// The darkest colour.
  public static let black = Color(red: 0, green: 0, blue: 0)
  /// The brightest colour.
  public static let white = Color(red: 255, green: 255, blue: 255)
}

/// Holds the width and height of a picture in pixels, both at least 1.
public struct FrameSize: Hashable, Sendable, CustomStringConvertible {
  /// The number of columns and rows.
  public let width, height: Int

  /// Creates a size. Numbers below 1 trap.
  public init(width: Int, height: Int) {
    precondition(width > 0 && height > 0, "FrameSize: \(width)x\(height) is empty")
    self.width = width
    self.height = height
  }

  /// The size as `WIDTHxHEIGHT`.
  public var description: String { "\(width)x\(height)" }

  /// The size of the same shape whose longer side has at most so many pixels.
  package func reduced(toLongerSide longest: Int) -> FrameSize {
    let scale = min(1, Double(longest) / Double(max(width, height)))
    func side(_ length: Int) -> Int { max(1, Int((Double(length) * scale).rounded())) }
    return FrameSize(width: side(width), height: side(height))
  }

  var pixelCount: Int { width * height }
  var transposed: FrameSize { FrameSize(width: height, height: width) }
}

/// Holds one picture: RGB, 8 bits a channel, rows from the top, no padding.
public struct Frame: Hashable, Sendable {
  /// The size in pixels.
  public let width, height: Int
  /// `height * width * 3` bytes: red, green, blue of each pixel.
  public private(set) var pixels: [UInt8]

  /// Creates a frame from its bytes. Traps unless there are `height * width * 3` of them.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0, "Frame: \(width)x\(height) is empty")
    precondition(
      pixels.count == width * height * 3,
      "Frame: \(pixels.count) bytes for \(width)x\(height) RGB, expected \(width * height * 3)")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// Creates a frame of one colour.
  public init(width: Int, height: Int, color: Color) {
    var pixels = [UInt8](repeating: color.red, count: width * height * 3)
    if color.red != color.green || color.green != color.blue {
      for offset in stride(from: 0, to: pixels.count, by: 3) {
        pixels[offset + 1] = color.green
        pixels[offset + 2] = color.blue
      }
    }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// The size as one value.
  public var size: FrameSize { FrameSize(width: width, height: height) }

  /// Reads or replaces one pixel. Coordinates outside the frame trap.
  public subscript(x x: Int, y y: Int) -> Color {
    get {
      let offset = self.offset(x, y)
      return Color(red: pixels[offset], green: pixels[offset + 1], blue: pixels[offset + 2])
    }
    set {
      let offset = self.offset(x, y)
      pixels[offset] = newValue.red
      pixels[offset + 1] = newValue.green
      pixels[offset + 2] = newValue.blue
    }
  }

  /// Draws another frame over this one with its top left corner at (`x`, `y`); what sticks out is
  /// cut off.
  public mutating func draw(_ other: Frame, x: Int, y: Int) {
    let left = max(0, x)
    let right = min(width, x + other.width)
    guard left < right else { return }
    let count = (right - left) * 3
    for row in max(0, y)..<max(max(0, y), min(height, y + other.height)) {
      let from = ((row - y) * other.width + left - x) * 3
      let to = (row * width + left) * 3
      pixels.replaceSubrange(to..<to + count, with: other.pixels[from..<from + count])
    }
  }

  private func offset(_ x: Int, _ y: Int) -> Int {
    precondition(
      x >= 0 && x < width && y >= 0 && y < height,
      "Frame: pixel (\(x), \(y)) outside \(width)x\(height)")
    return (y * width + x) * 3
  }
}
