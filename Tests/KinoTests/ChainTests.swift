import Foundation
import KinoTestSupport
import Testing

@testable import Kino

/// Verbs on what verbs have made, time after time.
@Suite struct ChainTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  /// Six flat patches of pale and strong colours, moving by a pixel a frame.
  private static let colors = [
    Color(red: 200, green: 30, blue: 30), Color(red: 30, green: 160, blue: 60),
    Color(red: 40, green: 60, blue: 190), Color(red: 128, green: 128, blue: 128),
    Color(red: 240, green: 220, blue: 180), Color(red: 16, green: 18, blue: 20),
  ]

  private static func patches(_ count: Int) -> Clip {
    Clip(
      frames: (0..<count).map { index in
        var frame = Frame(width: 64, height: 64, color: Color(red: 90, green: 100, blue: 110))
        for (place, color) in colors.enumerated() {
          frame.draw(
            Frame(width: 16, height: 16, color: color), x: 2 + place % 3 * 20 + index / 4,
            y: 4 + place / 3 * 32)
        }
        return frame
      }, framesPerSecond: 8)
  }

  /// The mean colour inside a patch.
  private static func mean(_ frame: Frame, patch: Int, at index: Int) -> [Double] {
    var sums = [0.0, 0, 0]
    for y in 4..<12 {
      for x in 4..<12 {
        let color = frame[x: 2 + patch % 3 * 20 + index / 4 + x, y: 4 + patch / 3 * 32 + y]
        sums[0] += Double(color.red)
        sums[1] += Double(color.green)
        sums[2] += Double(color.blue)
      }
    }
    return sums.map { $0 / 64 }
  }

  private func made(_ composition: Composition, _ name: String, crf: Double = 18) async throws
    -> String
  {
    var settings = request().settings
    settings.stepCount = 1
    let path = folder.path(name)
    let events = try await folder.studio().events(
      of: composition, settings, writingTo: path, WriteOptions(crf: crf, overwrite: true))
    for try await _ in events {}
    return path
  }

  @Test func `After eight extensions every frame is what it was after the first`() async throws {
    var path = folder.path("0.mp4")
    try Self.patches(12).write(to: path)
    let first = try Clip.read(path)
    for round in 1...8 {
      let last = try Clip.read(path)
      path = try await made(
        .extend(path, by: 0.5, round % 3 == 0 ? .before : .after), "\(round).mp4")
      let longer = try Clip.read(path)
      #expect(longer.frameCount == last.frameCount + 4)
      let start = round % 3 == 0 ? 4 : 0
      #expect(longer[start..<start + last.frameCount] == last, "extension \(round)")
    }
    let chained = try Clip.read(path)
    for index in 0..<12 {
      for patch in Self.colors.indices {
        let (old, new) = (
          Self.mean(first[index], patch: patch, at: index),
          Self.mean(chained[8 + index], patch: patch, at: index)
        )
        #expect(zip(old, new).allSatisfy { abs($0 - $1) <= 3 })
      }
    }
  }

  @Test func `Loops and connections of a connection keep its frames`() async throws {
    let a = folder.path("a.mp4")
    try Self.patches(6).write(to: a)
    let joined = try await made(.connect(a, a, by: 0.5), "joined.mp4")
    let clip = try Clip.read(joined)
    #expect(try clip[0..<6] == Clip.read(a) && clip[10...] == Clip.read(a))
    let looped = try Clip.read(try await made(.loop(joined, by: 0.5), "looped.mp4"))
    #expect(looped[0..<16] == clip)
  }

  @Test func `Another quality keeps stored frames too`() async throws {
    let a = folder.path("a.mp4")
    try Self.patches(6).write(to: a)
    let low = try await made(.extend(a, by: 0.5), "low.mp4", crf: 35)
    #expect(try Clip.read(low)[0..<6] == Clip.read(a))
  }

  @Test func `A damaged clip is encoded anew, and said to be damaged`() async throws {
    let path = folder.path("damaged.mp4")
    try Self.patches(24).write(to: path)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    // In the middle of the pictures, which come last.
    for offset in stride(from: bytes.count * 3 / 4, to: bytes.count - 8, by: 7) {
      bytes[offset] ^= 0x55
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let longer = try Clip.read(try await made(.extend(path, by: 0.5), "longer.mp4"))
    let read = try Clip.read(path)
    #expect(longer.frameCount == read.frameCount + 4)
    for index in 0..<read.frameCount { #expect(longer[index].difference(from: read[index]) < 8) }
  }
}
