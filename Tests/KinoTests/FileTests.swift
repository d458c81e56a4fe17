import Foundation
import KinoTestSupport
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
    let error = await #expect(throws: StudioError.self) {
      try await studio.actor.render(
        resolved, plan: plan, to: .file(path, WriteOptions()),
        recipe: Recipe(resolved, model: studio.model, hash: "")
      ) { event in
        // Somebody else takes the name meanwhile.
        if case .step = event { try? Data("mine".utf8).write(to: URL(fileURLWithPath: path)) }
      }
    }
    #expect(error?.code == .decodingFailed)
    let message = error?.details ?? ""
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    let latents = try #require(names.first { $0.hasSuffix(".latents.safetensors") })
    #expect(message.contains(latents))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("mine".utf8))
    let pixels = folder.url.appendingPathComponent("pixels.safetensors")
    try await studio.probe(
      .decode, input: folder.url.appendingPathComponent(latents), output: pixels)
    #expect(FileManager.default.fileExists(atPath: pixels.path))
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
