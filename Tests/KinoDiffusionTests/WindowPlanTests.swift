import KinoDiffusion
import KinoTensor
import Testing

@Suite struct WindowPlanTests {
  @Test(arguments: [(1, 5, 2), (5, 5, 2), (6, 5, 2), (40, 9, 3), (41, 9, 8), (30, 7, 0), (3, 1, 0)])
  func `Windows cover the canvas once, each knowing what came before`(
    frames: Int, window: Int, overlap: Int
  ) throws {
    let plan = try WindowPlan(frames: frames, window: window, overlap: overlap)
    #expect(plan.windows.flatMap(\.new) == Array(0..<frames))
    #expect(plan.windows.allSatisfy { $0.frames.count == min(window, frames) })
    let known = plan.windows.map { $0.new.lowerBound - $0.frames.lowerBound }
    #expect(known.dropFirst().allSatisfy { $0 >= overlap })
    #expect(plan.windows.allSatisfy { !$0.new.isEmpty })
    #expect(known.dropFirst().dropLast().allSatisfy { $0 == overlap })
    #expect(known[0] == 0)
  }

  @Test(arguments: [
    (5, 5, 2, 2, 0), (12, 5, 2, 2, 0), (12, 5, 2, 6, 0), (12, 5, 2, 0, 2), (13, 5, 1, 0, 7),
    (7, 5, 1, 2, 1), (6, 5, 1, 2, 1), (30, 5, 2, 2, 1), (31, 9, 3, 4, 4), (4, 5, 2, 1, 2),
    (9, 3, 2, 1, 1), (3, 1, 0, 1, 1),
  ])
  func `Windows go from what is known to what is not, and see it`(
    frames: Int, window: Int, overlap: Int, start: Int, end: Int
  ) throws {
    let plan = try WindowPlan(
      frames: frames, window: window, overlap: overlap, knownAtStart: start, atEnd: end)
    var known = Set(0..<start).union(frames - end..<frames)
    for (number, part) in plan.windows.enumerated() {
      #expect(0..<frames ~= part.frames.lowerBound && part.frames.upperBound <= frames)
      #expect(part.frames.count <= window + 1 && !part.new.isEmpty)
      #expect(known.isDisjoint(with: part.new) && part.frames.clamped(to: part.new) == part.new)
      // All that it does not add is known, or comes later on a canvas known at neither end.
      #expect(part.frames.allSatisfy { known.contains($0) || part.new.contains($0) })
      if number > 0 || start + end > 0, overlap > 0 {
        #expect(part.frames.contains { known.contains($0) })
      }
      if number == plan.windows.count - 1, start > 0, end > 0, overlap > 0 {
        // The last one sees both sides.
        #expect(known.contains(part.new.lowerBound - 1) && known.contains(part.new.upperBound))
        #expect(part.frames.contains(part.new.lowerBound - 1))
        #expect(part.frames.contains(part.new.upperBound))
      }
      known.formUnion(part.new)
    }
    #expect(known == Set(0..<frames))
  }

  @Test func `Numbers that do not fit are refused`() {
    for (frames, window, overlap) in [
      (0, 5, 1), (5, 0, 0), (5, 3, 3), (5, 3, -1), (-2, 3, 1), (.max, 1, 0),
    ] {
      #expect(throws: DiffusionError.self) {
        try WindowPlan(frames: frames, window: window, overlap: overlap)
      }
    }
    for (start, end) in [(5, 0), (0, 5), (2, 3), (-1, 0), (0, -1), (.max, .max)] {
      #expect(throws: DiffusionError.self) {
        try WindowPlan(frames: 5, window: 3, overlap: 1, knownAtStart: start, atEnd: end)
      }
    }
  }

  @Test func `A window of a canvas keeps what was finished and the canvas's own known frames`()
    throws
  {
    let shape = try LatentShape.small(frames: 8)
    let clip = shape.latents(seed: 1)
    let canvas = try Canvas.keyframes(
      [0: clip.slice(1, 0..<1), 7: clip.slice(1, 7..<8)], in: shape
    )
    .with(prompts: [
      PromptStretch(frames: 0..<4, prompt: 0), PromptStretch(frames: 4..<8, prompt: 1),
    ])
    let plan = try WindowPlan(frames: 8, window: 5, overlap: 2)
    let first = try canvas.window(plan.windows[0].frames)
    #expect(first.shape.frames == 5 && first.promptPerFrame == [0, 0, 0, 0, 1])
    let finished = [3: clip.slice(1, 3..<4), 4: clip.slice(1, 4..<5), 1: clip.slice(1, 1..<2)]
    let second = try canvas.window(plan.windows[1].frames, finished: finished)
    let levels = (0..<5).map { second.tokenLevels[$0 * shape.tokensPerFrame] }
    #expect(levels == [0, 0, 1, 1, 0])
    #expect(second.content?.slice(1, 0..<2).floats() == clip.slice(1, 3..<5).floats())
    #expect(second.content?.slice(1, 4..<5).floats() == clip.slice(1, 7..<8).floats())
    #expect(second.promptPerFrame == [0, 1, 1, 1, 1])
    // What was made may be shown with noise; what the canvas itself keeps stays exact.
    let all = finished.merging([7: clip.slice(1, 7..<8)]) { a, _ in a }
    let noisy = try canvas.window(plan.windows[1].frames, finished: all, at: 0.2)
    #expect((0..<5).map { noisy.tokenLevels[$0 * shape.tokensPerFrame] } == [0.2, 0.2, 1, 1, 0])
    #expect(throws: DiffusionError.self) { try canvas.window(3..<8, at: 1.5) }
    #expect(throws: DiffusionError.self) { try canvas.window(3..<8, finished: [3: clip]) }
    for bad in [4..<9, -1..<3, 2..<2] {
      #expect(throws: DiffusionError.self) { try canvas.window(bad) }
    }
  }

  @Test func `A free canvas in windows needs no content of its own`() throws {
    let canvas = try Canvas.free(.small(frames: 8))
    let plan = try WindowPlan(frames: 8, window: 5, overlap: 2)
    let frame = Tensor.ones([3, 1, 4, 6])
    let second = try canvas.window(plan.windows[1].frames, finished: [3: frame, 4: frame])
    #expect(second.tokenLevels.count { $0 > 0 } == 3 * 6)
  }
}
