import ArgumentParser
import Foundation
import Kino
import KinoEvaluation
import KinoMedia

extension Evaluate {
  struct OfModel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "model",
      abstract: "Whether clips show what their prompts state, as the judge sees them.",
      discussion: """
        For each attribute that prompts state: the share that is right in the model's clips with its 95% interval; \
        chance, by the other prompts' clips; and the judge's own limits, on renders of the same scenes after the \
        model's autoencoder (restored) and as they are (rendered).
        """)

    @Argument(help: ArgumentHelp("The model: a name, or a folder.", valueName: "name|path"))
    var model: String
    @Option(help: "Another model to judge on the same prompts.")
    var compare: String?
    @Option(help: "The number of prompts; of a file, the most that are taken.")
    var count = 200
    @Option(help: "A file with a prompt on every line and, after a tab, optionally a seed.")
    var prompts: String?
    @Option(help: "Frames of a clip; 1 makes pictures. Without it, the model's own.")
    var frames: Int?
    @Option(help: "Sampling steps.")
    var steps: Int?
    @Option(help: "The strength of the prompt.")
    var guidance: Double?
    @Option(help: "The seed of the noise; prompts stay the same.")
    var seed: UInt64 = 1
    @Option(help: "The type to compute in: f32, bf16 or int8; without it, the fastest here.")
    var precision: Precision?
    @Option(help: "Threads of one operation; without it, all cores.")
    var threads: Int?
    @Option(help: "The folder of another judge.")
    var judge: String?
    @Option(help: "Also write a sheet of the clips with verdicts, the worst first: a .png or .jpg.")
    var sheet: String?
    @Flag(help: "Replace a sheet that exists.")
    var overwrite = false
    @OptionGroup var display: DisplayOptions

    func validate() throws {
      guard 1...10_000 ~= count else { throw ValidationError("--count must be in 1...10000.") }
    }

    func run() async throws {
      let options = WriteOptions(overwrite: overwrite)
      if let sheet { try ContactSheet.check(sheet, options) }
      let folder = try judge.map { URL(fileURLWithPath: $0) } ?? ClipJudge.locate()
      let evaluation = ModelEvaluation(judge: try ClipJudge(at: folder), settings: settings)
      let set =
        try prompts.map {
          try PromptSet(contentsOf: URL(fileURLWithPath: $0), limit: count, seed: seed)
        } ?? .heldOut(count: count, seed: seed)
      let studios = try await studios()
      var reports: [JudgeReport] = []
      for (index, studio) in studios.enumerated() {
        reports.append(try await report(evaluation, studio, set, isFirst: index == 0))
      }
      let (names, output) = (names(of: studios), ProgressDisplay(display))
      let differences = reports.count == 2 ? try reports[0].difference(to: reports[1]) : nil
      if display.json {
        reports[0].jsonLines(model: names[0], differences: differences).forEach(output.output)
        reports.dropFirst().forEach { report in
          report.jsonLines(model: names[1]).forEach(output.output)
        }
      } else {
        output.output(
          reports[0].table(
            name: names[0], comparedWith: differences.map { (names[1], reports[1], $0) }))
      }
      if let sheet {
        try reports[0].sheet().write(to: sheet, options)
        output.wrote(sheet)
      }
    }

    private var settings: ModelEvaluation.Settings {
      var settings = ModelEvaluation.Settings()
      settings.frameCount = frames
      settings.stepCount = steps
      settings.guidanceScale = guidance
      settings.precision = precision
      return settings
    }

    private func studios() async throws -> [Studio] {
      var studios: [Studio] = []
      for name in [model] + (compare.map { [$0] } ?? []) {
        studios.append(try await Studio(model: ModelSource(name), threadCount: threads))
      }
      return studios
    }

    /// Models of the same name are told apart by what was typed.
    private func names(of studios: [Studio]) -> [String] {
      let names = studios.map(\.model.name)
      if let compare, Set(names).count < names.count { return [model, compare] }
      return names
    }

    private func report(
      _ evaluation: ModelEvaluation, _ studio: Studio, _ set: PromptSet, isFirst: Bool
    ) async throws -> JudgeReport {
      let display = ProgressDisplay(display)
      let start = Date()
      let count = set.entries.count
      defer { display.endProgress() }
      return try await evaluation.report(on: studio, prompts: set, isBounded: isFirst) { done in
        let pace = Date().timeIntervalSince(start) / Double(done)
        display.progress(
          isFirst ? "clip" : "other clip", done, of: count, secondsLeft: pace * Double(count - done)
        )
      }
    }
  }
}
