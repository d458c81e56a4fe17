/// Draws short texts in a 5x7 bitmap font: ASCII and Cyrillic; anything else is a box.
enum PixelFont {
  /// The size of a character cell with its spacing, before scaling.
  static let cell = (width: 6, height: 9)

  /// Returns the width of a text in pixels.
  static func width(of text: String, scale: Int = 1) -> Int { text.count * cell.width * scale }

  /// Draws a text with the top left corner of its first cell at (`x`, `y`), cut at the edges.
  static func draw(
    _ text: String, on frame: inout Frame, x: Int, y: Int, scale: Int = 1, color: Color = .white
  ) {
    var left = x
    for character in text where left < frame.width {
      let rows = glyph(character)
      let first = descending.contains(character) ? 2 : 1
      for row in 0..<7 {
        let bits = rows >> UInt64(8 * (6 - row)) & 0x1f
        for column in 0..<5 where bits >> UInt64(4 - column) & 1 == 1 {
          let place = (left + column * scale, y + (row + first) * scale)
          fill(&frame, x: place.0, y: place.1, side: scale, color: color)
        }
      }
      left += cell.width * scale
    }
  }

  /// Returns a frame with a text in its lower right corner, white over black, a fortieth of its height.
  static func marked(_ frame: Frame, _ text: String) -> Frame {
    var marked = frame
    let scale = max(1, frame.height / 320)
    let (x, y) = (
      max(0, frame.width - width(of: text, scale: scale) - 3 * scale),
      max(0, frame.height - (cell.height + 1) * scale)
    )
    draw(text, on: &marked, x: x + scale, y: y + scale, scale: scale, color: .black)
    draw(text, on: &marked, x: x, y: y, scale: scale)
    return marked
  }

  /// The seven rows of a character, a byte each from the top, five bits each from the left.
  static func glyph(_ character: Character) -> UInt64 {
    glyphs[character] ?? glyphs[lookalikes[character] ?? "\u{0}"] ?? 0x1f_11_11_11_11_11_1f
  }

  private static func fill(_ frame: inout Frame, x: Int, y: Int, side: Int, color: Color) {
    for row in max(0, y)..<max(0, y, min(frame.height, y + side)) {
      for column in max(0, x)..<max(0, x, min(frame.width, x + side)) {
        frame[x: column, y: row] = color
      }
    }
  }
}

extension Frame {
  /// Draws one line of small text: 5x7 pixels a character, ASCII and Cyrillic, cut at the edges.
  ///
  /// - Parameters:
  ///   - text: What to write; any other character is a box.
  ///   - x: The left edge in pixels.
  ///   - y: The top edge in pixels.
  ///   - color: The colour of the strokes.
  public mutating func draw(text: String, x: Int, y: Int, color: Color = .white) {
    PixelFont.draw(text, on: &self, x: x, y: y, color: color)
  }
}
