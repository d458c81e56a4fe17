import Foundation
internal import KinoModels
package import KinoWeights

extension WeightSet {
  /// Channels in a transformer's head as the `config.json` beside the weights says, which shapes don't tell;
  /// that of all published models without one.
  var headDimensionBeside: Int {
    let values = configurationBeside?.values ?? [:]
    if case .integer(let value) = values["attention_head_dim"] { return value }
    // In the words of the Wan repositories.
    if case .integer(let width) = values["dim"], case .integer(let heads) = values["num_heads"],
      heads > 0, width.isMultiple(of: heads)
    {
      return width / heads
    }
    return 128
  }

  /// The class that the `config.json` beside the weights names.
  var classNameBeside: String? { configurationBeside?.className }

  private var configurationBeside: ConfigurationFile? {
    try? ConfigurationFile(at: WeightSet.folder(of: url).appendingPathComponent("config.json"))
  }

  /// The folder that weights lie in: the folder itself if they were opened by it.
  private static func folder(of url: URL) -> URL {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
    return isFolder.boolValue ? url : url.deletingLastPathComponent()
  }
}

extension WanFamily {
  package static func networks(in weights: WeightSet) throws -> [RecognisedNetwork] {
    try CheckpointForm.recognise(in: weights, headDimension: weights.headDimensionBeside).map {
      form in
      RecognisedNetwork(
        name: form.network.name, names: form.namesInWords, sizes: form.sizes, use: form.use,
        models: form.models, expert: form.expert.map { "\($0.rawValue) noise" },
        weights: form.weights, architecture: form.network.ggufArchitecture,
        ggufWeights: form.ggufWeights)
    }
  }
}

extension CheckpointForm.Network {
  /// The kind in one word, as facts and options name it.
  var name: String {
    switch self {
    case .transformer: "transformer"
    case .autoencoder: "autoencoder"
    case .textEncoder: "text_encoder"
    case .imageEncoder: "image_encoder"
    }
  }
}

extension CheckpointForm {
  /// What Kino can do with the network, in words.
  var use: String {
    switch network {
    case .transformer(let sizes):
      let use = FrameConditioning(sizes).use
      return expert == nil ? use : "one of two experts; \(use)"
    case .autoencoder: return "pixels to latents and back"
    case .textEncoder: return "prompts for a transformer"
    case .imageEncoder: return "pictures, for image to video of Wan 2.1"
    }
  }

  /// Whose names the file has, and what stands before them.
  var namesInWords: String {
    let names =
      switch style {
      case .diffusers: "diffusers and transformers"
      case .original: "the Wan repositories"
      case .llama: "llama.cpp"
      }
    return prefix.isEmpty ? names : "\(names), behind \(quoted(prefix))"
  }

  /// The sizes that tell networks of a kind apart.
  var sizes: String {
    switch network {
    case .transformer(let sizes):
      "width \(sizes.headCount * sizes.headDimension), \(sizes.layerCount) layers, "
        + "\(sizes.inputChannels) channels in, \(sizes.outputChannels) out"
    case .autoencoder(let sizes):
      "\(sizes.latentChannels) channels, "
        + "\(sizes.temporalScale)x\(sizes.spatialScale)x\(sizes.spatialScale)"
    case .textEncoder(let sizes):
      "width \(sizes.width), \(sizes.layerCount) layers, \(sizes.vocabularySize) pieces"
    case .imageEncoder(let sizes): "width \(sizes.width), \(sizes.layerCount) layers"
    }
  }
}

extension CheckpointForm {
  /// The weights under the names that GGUF files of transformers have, those of the Wan repositories.
  fileprivate func ggufWeights() throws -> WeightSet {
    guard case .transformer = network else { return weights }
    return try weights.renamed { KeyStyles.transformer.foreign(for: $0) ?? $0 }
  }
}

extension CheckpointForm.Network {
  /// The name of the architecture in a GGUF file's header.
  fileprivate var ggufArchitecture: String {
    switch self {
    case .transformer: "wan"
    case .autoencoder: "wan_vae"
    case .textEncoder: "t5encoder"
    case .imageEncoder: "clip"
    }
  }
}
