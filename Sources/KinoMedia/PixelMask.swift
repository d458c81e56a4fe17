/// How much of each pixel may change, 0...1.
package struct PixelMask: Sendable, Hashable {
  /// The size in pixels.
  package let size: FrameSize
  /// `height * width` shares.
  package let values: [Float]

  /// Takes the brightness of a picture, black 0 and white 1, softened over a feather inside and outside of
  /// its edges.
  ///
  /// - Parameters:
  ///   - picture: Of any content.
  ///   - feather: Pixels over which an edge fades; farther away from white, all is 0.
  package init(_ picture: Frame, feather: Int) {
    size = picture.size
    var values = stride(from: 0, to: picture.pixels.count, by: 3).map { at -> Float in
      let sum = Int(picture.pixels[at]) + Int(picture.pixels[at + 1]) + Int(picture.pixels[at + 2])
      // Codecs leave black and white a little off.
      return max(0, min(1, (Float(sum) / 3 - 8) / 239))
    }
    if feather > 0 {
      values = BoxFilter.mean(values, width: size.width, height: size.height, radius: feather)
        // What rounding leaves of black.
        .map { $0 < 1 / 512 ? 0 : min(1, $0) }
    }
    self.values = values
  }

  /// The largest share in each cell of a grid that divides the picture evenly, row by row.
  package func maxima(rows: Int, columns: Int) -> [Float] {
    var result = [Float](repeating: 0, count: rows * columns)
    for y in 0..<size.height {
      let row = y * rows / size.height * columns
      for x in 0..<size.width {
        let cell = row + x * columns / size.width
        result[cell] = max(result[cell], values[y * size.width + x])
      }
    }
    return result
  }
}

/// Means over squares.
enum BoxFilter {
  /// The mean over a square around each pixel, edges repeated: rows, then columns.
  static func mean(_ values: [Float], width: Int, height: Int, radius: Int) -> [Float] {
    let across = line(values, lines: height, length: width, step: 1, next: width, radius)
    return line(across, lines: width, length: height, step: width, next: 1, radius)
  }

  private static func line(
    _ values: [Float], lines: Int, length: Int, step: Int, next: Int, _ radius: Int
  ) -> [Float] {
    var result = values
    let scale = 1 / Float(2 * radius + 1)
    values.withUnsafeBufferPointer { values in
      for line in 0..<lines {
        let start = line * next
        func value(_ index: Int) -> Float {
          values[start + max(0, min(length - 1, index)) * step]
        }
        var sum: Float = 0
        for index in -radius...radius { sum += value(index) }
        for index in 0..<length {
          result[start + index * step] = sum * scale
          sum += value(index + radius + 1) - value(index - radius)
        }
      }
    }
    return result
  }
}
