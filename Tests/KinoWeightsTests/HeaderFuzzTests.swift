import Foundation
import Testing

@testable import KinoWeights

/// The same mutations on every run.
struct CountingGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

struct HeaderFuzzTests {
  private static let seed = Array(
    ("{\"__metadata__\":{\"format\":\"pt\",\"ключ\":\"\\u00e9\"},"
      + entry("a.weight", "F32", [2, 3], [0, 24])
      + "," + entry("a.bias", "BF16", [4], [24, 32]) + "," + entry("e", "I64", [0], [32, 32]) + ","
      + entry("s", "BOOL", [], [32, 33]) + "}").utf8)
  private static let dataLength = 33
  private static let fragments = [
    "{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "\\ud800", "-", "0", "9", "00", "1e9", ".5",
    "null",
    "true", "9223372036854775807", "18446744073709551616", "\u{0}", "\u{e9}", "\"shape\":",
    "\"dtype\":",
    "\"data_offsets\":[0,0]", "\"F8_E4M3\"", "\"a.bias\":{", "\"__metadata__\":{}", ",,", "[[[[",
    "{{{{",
  ].map { Array($0.utf8) }

  private static func mutated(_ generator: inout CountingGenerator) -> [UInt8] {
    var bytes = seed
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let position = Int.random(in: 0...bytes.count, using: &generator)
      let end = min(bytes.count, position + Int.random(in: 0...12, using: &generator))
      switch Int.random(in: 0..<6, using: &generator) {
      case 0 where position < bytes.count:
        bytes[position] = UInt8.random(in: 0...255, using: &generator)
      case 1 where position < bytes.count:
        bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 2: bytes.removeSubrange(position..<end)
      case 3:
        bytes.insert(
          contentsOf: bytes[position..<end], at: Int.random(in: 0...position, using: &generator))
      case 4:
        bytes.insert(contentsOf: fragments.randomElement(using: &generator) ?? [], at: position)
      default:
        bytes.replaceSubrange(
          position..<end, with: fragments.randomElement(using: &generator) ?? [])
      }
    }
    return bytes
  }

  @Test func `no header crashes the parser, and what it accepts tiles the data`() throws {
    var generator = CountingGenerator(state: 1)
    var (accepted, refused) = (0, 0)
    var slowest = Duration.zero
    for _ in 0..<20_000 {
      let json = Self.mutated(&generator)
      let length =
        Bool.random(using: &generator)
        ? Self.dataLength : Int.random(in: 0...64, using: &generator)
      let start = ContinuousClock.now
      do {
        let header = try SafetensorsHeader(json: json, dataLength: length, path: "fuzz")
        try check(header, dataLength: length)
        accepted += 1
      } catch {
        #expect(error is WeightsError)
        refused += 1
      }
      slowest = max(slowest, start.duration(to: .now))
    }
    #expect(accepted > 100)
    #expect(refused > 10_000)
    #expect(slowest < .milliseconds(500), "even on a machine under load")
  }

  private func check(_ header: SafetensorsHeader, dataLength: Int) throws {
    var cursor = 0
    for (tensor, range) in zip(header.tensors, header.ranges) {
      try #require(range.lowerBound == cursor && range.upperBound <= dataLength)
      try #require(tensor.shape.reduce(tensor.type.blockByteCount, *) == range.count)
      try #require(header.indices[tensor.name].map { header.tensors[$0] } == tensor)
      cursor = range.upperBound
    }
    try #require(cursor == dataLength && header.indices.count == header.tensors.count)
  }

  @Test func `no file crashes the reader`() throws {
    let folder = try TemporaryFolder()
    var generator = CountingGenerator(state: 2)
    let data = Array(repeating: UInt8(1), count: Self.dataLength)
    let whole = safetensors(Self.seed, data: data)
    var refused = 0
    for _ in 0..<600 {
      var bytes = whole
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
      case 1:
        bytes[Int.random(in: 0..<8, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      default: bytes = safetensors(Self.mutated(&generator), data: data)
      }
      let url = try folder.write(bytes)
      do {
        let file = try SafetensorsFile(at: url)
        for tensor in file.tensors {
          #expect(try file.bytes(tensor.name).count == tensor.byteCount)
        }
      } catch {
        #expect(error is WeightsError)
        refused += 1
      }
    }
    #expect(300..<600 ~= refused)
  }

  @Test func `random bytes are never a header`() {
    var generator = CountingGenerator(state: 3)
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      #expect(throws: WeightsError.self) {
        try SafetensorsHeader(json: [0x7B] + bytes, dataLength: 0, path: "fuzz")
      }
    }
  }
}
