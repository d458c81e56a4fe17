import ArgumentParser
import Foundation
import Kino
import KinoTensor
import KinoTraining

struct Train: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train what a configuration describes, going on from the newest checkpoint.")

  @Argument(help: "A YAML file; see Configurations/.")
  var configuration: String
  @Option(help: "Don't train: write the averaged weights of the newest checkpoint to this folder.")
  var export: String?
  @Option(
    help: ArgumentHelp(
      "Don't train: write the words of the captions and the fewest steps into this model's kino.json.",
      visibility: .hidden))
  var describe: String?
  @Option(help: "Where to compute, whatever the configuration says: cpu, cuda or mps.")
  var device: ComputeDevice?
  @Option(help: "Threads of one operation; without it, all cores.")
  var threads: Int?
  @Option(
    help: """
      Start so many processes on this machine, each with its share of every batch. Without it, the \
      variables that torchrun and others set (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, \
      MASTER_PORT) tell whether this is one of several.
      """)
  var processes: Int?
  @OptionGroup var display: DisplayOptions

  func run() async throws {
    let isTraining = describe == nil && export == nil
    if let processes, isTraining {
      return try await LocalProcesses(count: processes).run()
    }
    let training = try Training(
      configurationAt: URL(fileURLWithPath: configuration), device: device, threadCount: threads,
      place: isTraining
        ? ProcessGroup.Place(environment: ProcessInfo.processInfo.environment) : nil,
      lost: { error in
        StandardStreams.note("error: \(error)\n")
        _exit(ExitStatus.failed)
      })
    let display = ProgressDisplay(display)
    if let describe {
      try await training.describe(modelAt: URL(fileURLWithPath: describe))
      display.wrote(describe)
      return
    }
    if let export {
      try await training.export(to: URL(fileURLWithPath: export))
      display.wrote(export)
      return
    }
    let isDone = try await training.run { display.show($0) }
    if !isDone { throw CancellationError() }
  }
}
