import Foundation
internal import KinoModels
internal import KinoWeights

/// A network in a file of weights.
struct FoundNetwork {
  /// The file, or the index of its shards.
  let url: URL
  /// All weights there.
  let weights: WeightSet
  let form: CheckpointForm

  /// As a part of a model, with the configuration beside it if that is the network's own.
  var part: ModelParts.Part {
    let file = url.deletingLastPathComponent().appendingPathComponent("config.json")
    let configuration = try? ConfigurationFile(at: file)
    return ModelParts.Part(
      weights, configuration: configuration.flatMap { form.network.describes($0) ? $0 : nil })
  }

  /// Which half of the noise it is for, as its header says or the folder of a published layout.
  var expert: CheckpointForm.Expert? {
    form.expert ?? Self.experts[url.deletingLastPathComponent().lastPathComponent]
  }

  private static let experts: [String: CheckpointForm.Expert] = [
    "high_noise_model": .highNoise, "low_noise_model": .lowNoise,
    "HighNoise": .highNoise, "LowNoise": .lowNoise,
    "transformer_2": .lowNoise,
  ]

  /// Every network in a file.
  ///
  /// - Throws: `WeightsError` if the file is damaged, `ModelError` if Kino knows none of its networks.
  static func all(at url: URL) throws -> [FoundNetwork] {
    let weights = try WeightSet(at: url)
    return try CheckpointForm.recognise(in: weights, headDimension: weights.headDimensionBeside)
      .map { FoundNetwork(url: url, weights: weights, form: $0) }
  }

  /// Every network in the files of some folders, in their order, and why others could not be opened.
  static func all(in folders: [URL]) -> (networks: [FoundNetwork], failures: [any Error]) {
    var networks: [FoundNetwork] = []
    var failures: [any Error] = []
    for folder in folders {
      do {
        for place in try WeightSet.places(in: folder) {
          do { networks += try all(at: place) } catch { failures.append(error) }
        }
      } catch {
        failures.append(error)
      }
    }
    return (networks, failures)
  }
}

extension CheckpointForm.Network {
  /// Whether a configuration is that of such a network, in diffusers' or transformers' words.
  fileprivate func describes(_ configuration: ConfigurationFile) -> Bool {
    let names =
      [configuration.className].compactMap(\.self)
      + (configuration.values["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    return names.contains { name in
      switch self {
      case .transformer: name == "WanTransformer3DModel"
      case .autoencoder: name == "AutoencoderKLWan"
      case .textEncoder: name.hasPrefix("UMT5")
      case .imageEncoder: name.hasPrefix("CLIPVision")
      }
    }
  }
}

/// Folders in which the parts of a model may lie.
enum PartFolders {
  /// Names of folders in the layouts of diffusers, of the Wan repositories, and of ComfyUI.
  private static let names = [
    "transformer", "transformer_2", "high_noise_model", "low_noise_model", "HighNoise", "LowNoise",
    "diffusion_models", "unet", "vae", "text_encoder", "text_encoders", "clip", "clip_vision",
    "image_encoder", "tokenizer", "google/umt5-xxl",
  ]

  /// A folder, and those of its folders that layouts have, also under `split_files`.
  static func layout(of folder: URL) -> [URL] {
    let roots = [folder, folder.appendingPathComponent("split_files")]
    return (roots.map { [$0] + names.map($0.appendingPathComponent) }.flatMap(\.self))
      .filter(\.isFolder)
  }

  /// The folders around a file or a model's folder, the nearest first.
  static func around(_ url: URL) -> [URL] {
    let folder = url.isFolder ? url : url.deletingLastPathComponent()
    let own = layout(of: folder)
    // A file of a published layout has its parts in the folders beside its own.
    guard names.contains(folder.lastPathComponent) else { return own }
    let parent = folder.deletingLastPathComponent()
    return own + layout(of: parent).filter { !own.contains($0) }
  }

  private static let depth = 5
  private static let limit = 500

  /// All folders in some places, as far as caches of models nest; not those of models that were trained
  /// with parts of their own.
  static func all(in places: [URL]) -> [URL] {
    var result: [URL] = []
    var seen: Set<String> = []
    func add(_ folder: URL, depth: Int) {
      guard depth > 0, result.count < limit, folder.isFolder,
        seen.insert(folder.resolvingSymlinksInPath().path).inserted,
        !FileManager.default.fileExists(
          atPath: folder.appendingPathComponent(ModelProfile.fileName).path)
      else { return }
      result.append(folder)
      let children = try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      for child in children ?? [] where !child.hasPrefix(".") && child != "blobs" {
        add(folder.appendingPathComponent(child), depth: depth - 1)
      }
    }
    for place in places { add(place, depth: depth) }
    return result
  }
}
