/// Carries an original over to later frames of a network where nothing has moved since.
///
/// A network's copy of a frame is softer than the frame, and its colours wander from frame to frame. Where
/// a later frame looks like the copy, nothing has moved, and the original itself belongs there; where they
/// differ, something has moved, and the later frame stays as it is. So still parts of a scene run on from
/// an original without a seam, pixel for pixel, also through a chain of clips that go on from each other,
/// and nothing that moves leaves a ghost.
package struct DetailTransfer: Sendable {
  private let original: Frame
  private let copy: Frame
  /// Pixels over which the weight of a change is spread.
  private let radius: Int

  /// Differences of up to the first number are the copies' own noise; from the second on, something moved.
  private static let change: (least: Float, most: Float) = (4, 14)

  /// Compares an original and its copy, of one size.
  ///
  /// - Parameters:
  ///   - original: The frame.
  ///   - copy: What the network made of it.
  ///   - scale: Pixels of the frames to one of the network's.
  package init(original: Frame, copy: Frame, scale: Double = 1) {
    precondition(
      original.size == copy.size, "DetailTransfer: frames of \(original.size) and \(copy.size)")
    self.original = original
    self.copy = copy
    radius = max(1, Int((scale * 1.5).rounded()))
  }

  /// How much of the original each pixel of a later frame takes: 1 where nothing has moved, 0 where it has.
  package func weights(for other: Frame) -> [Float] {
    precondition(
      other.size == copy.size, "DetailTransfer: frames of \(other.size) and \(copy.size)")
    var difference = [Float](repeating: 0, count: copy.width * copy.height)
    copy.pixels.withUnsafeBufferPointer { first in
      other.pixels.withUnsafeBufferPointer { second in
        for pixel in difference.indices {
          var most: Int32 = 0
          for channel in pixel * 3..<pixel * 3 + 3 {
            most = max(most, abs(Int32(first[channel]) - Int32(second[channel])))
          }
          difference[pixel] = Float(most)
        }
      }
    }
    let (least, most) = Self.change
    let still = blurred(difference).map { max(0, min(1, (most - $0) / (most - least))) }
    // Towards what moves the weight falls early: an edge of detail would be a ghost.
    return blurred(still).map { max(0, 2 * $0 - 1) }
  }

  /// Adds what a later frame lacks of the original.
  ///
  /// - Parameters:
  ///   - other: A frame of the same size.
  ///   - strength: How much of it, 0...1.
  ///   - sum: Numbers to add to the bytes of the frame.
  package func add(to other: Frame, strength: Double, into sum: inout [Float]) {
    if strength <= 0 { return }
    let weights = weights(for: other)
    original.pixels.withUnsafeBufferPointer { originals in
      other.pixels.withUnsafeBufferPointer { others in
        for pixel in weights.indices {
          let weight = weights[pixel] * Float(strength)
          if weight == 0 { continue }
          for channel in pixel * 3..<pixel * 3 + 3 {
            sum[channel] += weight * (Float(originals[channel]) - Float(others[channel]))
          }
        }
      }
    }
  }

  private func blurred(_ values: [Float]) -> [Float] {
    BoxFilter.mean(values, width: copy.width, height: copy.height, radius: radius)
  }
}

extension Frame {
  /// The mean difference of the bytes of two frames of one size.
  package func difference(from other: Frame) -> Double {
    precondition(size == other.size, "Frame: comparing \(size) and \(other.size)")
    var sum = 0
    pixels.withUnsafeBufferPointer { first in
      other.pixels.withUnsafeBufferPointer { second in
        for index in first.indices { sum += abs(Int(first[index]) - Int(second[index])) }
      }
    }
    return Double(sum) / Double(pixels.count)
  }

  /// Adds numbers to the bytes, rounded and limited.
  package func adding(_ numbers: [Float]) -> Frame {
    precondition(numbers.count == pixels.count, "Frame: \(numbers.count) numbers for \(size)")
    return Frame(
      width: width, height: height,
      pixels: zip(pixels, numbers).map {
        UInt8(max(0, min(255, (Float($0) + $1).rounded())))
      })
  }

  /// Mixes two frames of one size: `share` of the other, 0...1.
  package func mixed(with other: Frame, _ share: Double) -> Frame {
    precondition(size == other.size, "Frame: mixing \(size) and \(other.size)")
    let part = Int32((share * 256).rounded())
    return Frame(
      width: width, height: height,
      pixels: zip(pixels, other.pixels).map {
        UInt8((Int32($0) * (256 - part) + Int32($1) * part + 128) >> 8)
      })
  }

  /// Lays a frame over this one where a mask is bright, of one size all three.
  ///
  /// Pixels where the mask is black stay as they are, to the bit.
  package func covered(by other: Frame, where mask: PixelMask) -> Frame {
    precondition(size == other.size && size == mask.size, "Frame: covering \(size)")
    var result = pixels
    for pixel in mask.values.indices {
      let share = mask.values[pixel]
      if share == 0 { continue }
      for channel in pixel * 3..<pixel * 3 + 3 {
        let (old, new) = (Float(pixels[channel]), Float(other.pixels[channel]))
        result[channel] = UInt8((old + (new - old) * share).rounded())
      }
    }
    return Frame(width: width, height: height, pixels: result)
  }
}
