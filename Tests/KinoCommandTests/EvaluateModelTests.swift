import Foundation
import Testing

/// The judge that comes with Kino looks at a tiny model's noise.
@Suite struct EvaluateModelTests {
  let kino: KinoProgram

  init() throws { kino = try KinoProgram() }

  @Test func `pictures are judged by what prompts state, as lines of JSON with a sheet`()
    async throws
  {
    try Data("a red ball on sand at night\t5\na blue cube\n".utf8).write(to: kino.url("p.tsv"))
    let outcome = try await kino.run([
      "evaluate", "model", "{model}", "--prompts", "p.tsv", "--frames", "1", "--steps", "1",
      "--json", "--sheet", "sheet.png",
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = outcome.objects.compactMap { $0 }
    let attributes = lines.filter { $0["event"] == "attribute" }.compactMap { $0["attribute"] }
    #expect(attributes == ["shape", "colour", "objects", "ground", "sky"])
    let summary = try #require(lines.first { $0["event"] == "summary" })
    #expect(summary["clips"] == "2")
    #expect(lines.last?["event"] == "wrote")
    #expect(try kino.files.contains("sheet.png"))
  }

  @Test func `clips of two models are compared in a table`() async throws {
    let outcome = try await kino.run([
      "evaluate", "model", "{model}", "--compare", "{model}", "--count", "2", "--steps", "1",
      "--quiet",
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.first?.contains("difference") == true)
    #expect(lines.last?.hasPrefix("all of it") == true)
    // The same model makes the same clips.
    #expect(lines.last?.hasSuffix("+0.0 +-0.0") == true)
  }

  @Test(arguments: [
    ["--count", "0"], ["--prompts", "none.tsv"], ["--sheet", "sheet.txt"], ["--steps", "0"],
  ])
  func `wrong use ends with 2 and one sentence`(options: [String]) async throws {
    let outcome = try await kino.run(["evaluate", "model", "{model}"] + options)
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("rror"))
    #expect(try kino.files.isEmpty)
  }

  @Test func `a missing judge is named`() async throws {
    let outcome = try await kino.run(["evaluate", "model", "{model}", "--judge", "nowhere"])
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("nowhere"))
  }
}
