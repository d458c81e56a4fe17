import ArgumentParser
import Foundation
import Kino
import KinoEvaluation
import KinoModels
import KinoTensor
import KinoWeights

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure what a model does on data it never saw.",
    subcommands: [OfModel.self, OfAutoencoder.self])

  struct OfAutoencoder: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "autoencoder",
      abstract: "PSNR and SSIM after encoding and decoding, on unseen scenes and on real footage.",
      discussion: """
        Beside whole frames, PSNR of what moves (within 4 pixels of a change of more than an eighth of \
        the range since the frame before), of all else, of first frames, and of the first to last frame \
        of a latent.
        """)

    @Argument(help: "The autoencoder's folder: config.json and weights.")
    var folder: String
    @Option(help: ArgumentHelp("The size of the scenes in pixels.", valueName: "WxH"))
    var size: FrameSize = AutoencoderEvaluation.WorldSet().size
    @Option(help: "The length of the scenes in frames.")
    var frames: Int = AutoencoderEvaluation.WorldSet().frames
    @Option(help: "Frames per second of the scenes.")
    var fps: Double = AutoencoderEvaluation.WorldSet().framesPerSecond
    @Option(help: "The number of scenes.")
    var count: Int = AutoencoderEvaluation.WorldSet().count
    @Option(
      help: """
        Also write the eight scenes in which most moves, the original beside the restored, a .png or \
        .jpg picture.
        """)
    var sheet: String?
    @Flag(help: "Replace a sheet that exists.")
    var overwrite = false
    @Option(help: "A folder of pictures and clips to restore, beside the procedural world.")
    var footage: String?
    @OptionGroup var display: DisplayOptions

    private var scenes: AutoencoderEvaluation.WorldSet {
      var set = AutoencoderEvaluation.WorldSet()
      (set.size, set.frames, set.framesPerSecond, set.count) = (size, frames, fps, count)
      return set
    }

    func run() throws {
      let url = URL(fileURLWithPath: folder)
      let shape = try ConfigurationFile.read(
        VideoAutoencoder.Configuration.self, at: url.appendingPathComponent("config.json"))
      let type: DType = Engine.prefersBFloat16 ? .bfloat16 : .float32
      let autoencoder = try WeightSet(inFolder: url).load(computeType: type) {
        VideoAutoencoder($0, configuration: shape)
      }
      let evaluation = AutoencoderEvaluation(autoencoder, computeType: type)
      let options = WriteOptions(overwrite: overwrite)
      if let objection = evaluation.objection(to: scenes) {
        throw StudioError(.invalidSetting, objection)
      }
      if let sheet { try ContactSheet.check(sheet, options) }
      let world = evaluation.world(scenes, showing: sheet == nil ? 0 : 8)
      try show(world.score)
      if let sheet {
        let rows = world.shown.map { ContactSheet.Row($0.sideBySide, label: $0.score.line) }
        try ContactSheet(rows: rows, columnCount: 4).render().write(to: sheet, options)
        ProgressDisplay(display).wrote(sheet)
      }
      guard let footage else { return }
      let data = URL(fileURLWithPath: footage)
      try show(evaluation.footage(in: data, frames: 1))
      try show(evaluation.footage(in: data, frames: 17))
    }

    private func show(_ score: AutoencoderEvaluation.Score) throws {
      if display.json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        ProgressDisplay(display).output(
          String(decoding: try encoder.encode(score), as: UTF8.self))
      } else {
        let figures = String(format: "PSNR %.2f dB, SSIM %.4f", score.psnr, score.ssim)
        let parts = score.parts.map { "\n  PSNR in dB: \($0.line)" } ?? ""
        ProgressDisplay(display).output("\(score.set): \(figures) (\(score.count))\(parts)")
      }
    }
  }
}

extension RestorationScore {
  /// The figures on one line; a part that no clip has is left out.
  fileprivate var line: String {
    func text(_ name: String, _ value: Double?) -> String? {
      value.map { "\(name) \(String(format: "%.1f", $0))" }
    }
    let parts = [text("moving", moving), text("still", still), text("first frame", firstFrame)]
    let latents = latentFrames.compactMap { $0.map { String(format: "%.1f", $0) } }
    return
      (parts.compactMap(\.self)
      + (latents.isEmpty ? [] : ["frames of a latent " + latents.joined(separator: " ")]))
      .joined(separator: ", ")
  }
}
