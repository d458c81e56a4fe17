import Foundation
import KinoTensor
import Testing

struct RandomSourceTests {
  /// The published answers of Philox 4x32-10 (Random123's kat_vectors).
  @Test func `Blocks are those of Philox 4x32-10`() {
    #expect(
      RandomSource.block(seed: 0, draw: 0, index: 0)
        == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    #expect(
      RandomSource.block(seed: .max, draw: .max, index: .max)
        == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
    #expect(
      RandomSource.block(
        seed: 0x299f_31d0_a409_3822, draw: 0x0370_7344_1319_8a2e, index: 0x85a3_08d3_243f_6a88)
        == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
  }

  private func words(_ count: Int, seed: UInt64, draw: UInt64) -> [UInt32] {
    let blocks = (0..<(count + 3) / 4).flatMap {
      RandomSource.block(seed: seed, draw: draw, index: UInt64($0))
    }
    return Array(blocks.prefix(count))
  }

  @Test func `Uniform numbers are the upper 24 bits`() {
    var source = RandomSource(seed: 9, drawCount: 4)
    let expected = words(11, seed: 9, draw: 4).map { Float($0 >> 8) / 16_777_216 }
    #expect(source.uniform([11]).floats() == expected)
  }

  @Test func `Normal numbers are pairs by Box and Muller`() {
    var source = RandomSource(seed: 9)
    let halves = words(10, seed: 9, draw: 0).map { (Double($0) + 0.5) / 4_294_967_296 }
    let expected = stride(from: 0, to: 10, by: 2).flatMap { index in
      let radius = (-2 * log(halves[index])).squareRoot()
      let angle = 2 * Double.pi * halves[index + 1]
      return [Float(radius * cos(angle)), Float(radius * sin(angle))]
    }
    for (found, wanted) in zip(source.normal([2, 5]).floats(), expected) {
      #expect(abs(found - wanted) <= 1e-6)
    }
  }

  @Test func `Moments are those of the distributions`() {
    var source = RandomSource(seed: 2026)
    let count = 400_000
    let normal = source.normal([count]).cast(to: .float64)
    // Five standard errors.
    #expect(abs(normal.mean().item()) < 5 / Double(count).squareRoot())
    #expect(abs(normal.variance().item() - 1) < 5 * (2 / Double(count)).squareRoot())
    #expect(abs(normal.power(3).mean().item()) < 5 * (15 / Double(count)).squareRoot())
    #expect(abs(normal.power(4).mean().item() - 3) < 5 * (96 / Double(count)).squareRoot())
    let uniform = source.uniform([count]).cast(to: .float64)
    #expect(abs(uniform.mean().item() - 0.5) < 5 * (1 / 12 / Double(count)).squareRoot())
    #expect(abs(uniform.variance().item() - 1.0 / 12) < 5 * (1 / 180 / Double(count)).squareRoot())
    #expect(uniform.min().item() >= 0 && uniform.max().item() < 1)
    let other = source.normal([count]).cast(to: .float64)
    #expect(abs((normal * other).mean().item()) < 5 / Double(count).squareRoot())
  }

  @Test func `Numbers do not depend on the thread count`() {
    let before = Engine.threadCount
    defer { Engine.threadCount = before }
    let draws = [1, 2, 3].map { threads in
      Engine.threadCount = threads
      var source = RandomSource(seed: 5)
      return source.normal([100_003]).floats() + source.uniform([70_001]).floats()
    }
    #expect(draws[0] == draws[1] && draws[0] == draws[2])
  }

  @Test func `A longer draw starts like a shorter one`() {
    var (short, long) = (RandomSource(seed: 8), RandomSource(seed: 8))
    #expect(long.normal([3, 100]).floats().prefix(7) == short.normal([7]).floats()[...])
  }

  @Test func `Copies fork and stored counts resume`() throws {
    var source = RandomSource(seed: 77)
    _ = source.normal([3])
    var fork = source
    let data = try JSONEncoder().encode(source)
    let first = source.normal([5]).floats()
    #expect(fork.normal([5]).floats() == first)
    var restored = try JSONDecoder().decode(RandomSource.self, from: data)
    #expect(restored.drawCount == 1 && restored.normal([5]).floats() == first)
    var counted = RandomSource(seed: 77, drawCount: 1)
    #expect(counted.normal([5]).floats() == first)
    #expect(source.normal([5]).floats() != first)
    var other = RandomSource(seed: 78, drawCount: 1)
    #expect(other.normal([5]).floats() != first)
  }

  @Test func `Integers cover their range evenly`() {
    var source = RandomSource(seed: 4)
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<5000 { counts[source.integer(below: 5)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 1000) < 150 })
    #expect(source.integer(below: 1) == 0)
  }
}
