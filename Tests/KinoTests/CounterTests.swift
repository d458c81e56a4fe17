import Foundation
import KinoTestSupport
import Testing

@testable import Kino

/// Clips whose frames tell their number, through every verb and a file: no frame is lost, doubled or moved.
@Suite struct CounterTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  /// Frames that show their number as eight black or white squares of 8x8, the lowest bit first.
  static func clip(_ numbers: some Sequence<Int>, rate: Double = 12) -> Clip {
    Clip(
      frames: numbers.map { number in
        var frame = Frame(
          width: 64, height: 64, color: Color(red: 90, green: UInt8(60 + number % 100), blue: 120))
        for bit in 0..<8 {
          let color = number >> bit & 1 == 1 ? Color.white : .black
          frame.draw(Frame(width: 8, height: 8, color: color), x: bit * 8, y: 0)
        }
        return frame
      }, framesPerSecond: rate)
  }

  /// The numbers that frames show.
  static func numbers(_ clip: Clip) -> [Int] {
    clip.frames.map { frame in
      (0..<8).reduce(0) { number, bit in
        var sum = 0
        for y in 2..<6 { for x in 2..<6 { sum += Int(frame[x: bit * 8 + x, y: y].green) } }
        return number + (sum > 16 * 128 ? 1 << bit : 0)
      }
    }
  }

  private func file(
    _ numbers: some Sequence<Int>, _ name: String = "source.mp4", rate: Double = 12
  ) throws -> String {
    try Self.clip(numbers, rate: rate).write(to: folder.path(name))
    return folder.path(name)
  }

  /// Writes what a composition makes, and reads it back.
  private func made(_ composition: Composition, _ name: String = "made.mp4") async throws -> Clip {
    var settings = request().settings
    settings.stepCount = 1
    let path = folder.path(name)
    let events = try await folder.studio().events(
      of: composition, settings, writingTo: path, WriteOptions(overwrite: true))
    for try await _ in events {}
    return try Clip.read(path)
  }

  @Test func `Extending twice, and at both ends, keeps every frame once`() async throws {
    let source = try file(0..<12)
    let once = try await made(.extend(source, by: 0.5, .after), "once.mp4")
    #expect(once.frameCount == 18 && Self.numbers(once[0..<12]) == Array(0..<12))
    let twice = try await made(.extend(folder.path("once.mp4"), by: 0.5, .after), "twice.mp4")
    #expect(twice.frameCount == 24 && Self.numbers(twice[0..<12]) == Array(0..<12))
    // The frames of the first extension are there too, as they were.
    for index in 12..<18 { #expect(twice[index].difference(from: once[index]) < 6) }
    let both = try await made(.extend(folder.path("twice.mp4"), by: 0.5, .before))
    #expect(both.frameCount == 30 && Self.numbers(both[6..<18]) == Array(0..<12))
  }

  @Test func `Loops and connections keep every frame once`() async throws {
    let first = try file(0..<12)
    let second = try file(20..<32, "second.mp4")
    let loop = try await made(.loop(first, by: 0.5))
    #expect(loop.frameCount == 18 && Self.numbers(loop[0..<12]) == Array(0..<12))
    let connected = try await made(.connect(first, second, by: 0.5))
    #expect(connected.frameCount == 30)
    #expect(Self.numbers(connected[0..<12]) == Array(0..<12))
    #expect(Self.numbers(connected[18...]) == Array(20..<32))
  }

  @Test(
    arguments: [
      (0.5, 1.0), (0.01, 0.02), (0.3, 0.9), (1.04, 1.96), (nil, 0.04), (0.95, nil), (1.5, 2),
    ] as [(Double?, Double?)])
  func `An edit between any two times keeps what is around it`(
    from: Double?, to: Double?
  ) async throws {
    let edited = try await made(
      .edit(file(0..<24), "a cube", strength: 1, from: from, to: to))
    #expect(edited.frameCount == 24)
    let first = Int(((from ?? 0) * 12).rounded())
    let last = max(first + 1, Int(((to ?? 2) * 12).rounded()))
    let numbers = Self.numbers(edited)
    #expect(Array(numbers[..<first]) == Array(0..<first))
    #expect(Array(numbers[last...]) == Array(last..<24))
  }

  @Test func `What a mask keeps is at its time`() async throws {
    var mask = Frame(width: 64, height: 64, color: .black)
    mask.draw(Frame(width: 32, height: 32, color: .white), x: 16, y: 24)
    try mask.write(to: folder.path("mask.png"))
    let composition = Composition.edit(
      try file(0..<37), "a cube", strength: 1, mask: folder.path("mask.png"))
    // Longer than the model's windows.
    #expect(Self.numbers(try await made(composition)) == Array(0..<37))
    let kept = try await made(.edit(folder.path("source.mp4"), "a cube", strength: 0))
    #expect(Self.numbers(kept) == Array(0..<37))
  }

  @Test func `Reversing, and another rate, keep the order of time`() async throws {
    let source = try file(0..<24)
    #expect(Self.numbers(try await made(.reverse(source))) == (0..<24).reversed())
    var faster = Composition.extend(source, by: 0.5)
    faster.framesPerSecond = 24
    let clip = try await made(faster)
    #expect(clip.framesPerSecond == 24 && clip.frameCount == 60)
    #expect(Self.numbers(clip[0..<48]) == (0..<48).map { $0 / 2 })
    var slower = Composition.reverse(source)
    slower.framesPerSecond = 6
    #expect(try await made(slower).frameCount == 12)
  }

  @Test func `Frames of a source are written finer than new ones`() async throws {
    var grain = Grain()
    let clip = Clip(
      frames: (0..<12).map { _ in Frame(width: 64, height: 64, pixels: grain.bytes(64 * 64 * 3)) },
      framesPerSecond: 12)
    let source = folder.path("noise.mp4")
    try clip.write(to: source, WriteOptions(crf: 2))
    let original = try Clip.read(source)
    func loss(_ crf: Double?) async throws -> Double {
      let path = folder.path("reversed-\(crf ?? -1).mp4")
      for try await _ in try await folder.studio().events(
        of: .reverse(source), writingTo: path, WriteOptions(crf: crf))
      {}
      return zip(try Clip.read(path).frames.reversed(), original.frames)
        .reduce(0) { $0 + $1.0.difference(from: $1.1) }
    }
    // What is asked for counts, also where it is the usual number.
    #expect(try await loss(nil) < 0.8 * loss(18))
  }

  @Test func `Every verb keeps 30000/1001 frames per second`() async throws {
    let rate = FrameRate(30000, 1001)
    let source = try file(0..<30, rate: rate.framesPerSecond)
    let all = Array(0..<30)
    let extended = try await made(.extend(source, by: 0.5))
    #expect(extended.frameRate == rate && Self.numbers(extended[0..<30]) == all)
    let looped = try await made(.loop(source, by: 0.5))
    #expect(looped.frameRate == rate && Self.numbers(looped[0..<30]) == all)
    let reversed = try await made(.reverse(source))
    #expect(reversed.frameRate == rate && Self.numbers(reversed) == all.reversed())
    let edited = try await made(.edit(source, "a cube", strength: 1, from: 0.3, to: 0.7))
    #expect(edited.frameRate == rate && edited.frameCount == 30)
    #expect(Self.numbers(edited[0..<9]) == Array(0..<9))
    #expect(Self.numbers(edited[21...]) == Array(21..<30))
    let connected = try await made(.connect(source, source, by: 0.5))
    #expect(connected.frameRate == rate && connected.frameCount == 75)
    #expect(Self.numbers(connected[45...]) == all)
  }
}

/// The same grey and coloured grain every time.
private struct Grain {
  var state: UInt64 = 1

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(96 + (state >> 58))
    }
  }
}
