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
  /// The composition with the options that all verbs have.
  func complete() throws -> Composition {
    var composition = try composition
    composition.negativePrompt = shared.sampling.negative ?? ""
    composition.size = composition.size ?? shared.size.size
    composition.framesPerSecond = shared.fps
    composition.fit = shared.fit
    return composition
  }
}

/// The options of all verbs.
struct SharedOptions: ParsableArguments {
  @OptionGroup var size: SizeOption
  @Option(help: "Frames per second of the result; without it, those of the source.")
  var fps: Double?
  @Option(help: "How a source of another shape is laid into the result: crop, pad or stretch.")
  var fit: FitMode = .crop
  @OptionGroup var sampling: SamplingOptions
  @OptionGroup var model: ModelOptions

  var settings: SamplingSettings {
    var settings = sampling.settings
    settings.precision = model.precision
    return settings
  }
}

/// A command that makes a file.
protocol VerbCommand: AsyncParsableCommand {
  associatedtype Arguments: VerbArguments
  var arguments: Arguments { get }
  var making: MakingOptions { get }
}

extension VerbCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: Arguments.verb.rawValue, abstract: Arguments.abstract)
  }

  func run() async throws {
    try await making.make(
      try arguments.complete(), arguments.shared.settings, stem: arguments.stem,
      on: try await arguments.shared.model.studio())
  }
}

/// Where the result of a verb goes.
struct MakingOptions: ParsableArguments {
  @Option(help: "Also write a sheet of six frames, a .png or .jpg picture.")
  var sheet: String?
  @OptionGroup var output: OutputOptions

  /// Makes a composition into a file.
  func make(
    _ composition: Composition, _ settings: SamplingSettings, stem: String, on studio: Studio
  ) async throws {
    let path = output.output ?? stem + (composition.verb == .image ? ".png" : ".mp4")
    let options = WriteOptions(overwrite: output.overwrite)
    if let sheet { try ContactSheet.check(sheet, options) }
    let display = ProgressDisplay(output.display)
    let events = studio.events(of: composition, settings, writingTo: path, options)
    if let file = try await display.follow(events), let sheet {
      try ContactSheet(rows: [.init(file.highlights, label: file.recipe.title)])
        .render().write(to: sheet, options)
      display.wrote(sheet)
    }
  }
}

extension ContactSheet {
  /// Finds out before any work whether a sheet can be written.
  static func check(_ path: String, _ options: WriteOptions) throws {
    try ClipWriter(path: path, size: FrameSize(16, 16), framesPerSecond: 25, options: options)
      .cancel()
  }
}
