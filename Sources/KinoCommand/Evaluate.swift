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
      abstract: "PSNR and SSIM after encoding and decoding, on unseen scenes and on real footage.")

    @Argument(help: "The autoencoder's folder: config.json and weights.")
    var folder: String
    @Option(help: "A folder of pictures and clips to restore, beside the procedural world.")
    var footage: String?
    @Flag(help: "Tell everything as lines of JSON on standard output.")
    var json = false

    func run() throws {
      let url = URL(fileURLWithPath: folder)
      let shape = try ConfigurationFile.read(
        VideoAutoencoder.Configuration.self, at: url.appendingPathComponent("config.json"))
      let type: DType = Engine.prefersBFloat16 ? .bfloat16 : .float32
      let autoencoder = try WeightSet(inFolder: url).load(computeType: type) {
        VideoAutoencoder($0, configuration: shape)
      }
      let evaluation = AutoencoderEvaluation(autoencoder, computeType: type)
      try show(evaluation.world())
      guard let footage else { return }
      let data = URL(fileURLWithPath: footage)
      try show(evaluation.footage(in: data, frames: 1))
      try show(evaluation.footage(in: data, frames: 17))
    }

    private func show(_ score: AutoencoderEvaluation.Score) throws {
      if json {
        print(String(decoding: try JSONEncoder().encode(score), as: UTF8.self))
      } else {
        let figures = String(format: "PSNR %.2f dB, SSIM %.4f", score.psnr, score.ssim)
        print("\(score.set): \(figures) (\(score.count))")
      }
    }
  }
}
