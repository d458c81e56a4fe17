public import ArgumentParser
import Foundation
import Kino
import KinoTraining
public import KinoWorld

extension CaptionLanguage: ExpressibleByArgument {
  /// Reads `en` or `ru`.
  public init?(argument: String) {
    switch argument {
    case "en": self = .english
    case "ru": self = .russian
    default: return nil
    }
  }

  /// What is typed.
  public static var allValueStrings: [String] { ["en", "ru"] }
  /// As it is typed.
  public var defaultValueDescription: String { self == .english ? "en" : "ru" }
}

struct World: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Render ground-truth clips of the procedural world, with captions.",
    discussion: """
      A prompt shows what it names; a seed draws a scene. An output with the extension of a clip is \
      one file, any other a folder, which gets a clip and a .txt caption per seed and manifest.jsonl.
      """)

  @Argument(help: "What to show, in English or Russian.")
  var prompt: String?
  @Option(help: "The seed of the first scene.")
  var seed: UInt64?
  @Option(help: "The number of clips, of successive seeds.")
  var count: Int = 1
  @OptionGroup var size: SizeOption
  @OptionGroup var length: LengthOptions
  @Option(help: "Frames per second.")
  var fps: FrameRate?
  @Option(help: "The language of the captions.")
  var language: CaptionLanguage = .english
  @Option(help: "Also write a sheet of six frames of the one clip, a .png or .jpg picture.")
  var sheet: String?
  @Flag(help: "Draw only scenes with combinations that training never shows.")
  var heldOut = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if prompt != nil && (seed != nil || heldOut) {
      throw ValidationError("Give either a prompt, or --seed and --held-out.")
    }
    if prompt != nil && count != 1 {
      throw ValidationError("A prompt makes one clip; leave --count out.")
    }
    if sheet != nil && count != 1 {
      throw ValidationError("--sheet shows one clip; leave --count out.")
    }
    if !(1...1_000_000 ~= count) { throw ValidationError("--count must be in 1...1000000.") }
    if (seed ?? 0) > UInt64.max - UInt64(count) { throw ValidationError("--seed is too large.") }
    if length.seconds != nil && length.frames != nil {
      throw ValidationError("Give either --seconds or --frames.")
    }
  }

  func run() async throws {
    let data = try dataset()
    let display = ProgressDisplay(output.display)
    let first = seed ?? 0
    let subjects: [WorldDataset.Subject] =
      prompt.map { [.prompt($0)] } ?? (0..<UInt64(count)).map { .seed(first + $0) }
    let path = output.output ?? (count == 1 ? defaultName(subjects[0]) : "world")
    if count == 1 && (try? MediaFormat(path: path)) != nil {
      let options = WriteOptions(overwrite: output.overwrite)
      if let sheet { try ContactSheet.check(sheet, options) }
      try data.write(subjects[0], to: URL(fileURLWithPath: path))
      display.wrote(path)
      if let sheet {
        try ContactSheet(rows: [.init(try Clip.read(path), label: prompt)])
          .render().write(to: sheet, options)
        display.wrote(sheet)
      }
    } else {
      try data.write(subjects, into: URL(fileURLWithPath: path)) { done, url in
        display.progress("clip", done, of: subjects.count)
      }
      display.wrote(path)
    }
  }

  private func dataset() throws -> WorldDataset {
    var data = WorldDataset()
    data.size = size.size ?? data.size
    data.framesPerSecond = fps?.framesPerSecond ?? data.framesPerSecond
    if let seconds = length.seconds {
      guard seconds > 0 && seconds <= Limits.durationSeconds else {
        throw ValidationError("--seconds must be in 0...\(Int(Limits.durationSeconds)).")
      }
      data.frameCount = max(1, Int((seconds * data.framesPerSecond).rounded()))
    }
    data.frameCount = length.frames ?? data.frameCount
    data.language = language
    data.split = heldOut ? .heldOut : .training
    data.overwrite = output.overwrite
    try data.validate()
    return data
  }

  private func defaultName(_ subject: WorldDataset.Subject) -> String { subject.name + ".mp4" }
}
