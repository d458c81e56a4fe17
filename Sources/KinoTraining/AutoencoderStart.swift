internal import Foundation
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// A trained autoencoder that another one starts from.
///
/// One that folds larger patches of pixels starts as the same network on pictures reduced to the smaller
/// patch: the first layer takes the mean of the pixels that one pixel stood for, the last one gives them
/// all its value. It has the same latents from the first step, and only has to learn the finer detail.
struct AutoencoderStart {
  private let folder: URL
  private let configuration: VideoAutoencoder.Configuration

  init(folder: URL) throws {
    self.folder = folder
    configuration = try ConfigurationFile.read(
      VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
  }

  /// Gives parameters their first values.
  ///
  /// - Throws: ``TrainingError`` where the patch is no multiple of the stored one; an error of the files.
  func copy(
    into parameters: [(key: String, value: Tensor)], of model: VideoAutoencoder.Configuration
  ) throws {
    let weights = try WeightSet(inFolder: folder)
    guard model.patch != configuration.patch else { return try weights.copy(into: parameters) }
    guard model.patch % configuration.patch == 0 else {
      throw TrainingError(
        .invalidConfiguration,
        "\(folder.path): its patch is \(configuration.patch), of which \(model.patch) is no multiple."
      )
    }
    let factor = model.patch / configuration.patch
    let small = parameters.map { key, value in (key: key, value: reduced(key, value, factor)) }
    try weights.copy(into: small)
    for (target, source) in zip(parameters, small) where target.value.shape != source.value.shape {
      let isInput = source.value.rank == 5 && target.key.hasPrefix("encoder.")
      let spread = self.spread(source.value, along: isInput ? 1 : 0, factor: factor)
      target.value.assign(inPlace: isInput ? spread / Double(factor * factor) : spread)
    }
  }

  /// A tensor of the stored shape for a layer that touches pixels; the parameter itself for all others.
  private func reduced(_ key: String, _ value: Tensor, _ factor: Int) -> Tensor {
    let axis: Int
    switch key {
    case "encoder.conv_in.weight": axis = 1
    case "decoder.conv_out.weight", "decoder.conv_out.bias": axis = 0
    default: return value
    }
    var shape = value.shape
    shape[axis] /= factor * factor
    return .zeros(shape, device: value.device)
  }

  /// Repeats every pixel of a patch over a square of pixels; the column within a patch is the slower index.
  private func spread(_ x: Tensor, along axis: Int, factor: Int) -> Tensor {
    let patch = configuration.patch
    let (before, after) = (Array(x.shape[..<axis]), Array(x.shape[(axis + 1)...]))
    let channels = x.size(axis) / (patch * patch)
    let apart = x.reshaped(to: before + [channels, patch, patch] + after)
    return apart.repeated(factor, along: axis + 1).repeated(factor, along: axis + 2)
      .reshaped(to: before + [channels * patch * patch * factor * factor] + after)
  }
}
