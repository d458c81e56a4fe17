import Foundation
import KinoTestSupport
import Testing

@testable import Kino

/// Verbs on clips whose every frame is known.
@Suite struct VerbTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  /// Frames that differ in every pixel: a gradient that moves, and the frame's number as a grey square.
  static func clip(_ count: Int, size: FrameSize = FrameSize(64, 64), rate: Double = 8) -> Clip {
    Clip(
      frames: (0..<count).map { index in
        var frame = Frame(width: size.width, height: size.height, color: .black)
        for y in 0..<size.height {
          for x in 0..<size.width {
            frame[x: x, y: y] = Color(
              red: UInt8((x * 3 + index * 2) % 200 + 20), green: UInt8(y * 2 % 200 + 30),
              blue: UInt8(120))
          }
        }
        let number = Frame(
          width: 16, height: 16,
          color: Color(
            red: UInt8(8 * (index + 1)), green: UInt8(8 * (index + 1)), blue: UInt8(8 * (index + 1))
          ))
        frame.draw(number, x: 0, y: 0)
        return frame
      }, framesPerSecond: rate)
  }

  /// A file of a clip, and the frames that it reads back as.
  private func file(_ clip: Clip, _ name: String) throws -> (path: String, clip: Clip) {
    let path = folder.path(name)
    try clip.write(to: path)
    return (path, try Clip.read(path))
  }

  private var settings: SamplingSettings { request().settings }

  @Test func `Extending keeps the source bit for bit and adds what was asked for`() async throws {
    let source = try file(Self.clip(12), "source.mp4")
    let studio = try await folder.studio()
    let after = try #require(
      await studio.clip(.extend(source.path, by: 1, .after, "a red ball"), settings))
    #expect(after.frameCount == 12 + 8)
    #expect(after[0..<12] == source.clip)
    let before = try #require(
      await studio.clip(.extend(source.path, by: 1, .before, "a red ball"), settings))
    #expect(before.frameCount == 12 + 8)
    #expect(before[8...] == source.clip)
    // New frames move.
    #expect(after[12] != after[13] && before[0] != before[1])
    #expect(after[12] != source.clip[11])
  }

  @Test(arguments: [0.125, 0.25, 0.5, 1, 3, 5.875])
  func `New frames are as many as asked for at any length`(seconds: Double) async throws {
    let source = try file(Self.clip(6), "source.mp4")
    let studio = try await folder.studio()
    let new = Int(seconds * 8)
    for side in [Composition.Side.after, .before] {
      let clip = try await studio.clip(.extend(source.path, by: seconds, side), settings)
      #expect(clip?.frameCount == 6 + new)
    }
    let looped = try #require(await studio.clip(.loop(source.path, by: seconds), settings))
    #expect(looped.frameCount == 6 + new && looped[0..<6] == source.clip)
    // It ends no further from its start than the source's frames from each other, also where the canvas is
    // longer than what is new.
    let changes = (1..<6).map { source.clip[$0].difference(from: source.clip[$0 - 1]) }.sorted()
    let last = looped[looped.frameCount - 1]
    #expect(last.difference(from: looped[0]) < changes[2] + 0.5)
    let connected = try #require(
      await studio.clip(.connect(source.path, source.path, by: seconds), settings))
    #expect(connected.frameCount == 12 + new)
    #expect(connected[0..<6] == source.clip && connected[(6 + new)...] == source.clip)
  }

  @Test func `A picture is the first frame of its animation`() async throws {
    let picture = Self.clip(1)[0]
    try picture.write(to: folder.path("a.png"))
    let clip = try #require(
      await folder.studio().clip(.animate(folder.path("a.png"), "it moves", seconds: 1), settings))
    #expect(clip.frameCount == 8 && clip[0] == picture)
    #expect(clip[1] != clip[2])
  }

  @Test func `Reversing twice gives the source, and once its frames backwards`() async throws {
    let source = try file(Self.clip(23), "source.mp4")
    let studio = try await folder.studio()
    let clip = try #require(await studio.clip(.reverse(source.path)))
    #expect(clip == source.clip.reversed())
    // Nothing is said of frames that the model makes: it makes none, at any size.
    let large = try file(Self.clip(3, size: FrameSize(640, 480)), "large.mp4")
    #expect(try await studio.plan(.reverse(large.path)).warnings.isEmpty)
  }

  @Test func `An edit of strength 0 is the source, and more strength changes more`() async throws {
    let source = try file(Self.clip(9), "source.mp4")
    let studio = try await folder.studio()
    let same = try await studio.clip(.edit(source.path, "a cube", strength: 0), settings)
    #expect(same == source.clip)
    var settings = settings
    settings.stepCount = 8
    // Beside what the autoencoder itself changes.
    let restored = try #require(
      await studio.clip(.edit(source.path, "a cube", strength: 0.001), settings))
    var last = 0.0
    for strength in [0.05, 0.2, 0.6] {
      let edited = try #require(
        await studio.clip(.edit(source.path, "a cube", strength: strength), settings))
      #expect(edited.frameCount == 9)
      let change = Self.difference(edited, restored)
      #expect(change > last)
      last = change
    }
  }

  @Test func `Outside an edit's mask and its feather every pixel is the source's`() async throws {
    let source = try file(Self.clip(9), "source.mp4")
    var mask = Frame(width: 64, height: 64, color: .black)
    mask.draw(Frame(width: 16, height: 16, color: .white), x: 32, y: 32)
    try mask.write(to: folder.path("mask.png"))
    let edited = try #require(
      await folder.studio().clip(
        .edit(source.path, "a cube", strength: 1, mask: folder.path("mask.png")), settings))
    var changed = 0
    for index in 0..<9 {
      for y in 0..<64 {
        for x in 0..<64 where edited[index][x: x, y: y] != source.clip[index][x: x, y: y] {
          #expect((31..<49).contains(x) && (31..<49).contains(y))
          changed += 1
        }
      }
    }
    #expect(changed > 9 * 100)
  }

  @Test func `An edit of a stretch of time leaves the rest bit for bit`() async throws {
    let source = try file(Self.clip(24), "source.mp4")
    let edited = try #require(
      await folder.studio().clip(
        .edit(source.path, "a cube", strength: 0.9, from: 1, to: 2), settings))
    #expect(edited.frameCount == 24)
    #expect(edited[0..<8] == source.clip[0..<8] && edited[16...] == source.clip[16...])
    #expect(edited[8..<16] != source.clip[8..<16])
  }

  @Test func `A source that moves only at its end is left no faster than it moves as a rule`()
    async throws
  {
    let moving = Self.clip(16)
    let still = Array(repeating: moving[0], count: 18)
    let source = try file(
      Clip(frames: still + (1..<6).map { moving[$0 * 3] }, framesPerSecond: 8), "source.mp4")
    let clip = try #require(await folder.studio().clip(.extend(source.path, by: 1), settings))
    let (last, new) = (clip[22], clip[23])
    #expect(clip[21].difference(from: last) > 2)
    #expect(last.difference(from: new) < 0.3)
  }

  @Test func `Guidance by what is known changes new frames beside a source, and nothing else`()
    async throws
  {
    let source = try file(Self.clip(12), "source.mp4")
    let studio = try await folder.studio()
    func made(_ composition: Composition, history: Double?) async throws -> Clip {
      var led = settings
      led.historyGuidanceScale = history
      return try #require(await studio.clip(composition, led))
    }
    let extended = Composition.extend(source.path, by: 1)
    let plain = try await made(extended, history: nil)
    #expect(try await made(extended, history: 1) == plain)
    let led = try await made(extended, history: 4)
    #expect(led != plain && led[0..<12] == source.clip)
    let words = Composition.generate("a red ball")
    #expect(try await made(words, history: 4) == made(words, history: nil))
    await #expect(throws: StudioError.self) { try await made(extended, history: 21) }
    /// What the settings add to a plan's work, as a factor.
    func cost(_ composition: Composition) async throws -> Double {
      var led = settings
      led.historyGuidanceScale = 4
      let plans = try await (
        studio.plan(composition, led), studio.plan(composition, settings)
      )
      return plans.0.samplingOperations / plans.1.samplingOperations
    }
    let (known, free) = try await (cost(extended), cost(words))
    #expect(known > 1 && known <= 2 && free == 1)
  }

  @Test func `A prompt is not led away from itself`() async throws {
    let studio = try await folder.studio()
    var composition = Composition.generate("a red ball")
    composition.negativePrompt = "a red ball"
    var unguided = settings
    unguided.guidanceScale = 1
    #expect(try await studio.clip(composition, settings) == studio.clip(composition, unguided))
    let plan = try await studio.plan(composition, settings)
    let other = try await studio.plan(composition, unguided)
    #expect(plan.samplingOperations == other.samplingOperations)
  }

  @Test func `The recipe of a verb makes it again`() async throws {
    let source = try file(Self.clip(9), "source.mp4")
    let studio = try await folder.studio()
    let path = folder.path("a.mp4")
    var made: Recipe?
    for try await event in studio.events(
      of: .extend(source.path, by: 1, .after, "a red ball"), settings, writingTo: path)
    {
      if case .wrote(let file) = event { made = file.recipe }
    }
    let recipe = try #require(made)
    #expect(recipe.sources[source.path]?.count == 64)
    #expect(Recipe(json: recipe.json) == recipe)
    #expect(recipe.command.hasPrefix("kino extend "))
    #expect(recipe.command.contains("--seconds 1 ") && recipe.command.contains("'a red ball'"))
    let again = folder.path("b.mp4")
    for try await _ in studio.events(of: recipe.composition, recipe.settings, writingTo: again) {}
    #expect(FileManager.default.contentsEqual(atPath: path, andPath: again))
  }

  @Test func `Sources of a higher rate keep it, and new frames move at the model's`() async throws {
    let source = try file(Self.clip(24, rate: 24), "source.mp4")
    let clip = try #require(await folder.studio().clip(.extend(source.path, by: 1), settings))
    #expect(clip.framesPerSecond == 24 && clip.frameCount == 48)
    #expect(clip[0..<24] == source.clip)
  }

  static func difference(_ first: Clip, _ second: Clip) -> Double {
    let sum = zip(first.pixels, second.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    return Double(sum) / Double(first.pixels.count)
  }

  @Test func `A verb of one's own is a function`() async throws {
    let source = try file(Self.clip(6), "source.mp4")
    let studio = try await folder.studio()
    let composition = Composition.bookends(source.path, by: 1)
    let clip = try #require(await studio.clip(composition, settings))
    #expect(clip.frameCount == 8 + 6 + 8 && clip[8..<14] == source.clip)
    let plan = try await studio.plan(composition, settings)
    #expect(plan.windowCount == 2)
    let copy = try JSONDecoder().decode(Composition.self, from: JSONEncoder().encode(composition))
    #expect(copy == composition)
  }
}

extension Composition {
  /// A clip with something new on either side: a verb that Kino does not have.
  fileprivate static func bookends(_ clip: String, by seconds: Double) -> Composition {
    Composition(
      .extend,
      timeline: [
        .shot(Shot(seconds: seconds, joins: .next)), .media(MediaPart(clip)),
        .shot(Shot(seconds: seconds, joins: .previous)),
      ])
  }
}
