import Foundation
internal import KinoModels
internal import KinoWeights

/// Components whose weights may be of any form and have any publisher's names.
extension ModelFolder {
  func autoencoder() throws -> (VideoAutoencoder.Configuration, WeightSet) {
    try part("vae", named: "decoder.conv_in.weight") { network in
      if case .autoencoder(let sizes) = network { sizes } else { nil }
    }
  }

  func transformer() throws -> (DiffusionTransformer.Configuration, WeightSet) {
    try part("transformer", named: "proj_out.weight") { network in
      if case .transformer(let sizes) = network { sizes } else { nil }
    }
  }

  func textEncoder() throws -> (UMT5Encoder.Configuration, WeightSet) {
    try part("text_encoder", named: "encoder.final_layer_norm.weight") { network in
      if case .textEncoder(let sizes) = network { sizes } else { nil }
    }
  }

  /// Opens a component: sizes, and weights under our names.
  ///
  /// - Parameters:
  ///   - component: Its folder; without a `config.json`, the weights tell their sizes.
  ///   - ours: A parameter that tells our names.
  ///   - sizes: The sizes of a network of the component's kind; `nil` for another kind.
  /// - Returns: The sizes and the weights.
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  private func part<Sizes: Decodable>(
    _ component: String, named ours: String, sizes: (CheckpointForm.Network) -> Sizes?
  ) throws -> (Sizes, WeightSet) {
    let file = try folder(of: component).appendingPathComponent("config.json")
    let isDescribed = FileManager.default.fileExists(atPath: file.path)
    let described: Sizes? = isDescribed ? try ConfigurationFile(at: file).decode() : nil
    let weights = try weights(of: component)
    if let described, weights[ours] != nil { return (described, weights) }
    let forms: [CheckpointForm]
    do {
      forms = try CheckpointForm.recognise(in: weights, headDimension: weights.headDimensionBeside)
    } catch {
      // Weights that lack a key under our names are told so when they are loaded.
      guard let described else { throw error }
      return (described, weights)
    }
    for form in forms {
      if let told = sizes(form.network) { return (described ?? told, form.weights) }
    }
    throw StudioError(
      .invalidModel,
      """
      \(weights.url.path): expected a network for \(component), found \
      \(forms.map(\.network.name).joined(separator: ", ")). Put the right file there.
      """)
  }
}
