import ArgumentParser
import Kino

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Tell tokens, memory and time, before any work.",
    subcommands: [PlanGenerate.self, PlanImage.self])
}

struct PlanGenerate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Plan a clip from words.")
  @OptionGroup var arguments: GenerateArguments
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let plan = try await arguments.model.studio().plan(arguments.request)
    ProgressDisplay(output.display).show(plan)
  }
}

struct PlanImage: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image", abstract: "Plan a picture from words.")
  @OptionGroup var arguments: ImageArguments
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let plan = try await arguments.model.studio().plan(arguments.request, as: .image)
    ProgressDisplay(output.display).show(plan)
  }
}
