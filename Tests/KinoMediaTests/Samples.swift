import Foundation
import KinoMedia
// For every file of this module.
@_exported import KinoTestSupport
import Testing

/// Pictures and clips made by arithmetic, and a place to write them.
enum Samples {
  /// A coloured gradient that moves by a few pixels a frame.
  static func clip(
    width: Int = 64, height: Int = 48, frameCount: Int = 12, framesPerSecond: Double = 16
  ) -> Clip {
    let frames = (0..<frameCount).map { frame(width: width, height: height, phase: $0) }
    return Clip(frames: frames, framesPerSecond: framesPerSecond)
  }

  static func frame(width: Int = 64, height: Int = 48, phase: Int = 0) -> Frame {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        let wave = sin(Double(x + 2 * phase) / 9) * cos(Double(y - phase) / 11)
        pixels.append(UInt8(127.5 + 120 * wave))
        pixels.append(UInt8(255 * x / max(1, width - 1)))
        pixels.append(UInt8(255 * y / max(1, height - 1)))
      }
    }
    return Frame(width: width, height: height, pixels: pixels)
  }

  static func fixture(_ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
    return folder.appendingPathComponent(name).path
  }
}

/// The folder of a test; media files are named by paths.
typealias Folder = TemporaryFolder

extension Folder {
  var path: String { url.path }

  func file(_ name: String) -> String { self[name].path }

  func write(_ bytes: [UInt8], as name: String) throws -> String { try write(bytes, name).path }
}

/// A small generator, so that damage is the same in every run.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
