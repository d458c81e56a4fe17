import KinoDiffusion
import KinoTensor
import Testing

@Suite struct WindowPlanTests {
  @Test(arguments: [(1, 5, 2), (5, 5, 2), (6, 5, 2), (40, 9, 3), (41, 9, 8), (30, 7, 0), (3, 1, 0)])
  func `windows cover the canvas once, each knowing what came before`(
    frames: Int, window: Int, overlap: Int
  ) throws {
    let plan = try WindowPlan(frames: frames, window: window, overlap: overlap)
    #expect(plan.windows.flatMap(\.new) == Array(0..<frames))
    #expect(plan.windows.allSatisfy { $0.frames.count == min(window, frames) })
    #expect(plan.windows.dropFirst().allSatisfy { $0.known >= overlap && !$0.new.isEmpty })
    #expect(plan.windows.dropFirst().dropLast().allSatisfy { $0.known == overlap })
    #expect(plan.windows[0].known == 0)
  }

  @Test func `numbers that do not fit are refused`() {
    for (frames, window, overlap) in [
      (0, 5, 1), (5, 0, 0), (5, 3, 3), (5, 3, -1), (-2, 3, 1), (.max, 1, 0),
    ] {
      #expect(throws: DiffusionError.self) {
        try WindowPlan(frames: frames, window: window, overlap: overlap)
      }
    }
  }

  @Test func `a window of a canvas keeps what was finished and the canvas's own known frames`()
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
    let first = try canvas.window(plan.windows[0])
    #expect(first.shape.frames == 5 && first.promptPerFrame == [0, 0, 0, 0, 1])
    let finished = clip.slice(1, 3..<5)
    let second = try canvas.window(plan.windows[1], finished: finished)
    let levels = (0..<5).map { second.tokenLevels[$0 * shape.tokensPerFrame] }
    #expect(levels == [0, 0, 1, 1, 0])
    #expect(second.content?.slice(1, 0..<2).floats() == finished.floats())
    #expect(second.content?.slice(1, 4..<5).floats() == clip.slice(1, 7..<8).floats())
    #expect(second.promptPerFrame == [0, 1, 1, 1, 1])
    #expect(throws: DiffusionError.self) { try canvas.window(plan.windows[1]) }
    #expect(throws: DiffusionError.self) { try canvas.window(plan.windows[1], finished: clip) }
    for bad in [
      WindowPlan.Window(frames: 4..<9, known: 0), .init(frames: -1..<3, known: 0),
      .init(frames: 0..<2, known: 3), .init(frames: 0..<2, known: -1),
      .init(frames: 2..<2, known: 0),
    ] {
      #expect(throws: DiffusionError.self) {
        try canvas.window(bad, finished: clip.slice(1, 0..<3))
      }
    }
  }

  @Test func `a free canvas in windows needs no content of its own`() throws {
    let canvas = try Canvas.free(.small(frames: 8))
    let plan = try WindowPlan(frames: 8, window: 5, overlap: 2)
    let second = try canvas.window(plan.windows[1], finished: .ones([3, 2, 4, 6]))
    #expect(second.tokenLevels.count { $0 > 0 } == 3 * 6)
  }
}
