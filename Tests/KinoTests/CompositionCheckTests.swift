import Foundation
import KinoTestSupport
import Testing

@testable import Kino

/// What is refused before any work, and what is said where a source is not whole.
@Suite struct CompositionCheckTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  private func refusal(_ composition: Composition) async throws -> StudioError {
    let studio = try await folder.studio()
    return try await #require(throws: StudioError.self) { try await studio.plan(composition) }
  }

  @Test func `Edits that are not inside their source are refused`() async throws {
    let path = folder.path("a.mp4")
    try CounterTests.clip(0..<12).write(to: path)
    for (from, to) in [
      (0.5, 0.2), (1, nil), (0.5, 9), (.nan, nil), (-1, nil), (nil, 0), (nil, .infinity),
    ]
      as [(Double?, Double?)]
    {
      let error = try await refusal(.edit(path, "a cube", from: from, to: to))
      #expect(error.code == .invalidLength && error.details.contains("a.mp4"))
    }
  }

  @Test func `Sources of the wrong kind are refused with what to do instead`() async throws {
    let (clip, picture) = (folder.path("a.mp4"), folder.path("a.png"))
    try CounterTests.clip(0..<12).write(to: clip)
    try CounterTests.clip(0..<1)[0].write(to: picture)
    #expect(try await refusal(.animate(clip)).details.contains("extend"))
    #expect(try await refusal(.reverse(picture)).code == .unsupported)
    #expect(try await refusal(.upscale(clip, to: FrameSize(32, 32))).code == .invalidSize)
    #expect(try await refusal(.extend("", by: 1)).code == .invalidSetting)
    // A changed picture is a picture.
    #expect(try Composition.edit(picture, "a cube").isPicture())
    #expect(try !Composition.edit(clip, "a cube").isPicture())
  }

  @Test func `Storyboards whose aliases would explode are refused at once`() throws {
    var yaml = "a: &a {? 1 : 1}\n"
    var last = "a"
    for name in "bcdefghijklmnop".map({ String($0) }) {
      let list = Array(repeating: "*\(last)", count: 8).joined(separator: ", ")
      yaml += "\(name): &\(name) {? [\(list)] : 1, ? [\(list), 1] : 1}\n"
      last = name
    }
    let error = try #require(throws: StudioError.self) { try Storyboard.composition(yaml: yaml) }
    #expect(error.details.contains("line 2") && error.details.contains("*a"))
    let plain = "shots:\n  - prompt: salt & pepper, a *big* ball\n    seconds: 1\n"
    #expect(try Storyboard.composition(yaml: plain).prompt == "salt & pepper, a *big* ball")
  }

  @Test func `A source that ends early is used as far as it goes, and said to be damaged`()
    async throws
  {
    let path = folder.path("a.mp4")
    try VerbTests.clip(24).write(to: path)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try bytes.prefix(bytes.count * 7 / 10).write(to: URL(fileURLWithPath: path))
    var warnings: [String] = []
    for try await event in try await folder.studio().events(of: .reverse(path)) {
      if case .warning(let text) = event { warnings.append(text) }
    }
    #expect(warnings.contains { $0.contains("damaged") })
  }

  @Test func `Unfinished work whose recipe is damaged is not gone on with`() async throws {
    let path = folder.path("a.mp4")
    let unfinished = RescuedLatents.folder(beside: path)
    try FileManager.default.createDirectory(at: unfinished, withIntermediateDirectories: false)
    try Data("{".utf8).write(to: unfinished.appendingPathComponent("recipe.json"))
    let studio = try await folder.studio()
    let (composition, settings) = (request().composition, request().settings)
    await #expect(throws: StudioError.self) {
      for try await _ in studio.events(of: composition, settings, writingTo: path, resumes: true) {}
    }
    for try await _ in studio.events(of: composition, settings, writingTo: path) {}
    #expect(FileManager.default.fileExists(atPath: path))
    #expect(!FileManager.default.fileExists(atPath: unfinished.path))
  }

  @Test func `Tracks that are lost and sides that grow are said`() async throws {
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("KinoMediaTests/Fixtures")
    func warnings(_ fixture: String, _ result: String) async throws -> String {
      let source = fixtures.appendingPathComponent(fixture).path
      var warnings: [String] = []
      for try await event in try await folder.studio().events(
        of: .reverse(source), writingTo: folder.path(result))
      {
        if case .warning(let text) = event { warnings.append(text) }
      }
      return warnings.joined(separator: " ")
    }
    #expect(try await warnings("tracks.mp4", "a.mp4").contains("has more tracks"))
    #expect(try await warnings("odd.mp4", "b.mp4").contains("even sizes only"))
    #expect(try await !warnings("odd.mp4", "b.gif").contains("even sizes"))
    #expect(try await !warnings("sound.mp4", "c.mp4").contains("tracks"))
  }

  @Test func `A result that holds no sound is not said to keep it`() async throws {
    let sound = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("KinoMediaTests/Fixtures/sound.mp4")
    var warnings: [String] = []
    let events = try await folder.studio().events(
      of: .reverse(sound.path), writingTo: folder.path("a.gif"))
    for try await event in events {
      if case .warning(let text) = event { warnings.append(text) }
    }
    #expect(warnings.contains { $0.contains("holds no sound") })
    #expect(!warnings.contains(Composition.keptSound))
  }
}
