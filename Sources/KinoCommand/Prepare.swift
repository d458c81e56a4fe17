import ArgumentParser
import Foundation
import Kino
import KinoTraining

struct Prepare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a folder of footage ready for training.",
    discussion: """
      Finds cuts, drops what is black or stands still, cuts clips of a useful length at their own size, \
      finds doubles, and takes captions from .txt files, manifest.jsonl, or a vision model. report.md and \
      sheet.png in the output tell what became of every file; data.yaml is for a training configuration. \
      A run that is stopped goes on where it was.
      """)

  @Argument(help: "A folder of clips and pictures; folders in it are looked into.")
  var folder: String
  @Option(help: "The folder to write: empty, or that of an earlier run.")
  var output: String
  @Option(help: "The shortest clip, in seconds.")
  var minSeconds = 1.0
  @Option(help: "The longest clip, in seconds; longer scenes are cut into equal pieces.")
  var maxSeconds = 5.0
  @Option(help: "Frames per second of the clips; without it, each file's own.")
  var fps: FrameRate?
  @Option(help: "The longest shorter side in pixels; larger footage is made smaller.")
  var side: Int?
  @Flag(help: "Keep parts in which nothing moves.")
  var keepStill = false
  @Flag(help: "Keep clips without a caption, as an autoencoder's training takes them.")
  var uncaptioned = false
  @Flag(
    help: """
      Ask the chat endpoint of ~/.config/kino/expand.yaml, which must see pictures, for captions that are \
      missing.
      """)
  var describe = false
  @OptionGroup var display: DisplayOptions

  func run() async throws {
    var settings = PreparationSettings()
    settings.minimumSeconds = minSeconds
    settings.maximumSeconds = maxSeconds
    settings.framesPerSecond = fps?.framesPerSecond
    settings.maximumSide = side
    settings.keepsStill = keepStill
    settings.keepsUncaptioned = uncaptioned
    let preparation = try FootagePreparation(
      folder: URL(fileURLWithPath: folder), output: URL(fileURLWithPath: output),
      settings: settings, describer: describe ? try describer() : nil)
    let display = ProgressDisplay(display)
    let report = try await preparation.run { event in
      if case .source(_, let index, let count) = event {
        display.progress("file", index, of: count)
      }
    }
    display.summarize(report)
    display.wrote(URL(fileURLWithPath: output).appendingPathComponent("report.md").path)
  }

  private func describer() throws -> ClipDescriber {
    let environment = ProcessInfo.processInfo.environment
    let file = ChatSettings.file(environment: environment)
    return try ClipDescriber(ChatSettings(contentsOf: file), environment: environment)
  }
}
