import Foundation
import KinoWorld
import Testing

@testable import KinoEvaluation

/// A verdict that is sure that a clip shows one object on a ground.
private func verdict(
  _ shape: KinoWorld.Scene.Shape, _ colour: KinoWorld.Scene.Colour,
  on ground: KinoWorld.Scene.Ground
) -> SceneVerdict {
  func sure(_ answers: [Int?], _ questions: [SceneAttributes.Question]) -> [[Double]] {
    zip(answers, questions).map { answer, question in
      question.answers.indices.map { $0 == answer ? 0.9 : 0.01 }
    }
  }
  let object = SceneAttributes.Object(shape: shape, colour: colour)
  return SceneVerdict(
    candidates: [
      .init(presence: 1, probabilities: sure(object.answers, SceneAttributes.objectQuestions))
    ],
    probabilities: sure(
      SceneAttributes(objects: [], objectCount: 1, ground: ground).answers,
      SceneAttributes.sceneQuestions))
}

private func entry(_ prompt: String, _ verdict: SceneVerdict) throws -> JudgeReport.Entry {
  JudgeReport.Entry(
    prompt: prompt, stated: try SceneAttributes(statedBy: prompt), verdict: verdict)
}

@Suite("Reports of a judge")
struct JudgeReportTests {
  private let report: JudgeReport

  init() throws {
    report = JudgeReport([
      try entry("a red ball on sand", verdict(.sphere, .red, on: .sand)),
      try entry("a blue cube on sand", verdict(.cube, .red, on: .sand)),
      try entry("a green cone", verdict(.cube, .green, on: .snow)),
    ])
  }

  @Test("each attribute counts the prompts that state it, and those that are right")
  func scores() {
    let scores = Dictionary(
      uniqueKeysWithValues: report.scores.map { ($0.attribute, $0.model) })
    #expect(scores["shape"] == Proportion(right: 2, of: 3))
    #expect(scores["colour"] == Proportion(right: 2, of: 3))
    #expect(scores["ground"] == Proportion(right: 2, of: 2))
    #expect(scores["objects"] == Proportion(right: 3, of: 3))
    #expect(scores["sky"] == nil)
    #expect(report.allRight.model == Proportion(right: 1, of: 3))
  }

  @Test("chance is how often other prompts' clips would do")
  func chance() {
    let chances = Dictionary(
      uniqueKeysWithValues: report.scores.map { ($0.attribute, $0.chance) })
    // The blue cube's prompt takes the green cube's shape, and no other pair fits.
    #expect(abs((chances["shape"] ?? 0) - 1.0 / 6) < 1e-9)
    // The red ball's prompt takes the second clip's red.
    #expect(abs((chances["colour"] ?? 0) - 1.0 / 6) < 1e-9)
    #expect(abs((chances["ground"] ?? 0) - 0.5) < 1e-9)
    #expect(report.allRight.chance == 0)
  }

  @Test("one clip alone has no chance to compare with")
  func single() throws {
    let single = JudgeReport([report.entries[0]])
    #expect(single.scores.allSatisfy { $0.chance == 0 && $0.model.share == 1 })
  }

  @Test("two models are compared prompt by prompt")
  func comparison() throws {
    let better = JudgeReport(
      try report.entries.map { try entry($0.prompt, $0.verdict) }.enumerated().map {
        index, entry in
        var entry = entry
        if index == 1 { entry.verdict = verdict(.cube, .blue, on: .sand) }
        return entry
      })
    let differences = try report.difference(to: better)
    let colour = try #require(differences.first { $0.attribute == "colour" })
    #expect(abs(colour.value - 1.0 / 3) < 1e-9 && colour.error > 0)
    let shape = try #require(differences.first { $0.attribute == "shape" })
    #expect(shape.value == 0 && shape.error == 0)
    #expect(differences.last?.attribute == "all")
    #expect(throws: EvaluationError.self) {
      try report.difference(to: JudgeReport([report.entries[0]]))
    }
  }

  @Test("a report can be told as a table and as lines of JSON")
  func telling() throws {
    let table = report.table(name: "tiny").split(separator: "\n")
    #expect(table.count == report.scores.count + 2)
    #expect(table.last?.hasPrefix("all of it") == true)
    let lines = report.jsonLines(model: "tiny")
    #expect(lines.count == report.scores.count + 1)
    for line in lines {
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["share"] is Double)
    }
    #expect(lines.last?.contains("\"event\":\"summary\"") == true)
  }
}

@Suite("Shares with error bars")
struct ProportionTests {
  @Test("Wilson's interval of 8 in 10 is 49 to 94 percent")
  func wilson() {
    let interval = Proportion(right: 8, of: 10).interval
    #expect(abs(interval.lowerBound - 0.4902) < 1e-3)
    #expect(abs(interval.upperBound - 0.9433) < 1e-3)
  }

  @Test("intervals stay within 0 and 1, and say nothing without trials")
  func bounds() {
    #expect(Proportion(right: 0, of: 20).interval.lowerBound == 0)
    #expect(abs(Proportion(right: 20, of: 20).interval.upperBound - 1) < 1e-12)
    #expect(Proportion(right: 0, of: 0).interval == 0...1)
    #expect(Proportion(right: 0, of: 0).share == 0)
  }

  @Test("a paired difference counts only where the two disagree")
  func pairs() {
    let pairs: [(first: Bool, second: Bool)] =
      Array(repeating: (true, true), count: 90) + Array(repeating: (false, true), count: 10)
    let difference = Proportion.difference(pairs)
    #expect(abs(difference.value - 0.1) < 1e-12)
    #expect(abs(difference.error - 1.959964 * (0.09 / 100.0).squareRoot()) < 1e-9)
    #expect(Proportion.difference([]) == (0, 0))
  }
}

@Suite("Sets of prompts")
struct PromptSetTests {
  @Test("held-out prompts are the same in every run, and more begin with the same")
  func heldOut() throws {
    let (few, many) = (
      try PromptSet.heldOut(count: 3, seed: 1), try PromptSet.heldOut(count: 5, seed: 1)
    )
    #expect(few.entries.map(\.prompt) == many.entries.prefix(3).map(\.prompt))
    #expect(few.entries.allSatisfy { $0.scene.isHeldOut })
    #expect(many.entries.allSatisfy { $0.scene.showsAllObjects(seconds: PromptSet.shownSeconds) })
    #expect(Set(many.entries.map(\.seed)).count == 5)
    let other = try PromptSet.heldOut(count: 3, seed: 2)
    #expect(other.entries.map(\.prompt) == few.entries.map(\.prompt))
    #expect(Set(other.entries.map(\.seed)).isDisjoint(with: many.entries.map(\.seed)))
  }

  @Test("a file has a prompt a line, a seed after a tab, comments and empty lines")
  func files() throws {
    let text = "# prompts\na red ball\t7\r\n\nсиний куб прыгает\na green cone\n"
    let set = try PromptSet(text, path: "p.tsv", limit: 2, seed: 1)
    #expect(set.entries.map(\.prompt) == ["a red ball", "синий куб прыгает"])
    #expect(set.entries[0].seed == 7)
    #expect(set.entries[1].stated.objects[0].colour == .blue)
  }

  @Test(
    "a faulty line is named with its number",
    arguments: ["a ball\nqwertyuiop", "a ball\na cube\tx", "a ball\na cube\t1\t2", "a ball\n\t5"])
  func faults(text: String) {
    #expect {
      try PromptSet(text, path: "p.tsv", limit: 10, seed: 1)
    } throws: { error in
      (error as? EvaluationError)?.details.hasPrefix("p.tsv:2: ") == true
    }
  }

  @Test("a file without prompts is an error")
  func empty() {
    #expect(throws: EvaluationError.self) {
      try PromptSet("# nothing\n", path: "p.tsv", limit: 10, seed: 1)
    }
    #expect(throws: EvaluationError.self) {
      try PromptSet(contentsOf: URL(fileURLWithPath: "/nowhere/p.tsv"), limit: 1, seed: 1)
    }
  }
}
