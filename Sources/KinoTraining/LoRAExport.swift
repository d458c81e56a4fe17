internal import Foundation
internal import Kino
internal import KinoModels
internal import KinoNN
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights

/// Writes trained adapters as one file that Kino (`--lora`) and diffusers (`load_lora_weights`) load.
struct LoRAExport {
  let adapters: LowRankAdapters
  /// The model that they are for.
  let start: StartModel

  /// The name that diffusers looks for in a folder.
  static let fileName = "pytorch_lora_weights.safetensors"

  /// The settings of PEFT for these adapters, which diffusers reads from the header; without them it would
  /// take alpha for the rank.
  private struct Settings: Encodable {
    let alpha: Double
    let rank: Int
    let targets: [String]

    enum CodingKeys: String, CodingKey {
      case alpha = "transformer.lora_alpha"
      case rank = "transformer.r"
      case targets = "transformer.target_modules"
    }
  }

  /// Writes averaged adapters.
  ///
  /// - Parameters:
  ///   - averages: By checkpoint key.
  ///   - url: The file, if its name ends in `.safetensors`; else a folder for it.
  /// - Throws: Errors of the files, or of an adapter that does not fit its model.
  func write(_ averages: [(key: String, value: Tensor)], to url: URL) throws {
    var file = url
    if url.pathExtension != "safetensors" {
      try TrainingError.makeFolder(url)
      file = url.appendingPathComponent(Self.fileName)
    }
    let settings = try Settings(
      alpha: adapters.alpha, rank: adapters.rank, targets: adapters.targets
    ).sortedJSON
    try SafetensorsFile.write(
      averages.map { (key: $0.key, value: $0.value.moved(to: .cpu)) }, to: file, dtype: .float32,
      metadata: [
        "format": "pt", "lora_adapter_metadata": String(decoding: settings, as: UTF8.self),
      ])
    _ = try LoRA(at: file).merged(into: start.family.weights.transformer)
  }
}
