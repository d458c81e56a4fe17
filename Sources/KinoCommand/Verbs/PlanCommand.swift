import ArgumentParser
import Kino

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Print tokens, memory and time of a verb, before any work.",
    subcommands: Verbs.plans + [PlanTrain.self])
}

/// The plan of any verb, with the verb's own arguments.
struct PlanVerb<Arguments: VerbArguments>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: Arguments.verb.rawValue, abstract: Arguments.abstract)
  }

  @OptionGroup var arguments: Arguments
  @OptionGroup var making: MakingOptions

  func run() async throws {
    let display = ProgressDisplay(making.output.display)
    let (composition, warnings) = try await arguments.complete()
    for warning in warnings { display.warn(warning) }
    display.show(
      try await arguments.shared.workplace().plan(composition, arguments.shared.settings))
  }
}
