import ArgumentParser
import Kino

/// What a verb and its plan are asked for.
protocol VerbArguments: ParsableArguments {
  /// The verb.
  static var verb: Verb { get }
  /// What it makes, in a sentence.
  static var abstract: String { get }
  /// What is asked for.
  var composition: Composition { get throws }
  /// The file to write where none is named: without an extension.
  var stem: String { get }
  /// Options that all verbs have.
  var shared: SharedOptions { get }
}

extension VerbArguments {
  /// The composition with the options that all verbs have, and any warnings about its words.
  func complete() async throws -> (composition: Composition, warnings: [String]) {
    var composition = try composition
    composition.negativePrompt = shared.sampling.negative ?? composition.negativePrompt
    composition.size = composition.size ?? shared.size.size
    composition.framesPerSecond = shared.fps?.framesPerSecond ?? composition.framesPerSecond
    composition.fit = shared.fit ?? composition.fit
    composition.keepsSound = !shared.noSound
    try composition.updateShots { shot in
      for index in shot.prompts.indices where shot.prompts[index].text == "-" {
        shot.prompts[index].text = try StandardInput.text()
      }
    }
    guard shared.expand else { return (composition, []) }
    return try await Expansion(model: shared.model.source, files: shared.model.parts.files)
      .expanded(composition, seed: shared.sampling.seed ?? 0)
  }
}

/// The options of all verbs.
struct SharedOptions: ParsableArguments {
  @OptionGroup var size: SizeOption
  @Option(
    help: "Frames per second of the result, such as 24 or 30000/1001; without it, the source's.")
  var fps: FrameRate?
  @Option(help: "How a source of another shape is laid into the result: crop, pad or stretch.")
  var fit: FitMode?
  @Flag(help: "Leave the sound of sources out.")
  var noSound = false
  @Flag(help: "Turn a short prompt into the description that the model was trained on.")
  var expand = false
  @OptionGroup var sampling: SamplingOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var place: ServerOption

  var settings: SamplingSettings {
    var settings = sampling.settings
    settings.precision = model.precision
    return settings
  }
}

/// The command that makes what a verb describes.
struct MakeVerb<Arguments: VerbArguments>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: Arguments.verb.rawValue, abstract: Arguments.abstract)
  }

  @OptionGroup var arguments: Arguments
  @OptionGroup var making: MakingOptions

  func run() async throws {
    let (composition, warnings) = try await arguments.complete()
    let display = ProgressDisplay(making.output.display)
    for warning in warnings { display.warn(warning) }
    try await making.make(
      composition, arguments.shared.settings, stem: arguments.stem,
      on: try await arguments.shared.workplace())
  }
}

/// Every verb, in the order of the help.
enum Verbs {
  private static let all: [any VerbArguments.Type] = [
    GenerateArguments.self, ImageArguments.self, AnimateArguments.self, ExtendArguments.self,
    LoopArguments.self, ConnectArguments.self, EditArguments.self, StoryboardArguments.self,
    ReverseArguments.self, UpscaleArguments.self,
  ]

  /// The commands that make.
  static var commands: [any ParsableCommand.Type] {
    func command<Arguments: VerbArguments>(_: Arguments.Type) -> any ParsableCommand.Type {
      MakeVerb<Arguments>.self
    }
    return all.map { command($0) }
  }

  /// The commands that plan.
  static var plans: [any ParsableCommand.Type] {
    func plan<Arguments: VerbArguments>(_: Arguments.Type) -> any ParsableCommand.Type {
      PlanVerb<Arguments>.self
    }
    return all.map { plan($0) }
  }
}
