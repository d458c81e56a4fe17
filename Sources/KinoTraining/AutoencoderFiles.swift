internal import Foundation
internal import Kino
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// The autoencoder whose latents a transformer learns from.
struct AutoencoderFiles {
  private let configuration: VideoAutoencoder.Configuration
  private let weights: WeightSet

  /// Opens a folder; that of a start model may be of any form that Kino loads.
  init(_ folder: URL, of start: StartModel?) throws {
    if let start, folder.standardizedFileURL == start.autoencoderFolder.standardizedFileURL {
      (configuration, weights) = (start.family.autoencoder, start.family.weights.autoencoder)
      return
    }
    configuration = try ConfigurationFile.read(
      VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
    weights = try WeightSet(inFolder: folder)
  }

  func load(_ computeType: DType, _ device: Device) throws -> VideoAutoencoder {
    try weights.load(computeType: computeType, device: device) {
      VideoAutoencoder($0, configuration: configuration)
    }
  }

  /// What latents depend on: another decoder leaves them as they are.
  func encoderHash() throws -> WeightsHash {
    try weightsHash(of: weights) { $0.hasPrefix("encoder.") || $0.hasPrefix("quant_conv.") }
  }
}
