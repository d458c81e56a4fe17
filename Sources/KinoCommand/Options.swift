public import ArgumentParser
import Foundation
public import Kino
public import KinoMedia

extension FrameSize: ExpressibleByArgument {
  /// Reads `WIDTHxHEIGHT`.
  public init?(argument: String) { self.init(parsing: argument) }
  /// The size as it is typed.
  public var defaultValueDescription: String { description }
}

extension Precision: ExpressibleByArgument {}
extension SamplerKind: ExpressibleByArgument {}
extension ComputeDevice: ExpressibleByArgument {}
extension ProbeStage: ExpressibleByArgument {}
extension FitMode: ExpressibleByArgument {}
extension FrameRate: ExpressibleByArgument {}

extension LoRAFile: ExpressibleByArgument {
  /// Reads `FILE` or `FILE:WEIGHT`.
  public init?(argument: String) { self.init(parsing: argument) }
}

/// A range of noise, typed `LOW:HIGH`.
struct NoiseRange: ExpressibleByArgument {
  let range: ClosedRange<Double>

  init?(argument: String) {
    let ends = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
    // Written so that NaN fails.
    guard ends.count == 2, let low = ends[0], let high = ends[1], low <= high else { return nil }
    range = low...high
  }
}

/// Which model computes, and where.
struct ModelOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model: a name, a folder, or the file of a transformer.", valueName: "name|path"))
  var model: String?
  @OptionGroup var parts: PartOptions
  @Option(
    name: .customLong("lora"),
    help: ArgumentHelp(
      "A LoRA to add to the model, and how much of it; may be given several times.",
      valueName: "file[:weight]"))
  var loras: [LoRAFile] = []
  @Option(
    help: "The type to compute in: f32, bf16 or int8; without it, the faster of the first two.")
  var precision: Precision?
  @Option(help: "Where to compute: cpu, cuda or mps.")
  var device: ComputeDevice = .cpu
  @Option(help: "Threads of one operation; without it, all cores.")
  var threads: Int?

  var source: ModelSource { model.map { ModelSource($0) } ?? .bundled }

  func studio() async throws -> Studio {
    try await Studio(
      model: source, files: parts.files, loras: loras, device: device, threadCount: threads)
  }
}

/// Files of a model's parts, in place of those that are found beside it.
struct PartOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The autoencoder's file.", valueName: "file"))
  var vae: String?
  @Option(help: ArgumentHelp("The text encoder's file.", valueName: "file"))
  var textEncoder: String?
  @Option(help: ArgumentHelp("The tokenizer, a spiece.model.", valueName: "file"))
  var tokenizer: String?
  @Option(help: ArgumentHelp("The image encoder's file.", valueName: "file"))
  var clipVision: String?
  @Option(
    help: ArgumentHelp(
      "The second of two transformers, for low noise; none if there is only one.",
      valueName: "file|none"))
  var lowNoise: String?

  var files: ModelFiles {
    func file(_ path: String?) -> URL? {
      path.map { URL(fileURLWithPath: $0.expandingTilde) }
    }
    var files = ModelFiles()
    files.autoencoder = file(vae)
    files.textEncoder = file(textEncoder)
    files.tokenizer = file(tokenizer)
    files.imageEncoder = file(clipVision)
    files.lowNoise = lowNoise.map { ModelFiles.LowNoise($0) }
    return files
  }
}

/// The shape of a clip.
struct SizeOption: ParsableArguments {
  @Option(help: ArgumentHelp("The size of the result in pixels.", valueName: "WxH"))
  var size: FrameSize?
}

/// The length of a clip.
struct LengthOptions: ParsableArguments {
  @Option(help: "The length in seconds.")
  var seconds: Double?
  @Option(help: "The length in frames, instead of seconds.")
  var frames: Int?
}

/// How a clip is sampled.
struct SamplingOptions: ParsableArguments {
  @Option(help: "What not to show.")
  var negative: String?
  @Option(help: "The same seed gives the same frames; without it, one is drawn.")
  var seed: UInt64?
  @Option(help: "Sampling steps.")
  var steps: Int?
  @Option(help: "The strength of the prompt; 1 leaves the negative prompt out.")
  var guidance: Double?
  @Option(help: "The strength of the prompt at low noise, for models of two transformers.")
  var lowNoiseGuidance: Double?
  @Option(
    help: ArgumentHelp(
      "The noise, 0 to 1, at which guidance is on; elsewhere a step costs half.",
      valueName: "low:high"))
  var guidanceRange: NoiseRange?
  @Option(help: "The strength of frames that are known, beside new ones; 1 adds nothing.")
  var historyGuidance: Double?
  @Option(help: "How far steps lean to high noise; 1 spreads them evenly.")
  var shift: Double?
  @Option(
    help: "Leave out most of a step that changes by less than this share, such as 0.1: less exact.")
  var cache: Double?
  @Option(help: "How steps are made; lcm and euler-ancestral suit models distilled to few steps.")
  var sampler: SamplerKind = .uniPC

  var settings: SamplingSettings {
    var settings = SamplingSettings(seed: seed, stepCount: steps, guidanceScale: guidance)
    settings.lowNoiseGuidanceScale = lowNoiseGuidance
    settings.guidanceRange = guidanceRange?.range
    settings.historyGuidanceScale = historyGuidance
    settings.shift = shift
    settings.cacheThreshold = cache
    settings.sampler = sampler
    return settings
  }
}

/// Where the result goes.
struct OutputOptions: ParsableArguments {
  @Option(help: "The file to write; its extension chooses the format.")
  var output: String?
  @Flag(help: "Replace a file that exists.")
  var overwrite = false
  @OptionGroup var display: DisplayOptions
}

/// How progress is shown.
struct DisplayOptions: ParsableArguments {
  @Flag(help: "Print JSON lines on standard output.")
  var json = false
  @Flag(help: "Show no progress.")
  var quiet = false
}
