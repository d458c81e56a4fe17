import Foundation
internal import KinoModels
internal import KinoWeights

extension WeightSet {
  /// Channels in a transformer's head as the `config.json` beside the weights says, which shapes don't tell;
  /// that of all published models without one.
  var headDimensionBeside: Int {
    guard case .integer(let value) = configurationBeside?.values["attention_head_dim"] else {
      return 128
    }
    return value
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
  /// What Kino can do with the network, and whether that is anything.
  var use: (runs: Bool, text: String) {
    switch network {
    case .transformer(let sizes):
      if sizes.inputChannels != sizes.outputChannels {
        return (false, "image to video: Kino computes the network, but no verb uses it yet")
      }
      if expert != nil {
        return (false, "one of two experts: Kino runs models of one transformer")
      }
      return (true, "text to video, and every verb of Kino")
    case .autoencoder: return (true, "pixels to latents and back")
    case .textEncoder: return (true, "prompts for a transformer")
    case .imageEncoder: return (false, "pictures for image to video, which no verb uses yet")
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
