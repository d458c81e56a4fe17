import Kino

/// A picture as sixels, the graphics of DEC's terminals (VT330/VT340 manual, chapter 14) that foot, mlterm,
/// xterm and others show: bands of six rows, for each colour a bit per row.
struct SixelPicture {
  private let frame: Frame

  /// Levels of each channel: a cube of 216 colours, mixed by ordered dithering.
  private static let levels = 6
  /// The thresholds of a 4x4 pattern (Bayer, 1973), in sixteenths.
  private static let pattern = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5]

  init(_ frame: Frame) { self.frame = frame }

  /// The control sequence that draws it.
  var text: String {
    let (width, height) = (frame.width, frame.height)
    // Square pixels, the background left as it is, and the picture's size.
    var text = "\u{1B}P0;1;0q\"1;1;\(width);\(height)"
    let colors = indices()
    for color in Set(colors).sorted() {
      let steps = [color / 36, color / 6 % 6, color % 6].map { $0 * 100 / (Self.levels - 1) }
      text += "#\(color);2;\(steps[0]);\(steps[1]);\(steps[2])"
    }
    for top in stride(from: 0, to: height, by: 6) {
      let rows = top..<min(height, top + 6)
      let used = Set(colors[rows.lowerBound * width..<rows.upperBound * width]).sorted()
      text +=
        used.map { color in "#\(color)" + band(colors, rows, color) }.joined(separator: "$") + "-"
    }
    return text + "\u{1B}\\"
  }

  /// The index of each pixel's colour in the cube.
  private func indices() -> [Int] {
    let pixels = frame.pixels
    return (0..<frame.width * frame.height).map { place in
      let (x, y) = (place % frame.width, place / frame.width)
      let threshold = Self.pattern[y % 4 * 4 + x % 4] * 2 + 1  // of 32
      return (0..<3).reduce(0) { index, channel in
        let value = Int(pixels[place * 3 + channel]) * (Self.levels - 1) * 32
        return index * Self.levels + min(Self.levels - 1, (value / 255 + threshold) / 32)
      }
    }
  }

  /// One colour's sixels of a band, equal ones counted.
  private func band(_ colors: [Int], _ rows: Range<Int>, _ color: Int) -> String {
    var text = ""
    var (last, count) = (UInt8(0), 0)
    func flush() {
      let character = Character(Unicode.Scalar(63 + last))
      text += count > 3 ? "!\(count)\(character)" : String(repeating: character, count: count)
    }
    for x in 0..<frame.width {
      var bits: UInt8 = 0
      for (bit, y) in rows.enumerated() where colors[y * frame.width + x] == color {
        bits |= 1 << UInt8(bit)
      }
      if bits != last {
        flush()
        (last, count) = (bits, 0)
      }
      count += 1
    }
    // What follows the last pixel of the colour is empty anyway.
    if last != 0 { flush() }
    return text
  }
}
