import ArgumentParser
import Foundation
import KinoTraining

struct Train: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train what a configuration describes, going on from the newest checkpoint.")

  @Argument(help: "A YAML file; see Configurations/.")
  var configuration: String
  @Option(help: "Don't train: write the averaged weights of the newest checkpoint to this folder.")
  var export: String?
  @OptionGroup var display: DisplayOptions

  func run() async throws {
    let training = try Training(configurationAt: URL(fileURLWithPath: configuration))
    let display = ProgressDisplay(display)
    if let export {
      try await training.export(to: URL(fileURLWithPath: export))
      display.wrote(export)
      return
    }
    let isDone = try await training.run { display.show($0) }
    if !isDone { throw CancellationError() }
  }
}
