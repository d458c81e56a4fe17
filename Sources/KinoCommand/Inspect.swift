import ArgumentParser
import Foundation
import Kino
import KinoProvenance
import KinoWeights

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell how a Kino clip was made, or the shape of a checkpoint.",
    discussion: """
      For a clip or picture made by Kino: its recipe, and the command that makes it again. For a \
      model folder or a folder of weights: parameters and configurations. For a file of weights, told \
      by its content (safetensors or the index of its shards, GGUF, PyTorch): its networks, whose \
      names it has, which published models have such, and what Kino can't run, and why.
      """)

  @Argument(help: "A clip, a picture, a model folder, or a file of weights.")
  var file: String
  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    var inspection = try Inspection(file)
    if inspection.isMedia, let credentials = try credentials() {
      inspection.add(credentials)
    }
    print(json ? inspection.json : inspection.description)
  }

  /// What the file's content credentials say; `nil` without the library, which few have.
  private func credentials() throws -> [Inspection.Fact]? {
    let library = ContentCredentials.defaultLibrary(
      environment: ProcessInfo.processInfo.environment)
    guard FileManager.default.fileExists(atPath: library.path) else { return nil }
    let report = try ContentCredentials(library: library)
      .report(on: URL(fileURLWithPath: file))
    guard let report else { return [("credentials", .string("none"))] }
    var facts: [Inspection.Fact] = [
      ("credentials", .string(report.isIntact ? "intact" : "broken")),
      ("signed_by", .string(report.signer ?? "unknown")),
      ("signed_with", .string(report.generator ?? "unknown")),
      ("source_type", .string(report.sourceTypes.joined(separator: ", "))),
    ]
    if !report.ingredients.isEmpty {
      facts.append(("made_from", .string(report.ingredients.joined(separator: ", "))))
    }
    if !report.failures.isEmpty {
      facts.append(("credential_checks", .string(report.failures.joined(separator: ", "))))
    }
    return facts
  }
}
