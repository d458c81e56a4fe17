import ArgumentParser
import Kino

/// What `generate` and `plan generate` are asked for.
struct GenerateArguments: ParsableArguments {
  @Argument(help: "What the clip shows.")
  var prompt: String
  @OptionGroup var size: SizeOption
  @OptionGroup var length: LengthOptions
  @OptionGroup var sampling: SamplingOptions
  @OptionGroup var model: ModelOptions

  var request: GenerationRequest {
    var request = GenerationRequest(prompt)
    request.apply(sampling)
    request.size = size.size
    request.durationSeconds = length.seconds
    request.frameCount = length.frames
    request.framesPerSecond = length.fps
    request.precision = model.precision
    return request
  }
}

struct Generate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Make a clip from words.")

  @OptionGroup var arguments: GenerateArguments
  @Option(help: "Also write a sheet of six frames, a .png or .jpg picture.")
  var sheet: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let path = output.output ?? FileNames.slug(of: arguments.prompt) + ".mp4"
    let options = WriteOptions(overwrite: output.overwrite)
    if let sheet { try ContactSheet.check(sheet, options) }
    let events = try await arguments.model.studio()
      .events(of: arguments.request, writingTo: path, options)
    if let file = try await ProgressDisplay(output.display).follow(events), let sheet {
      try ContactSheet(rows: [.init(file.highlights, label: file.recipe.title)])
        .render().write(to: sheet, options)
      ProgressDisplay(output.display).wrote(sheet)
    }
  }
}

/// What `image` and `plan image` are asked for.
struct ImageArguments: ParsableArguments {
  @Argument(help: "What the picture shows.")
  var prompt: String
  @OptionGroup var size: SizeOption
  @OptionGroup var sampling: SamplingOptions
  @OptionGroup var model: ModelOptions

  var request: GenerationRequest {
    var request = GenerationRequest(prompt)
    request.apply(sampling)
    request.size = size.size
    request.precision = model.precision
    return request
  }
}

struct Image: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Make a picture from words.")

  @OptionGroup var arguments: ImageArguments
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let path = output.output ?? FileNames.slug(of: arguments.prompt) + ".png"
    let events = try await arguments.model.studio().events(
      of: arguments.request, as: .image, writingTo: path,
      WriteOptions(overwrite: output.overwrite))
    _ = try await ProgressDisplay(output.display).follow(events)
  }
}

extension GenerationRequest {
  /// Takes over the options of sampling.
  mutating func apply(_ options: SamplingOptions) {
    negativePrompt = options.negative ?? ""
    seed = options.seed
    stepCount = options.steps
    guidanceScale = options.guidance
    guidanceRange = options.guidanceRange?.range ?? guidanceRange
    cacheThreshold = options.cache ?? cacheThreshold
    sampler = options.sampler
  }
}

extension ContactSheet {
  /// Finds out before any work whether a sheet can be written.
  static func check(_ path: String, _ options: WriteOptions) throws {
    try ClipWriter(path: path, size: FrameSize(16, 16), framesPerSecond: 25, options: options)
      .cancel()
  }
}
