/// For how long each frame of an animated picture is shown, on a coarse clock.
struct FrameDelays {
  /// In units of the clock, each at least 1.
  let delays: [Int]
  /// Ticks of the clock in a second.
  let ticksPerSecond: Int

  /// How long the animation lasts, in seconds.
  var seconds: Double { Double(delays.reduce(0, +)) / Double(ticksPerSecond) }

  /// Frames a second, on average.
  var average: Double { Double(delays.count) / seconds }

  /// The rate that was meant; `nil` if frames begin at no usual rate's times.
  ///
  /// Encoders round times to the clock, and some make one frame of equal ones: the lowest usual rate is
  /// meant at which every frame begins with a frame.
  var frameRate: FrameRate? {
    let common = [1, 2, 3, 4, 5, 6, 8, 10, 12, 12.5, 15, 16, 18, 20, 24, 25, 30, 48, 50, 60]
    let others = (1...60).flatMap { [Double($0) - 0.5, Double($0), Double($0) * 1000 / 1001] }
    // The whole may be longer by a tick than its delays say.
    let lowest = average * seconds / (seconds + 1 / Double(ticksPerSecond))
    for tolerance in [0.51, 1] {
      for number in common + others where number >= lowest {
        if let rate = FrameRate(number), fits(rate, within: tolerance) { return rate }
      }
    }
    return nil
  }

  /// Whether every frame begins at one of a rate, within so many ticks.
  private func fits(_ rate: FrameRate, within tolerance: Double) -> Bool {
    let interval = Double(ticksPerSecond) * rate.seconds(ofFrame: 1)
    var start = 0.0
    for delay in delays {
      let distance = abs(start - (start / interval).rounded() * interval)
      guard distance <= tolerance, Double(delay) > interval / 2 else { return false }
      start += Double(delay)
    }
    return true
  }
}

/// Walks over the blocks of a GIF, as the GIF89a specification lays them out.
enum GIFBlocks {
  /// Calls `visit` with the label and the data of every part of an extension, and with ``image`` and
  /// nothing for every frame, until it returns false.
  static func walk(_ source: FileSource, _ visit: (UInt8, ArraySlice<UInt8>) -> Bool) {
    // Longer ones are not read: it would only cost memory.
    guard source.byteCount > 13, source.byteCount <= 1 << 28,
      source.bytes(at: 0, count: 4).elementsEqual("GIF8".utf8)
    else { return }
    let bytes = source.bytes(at: 0, count: source.byteCount)
    guard bytes.count > 13 else { return }
    func tableSize(_ flags: UInt8) -> Int { flags & 0x80 == 0 ? 0 : 3 << (Int(flags & 7) + 1) }
    var offset = 13 + tableSize(bytes[10])
    while offset + 1 < bytes.count {
      let label: UInt8
      switch bytes[offset] {
      case 0x21:
        label = bytes[offset + 1]
        offset += 2
      case image where offset + 9 < bytes.count:
        label = image
        guard visit(image, []) else { return }
        offset += 11 + tableSize(bytes[offset + 9])
      default: return
      }
      while offset < bytes.count, bytes[offset] != 0 {
        let end = offset + 1 + Int(bytes[offset])
        if label != image, end <= bytes.count {
          guard visit(label, bytes[offset + 1..<end]) else { return }
        }
        offset = end
      }
      offset += 1
    }
  }

  static let image: UInt8 = 0x2c
  static let comment: UInt8 = 0xfe
  private static let control: UInt8 = 0xf9

  /// The delays of a GIF's frames; `nil` if it has less than two.
  static func delays(_ source: FileSource) -> FrameDelays? {
    var delays: [Int] = []
    var next = 0
    walk(source) { label, data in
      if label == control, data.count >= 4 {
        next = PictureHeader.little(Array(data), 1, 2)
      } else if label == image {
        // Players show frames of no delay, or of the least, for a tenth of a second.
        delays.append(next < 2 ? 10 : next)
        next = 0
      }
      return true
    }
    return delays.count > 1 ? FrameDelays(delays: delays, ticksPerSecond: 100) : nil
  }
}
