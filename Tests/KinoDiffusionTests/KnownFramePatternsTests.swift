import KinoDiffusion
import KinoTensor
import Testing

@Suite struct KnownFramePatternsTests {
  func draw(_ patterns: KnownFramePatterns, frames: Int, count: Int = 2000) throws -> [[Bool]] {
    var random = RandomSource(seed: 4)
    return try (0..<count).map { _ in try patterns.known(frames: frames, from: &random) }
  }

  @Test(arguments: 1...9)
  func `at least one frame is left to predict, and an image has none known`(frames: Int) throws {
    let patterns = try draw(KnownFramePatterns(), frames: frames, count: 500)
    #expect(patterns.allSatisfy { $0.count == frames && $0.contains(false) })
    if frames == 1 { #expect(patterns.allSatisfy { $0 == [false] }) }
  }

  @Test func `kinds come as often as their weights say`() throws {
    let weights = KnownFramePatterns(none: 5, first: 2.5, last: 1.5, ends: 1, subset: 0)
    let patterns = try draw(weights, frames: 7)
    func share(_ condition: ([Bool]) -> Bool) -> Double {
      Double(patterns.count(where: condition)) / Double(patterns.count)
    }
    #expect(abs(share { !$0.contains(true) } - 0.5) < 0.04)
    #expect(abs(share { $0[0] && !$0[6] } - 0.25) < 0.04)
    #expect(abs(share { !$0[0] && $0[6] } - 0.15) < 0.03)
    #expect(abs(share { $0[0] && $0[6] } - 0.1) < 0.03)
    let runs = patterns.map { pattern in zip(pattern, pattern.dropFirst()).count { $0 != $1 } }
    #expect(runs.allSatisfy { $0 <= 2 })
  }

  @Test func `every length and every subset occurs, short stretches more often`() throws {
    let first = try draw(
      KnownFramePatterns(none: 0, first: 1, last: 0, ends: 0, subset: 0), frames: 5)
    let lengths = first.map { $0.count(where: \.self) }
    #expect(Set(lengths) == [1, 2, 3, 4])
    #expect(lengths.count { $0 == 1 } > lengths.count { $0 == 4 })
    #expect(first.allSatisfy { $0[0] })
    let subsets = try draw(
      KnownFramePatterns(none: 0, first: 0, last: 0, ends: 0, subset: 1), frames: 4)
    #expect(Set(subsets).count == 14)
    let ends = try draw(
      KnownFramePatterns(none: 0, first: 0, last: 0, ends: 1, subset: 0), frames: 5)
    #expect(Set(ends).count == 6)
    #expect(ends.allSatisfy { $0[0] && $0[4] })
  }

  @Test func `a pattern is one draw and depends on the source alone`() throws {
    var (a, b) = (RandomSource(seed: 1), RandomSource(seed: 1))
    for _ in 0..<50 {
      #expect(
        try KnownFramePatterns().known(frames: 6, from: &a)
          == KnownFramePatterns().known(frames: 6, from: &b))
    }
    #expect(a.drawCount == 50)
  }

  @Test func `bad weights are refused`() {
    var random = RandomSource(seed: 1)
    for weight in [-1, .nan, .infinity] {
      #expect(throws: DiffusionError.self) {
        try KnownFramePatterns(none: weight).known(frames: 3, from: &random)
      }
    }
    #expect(throws: DiffusionError.self) {
      try KnownFramePatterns(none: 0, first: 0, last: 0, ends: 0, subset: 0)
        .known(frames: 3, from: &random)
    }
    #expect(throws: DiffusionError.self) {
      try KnownFramePatterns().known(frames: 0, from: &random)
    }
  }
}
