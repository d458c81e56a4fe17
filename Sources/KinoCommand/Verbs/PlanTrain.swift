import ArgumentParser
import Foundation
import Kino
import KinoTraining

/// The plan of a training run.
struct PlanTrain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract:
      "Try a step of every bucket out; print memory, disk and time of a transformer's training.")

  @Argument(help: "A YAML file; see Configurations/.")
  var configuration: String
  @Option(help: "Where to compute, whatever the configuration says: cpu, cuda or mps.")
  var device: ComputeDevice?
  @Option(help: "Threads of one operation; without it, all cores.")
  var threads: Int?
  @Flag(help: "Print one JSON object.")
  var json = false

  func run() async throws {
    let training = try Training(
      configurationAt: URL(fileURLWithPath: configuration), device: device, threadCount: threads)
    let plan = try await training.plan()
    guard json else { return print(plan.details) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(plan), as: UTF8.self))
  }
}

extension TrainingPlan {
  fileprivate var details: String {
    func size(_ bytes: Int) -> String {
      bytes < 100_000_000
        ? "\(max(1, bytes / 1_000_000)) MB" : "\((Double(bytes) / 1e8).rounded() / 10) GB"
    }
    return """
      learns: \(trainedParameters) numbers
      tokens: \(tokensPerStep) in the largest step
      memory: about \(size(peakBytes))
      disk: at most \(size(diskBytes)), encoded clips and checkpoints
      time: about \(ProgressDisplay.time(seconds)): \(String(format: "%.2f", secondsPerStep)) s a step, \
      \(ProgressDisplay.time(encodingSeconds)) to encode clips; samples come on top
      """
  }
}
