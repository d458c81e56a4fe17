import Foundation
import KinoTestSupport
import Testing

@testable import Kino

@Suite struct StoryboardTests {
  @Test func `Shots follow each other, and those without a cut are one`() throws {
    let composition = try Storyboard.composition(
      yaml: """
        size: 128x96
        fps: 23.976
        negative: blur
        shots:
          - prompt: a red ball
            seconds: 1
          - prompt: it rolls
            seconds: 0.5
            join: continuous
            picture: a.png
            at: 0.25
          - prompt: a cube
            start: 1.5
          - prompt: a cone
            start: 2.75
            seconds: 1
            clip: sub/b.mp4
        """, folder: URL(fileURLWithPath: "/boards"))
    #expect(composition.size == FrameSize(128, 96) && composition.negativePrompt == "blur")
    #expect(composition.framesPerSecond == 24000.0 / 1001)
    let shots = composition.shots
    #expect(shots.map(\.seconds) == [1.5, 1.25, 1])
    #expect(shots[0].prompts == [TimedPrompt("a red ball"), TimedPrompt("it rolls", start: 1)])
    #expect(shots[0].guides == [Guide(MediaPart("/boards/a.png"), at: 1.25)])
    #expect(shots[2].guides == [Guide(MediaPart("/boards/sub/b.mp4"), at: 0)])
  }

  @Test(arguments: [
    ("", "empty"), ("[1, 2]", "fields"), ("shots: 5", "line 1: shots"), ("shots: []", "shots"),
    ("size: 1x\nshots: [{prompt: a, seconds: 1}]", "line 1: size"),
    ("fps: fast\nshots: [{prompt: a, seconds: 1}]", "line 1: fps"),
    ("fit: squash\nshots: [{prompt: a, seconds: 1}]", "line 1: fit"),
    ("speed: 2\nshots: [{prompt: a, seconds: 1}]", "line 1: speed"),
    ("shots:\n  - seconds: 1", "line 2: prompt is missing"),
    ("shots:\n  - prompt: a", "line 2: seconds is missing"),
    ("shots:\n  - prompt: a\n    seconds: one", "line 3: seconds"),
    ("shots:\n  - prompt: a\n    seconds: -1", "line 3: seconds"),
    ("shots:\n  - prompt: a\n    seconds: 1\n    length: 2", "line 4: length"),
    ("shots:\n  - prompt: a\n    seconds: 1\n    join: continuous", "line 4: join"),
    ("shots:\n  - prompt: a\n    seconds: 1\n    at: 0.5", "line 4: at"),
    ("shots:\n  - prompt: [a, b]\n    seconds: 1", "line 2: prompt"),
    (
      "shots:\n  - {prompt: a, seconds: 1, picture: a.png, clip: b.mp4}",
      "line 2: clip"
    ),
    (
      "shots:\n  - {prompt: a, seconds: 1}\n  - {prompt: b, start: 0.5, seconds: 1}",
      "line 3: start"
    ),
    ("shots:\n  - {prompt: a}\n  - {prompt: b, start: 0, seconds: 1}", "line 3: start"),
    ("shots: [\n", "no YAML"),
  ])
  func `A mistake is named with its line and field`(yaml: String, words: String) {
    let error = #expect(throws: StudioError.self) { try Storyboard.composition(yaml: yaml) }
    #expect(error?.code == .invalidStoryboard && error?.code.isWrongUse == true)
    #expect(error?.details.contains(words) == true, "\(error?.details ?? "")")
  }

  @Test func `All shots together last no longer than the limit`() throws {
    func board(_ count: Int) -> String {
      "shots:\n" + String(repeating: "- {prompt: a, seconds: 60}\n", count: count)
    }
    #expect(try Storyboard.composition(yaml: board(10)).shots.count == 10)
    let error = #expect(throws: StudioError.self) {
      try Storyboard.composition(yaml: board(11))
    }
    #expect(error?.details.contains("660") == true && error?.details.contains("600") == true)
  }

  @Test func `The length is the sum, to the frame`() async throws {
    let folder = try TinyFolder()
    let third = String(repeating: "  - {prompt: a ball, seconds: 0.3}\n", count: 7)
    let composition = try Storyboard.composition(yaml: "fps: 8\nshots:\n" + third)
    let clip = try await folder.studio().clip(composition, request().settings)
    // 7 times 0.3 s at 8 frames a second.
    #expect(clip?.frameCount == 17)
  }
}
