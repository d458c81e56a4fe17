import Foundation
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

@Suite struct FileTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  private func write(_ request: ClipRequest, to path: String, as verb: Verb = .generate)
    async throws -> GeneratedFile?
  {
    var file: GeneratedFile?
    for try await event in try await folder.studio().events(of: request, as: verb, writingTo: path)
    {
      if case .wrote(let written) = event { file = written }
    }
    return file
  }

  @Test(arguments: [("clip.mp4", Verb.generate), ("clip.gif", .generate), ("still.png", .image)])
  func `A file carries the recipe that makes it again`(name: String, verb: Verb) async throws {
    let path = folder.path(name)
    let file = try await write(request(), to: path, as: verb)
    let info = try MediaInfo.probe(path)
    let recipe = try #require(info.recipe.flatMap(Recipe.init(json:)))
    #expect(recipe == file?.recipe)
    #expect(recipe.prompt == "a red ball" && recipe.settings.seed == 7 && recipe.model == "tiny")
    #expect(recipe.modelHash.count == 64)
    let second = folder.path("again-" + name)
    for try await _ in try await folder.studio().events(
      of: recipe.composition, recipe.settings, writingTo: second)
    {}
    #expect(FileManager.default.contentsEqual(atPath: path, andPath: second))
  }

  @Test func `The highlights are spread over the clip`() async throws {
    var long = request()
    long.frameCount = 21
    let file = try await write(long, to: folder.path("long.mp4"))
    #expect(file?.highlights.frameCount == 6)
    #expect(file?.frameCount == 21)
  }

  @Test func `Latents are kept when the file can't be completed`() async throws {
    let path = folder.path("taken.mp4")
    let studio = try await folder.studio()
    let resolved = try request().validated(for: studio.model)
    let plan = try Plan(resolved, model: studio.model, keepsFrames: false)
    let recipe = Recipe(
      resolved, model: studio.model, hash: try studio.model.hash().hexadecimal)
    let error = await #expect(throws: StudioError.self) {
      try await studio.actor.render(
        resolved, plan: plan, to: .file(path, WriteOptions()), recipe: recipe
      ) { event in
        // Somebody else takes the name meanwhile.
        if case .step = event { try? Data("mine".utf8).write(to: URL(fileURLWithPath: path)) }
      }
    }
    #expect(error?.code == .decodingFailed)
    let kept = RescuedLatents.folder(beside: path)
    #expect(
      error?.details.contains(kept.path) == true && error?.details.contains("--resume") == true)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("mine".utf8))
    // Without the obstacle the work goes on where it was: no step is made again.
    try FileManager.default.removeItem(atPath: path)
    var steps = 0
    for try await event in studio.events(
      of: request().composition, request().settings, writingTo: path, resumes: true)
    {
      if case .step = event { steps += 1 }
    }
    let whole = folder.path("whole.mp4")
    _ = try await write(request(), to: whole)
    #expect(steps == 0 && FileManager.default.contentsEqual(atPath: path, andPath: whole))
    #expect(!FileManager.default.fileExists(atPath: kept.path))
  }

  @Test func `Work that was stopped goes on to the same bytes`() async throws {
    let path = folder.path("a.mp4")
    var long = request()
    long.frameCount = 67
    long.settings.stepCount = 40
    let studio = try await folder.studio()
    let task = Task(executorPreference: OwnQueue()) { [long] in
      for try await event in studio.events(of: long, writingTo: path) {
        if case .step(let step) = event, step.window == 2 {
          withUnsafeCurrentTask { $0?.cancel() }
        }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    let kept = RescuedLatents.folder(beside: path)
    #expect(FileManager.default.fileExists(atPath: kept.path))
    // On a busy machine more windows may be done when the first step of the second is seen.
    for window in 1..<6 {
      try? FileManager.default.removeItem(
        at: kept.appendingPathComponent("window-\(window).safetensors"))
    }
    var other = long
    other.prompt = "another prompt"
    await #expect(throws: StudioError.self) {
      for try await _ in studio.events(
        of: other.composition, other.settings, writingTo: path, resumes: true)
      {}
    }
    // The seed is the one that was drawn.
    var seedless = long
    seedless.settings.seed = nil
    var windows: Set<Int> = []
    for try await event in studio.events(
      of: seedless.composition, seedless.settings, writingTo: path, resumes: true)
    {
      if case .step(let step) = event { windows.insert(step.window) }
    }
    #expect(windows == [2, 3, 4, 5, 6])
    let whole = folder.path("whole.mp4")
    _ = try await write(long, to: whole)
    #expect(FileManager.default.contentsEqual(atPath: path, andPath: whole))
    #expect(
      try Set(FileManager.default.contentsOfDirectory(atPath: folder.url.path)) == [
        "model", "a.mp4", "whole.mp4",
      ])
  }

  @Test(arguments: [
    ("a.png", Verb.generate), ("a.mp4", .image), ("a.txt", .generate), ("a", .image),
  ])
  func `A format that does not fit is refused before any work`(name: String, verb: Verb)
    async throws
  {
    let path = folder.path(name)
    await #expect(throws: (any Error).self) { try await write(request(), to: path, as: verb) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["model"])
  }

  @Test func `A recipe's command quotes what a shell would read`() async throws {
    var odd = request("it's $HOME; `x` \"y\"")
    odd.negativePrompt = "-no"
    let studio = try await folder.studio()
    for try await event in studio.events(of: odd) {
      guard case .finished(let result) = event else { continue }
      #expect(result.recipe.command.contains(#"'it'\''s $HOME; `x` "y"'"#))
      #expect(Recipe(json: result.recipe.json) == result.recipe)
    }
  }
}
