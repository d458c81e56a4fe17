import Foundation
internal import KinoModels
internal import KinoWeights

/// Networks whose weights may be of any form and have any publisher's names.
extension ModelParts {
  func autoencoder() throws -> (VideoAutoencoder.Configuration, WeightSet) {
    try sizes(of: network("vae"), for: "vae", named: "decoder.conv_in.weight") { network in
      if case .autoencoder(let sizes) = network { sizes } else { nil }
    }
  }

  func transformer(
    _ component: String = "transformer"
  ) throws -> (DiffusionTransformer.Configuration, WeightSet) {
    try sizes(of: network(component), for: component, named: "proj_out.weight") { network in
      if case .transformer(let sizes) = network { sizes } else { nil }
    }
  }

  func textEncoder() throws -> (UMT5Encoder.Configuration, WeightSet) {
    let ours = "encoder.final_layer_norm.weight"
    return try sizes(of: network("text_encoder"), for: "text_encoder", named: ours) { network in
      if case .textEncoder(let sizes) = network { sizes } else { nil }
    }
  }

  func imageEncoder() throws -> (ImageEncoder.Configuration, WeightSet) {
    let ours = "vision_model.post_layernorm.weight"
    return try sizes(of: network("image_encoder"), for: "image_encoder", named: ours) { network in
      if case .imageEncoder(let sizes) = network { sizes } else { nil }
    }
  }

  /// The sizes of a network, and its weights under our names.
  ///
  /// - Parameters:
  ///   - part: The weights; without a configuration, they tell their sizes.
  ///   - component: What it is for.
  ///   - ours: A parameter that tells our names.
  ///   - sizes: The sizes of a network of the component's kind; `nil` for another kind.
  /// - Returns: The sizes and the weights.
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  private func sizes<Sizes: Decodable>(
    of part: Part, for component: String, named ours: String,
    sizes: (CheckpointForm.Network) -> Sizes?
  ) throws -> (Sizes, WeightSet) {
    let weights = part.weights
    let described: Sizes? = try part.configuration?.decode()
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
