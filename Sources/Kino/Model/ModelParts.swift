package import Foundation
package import KinoWeights

/// What a model is made of, whatever the layout on disk: the weights of each network, and what stands beside
/// them.
///
/// Made from a folder of diffusers' layout, or by a family from loose files.
package struct ModelParts: Sendable {
  /// The weights of one network.
  package struct Part: Sendable {
    /// The weights, in any publisher's names; other networks' may be among them.
    package let weights: WeightSet
    /// The configuration beside them, if it is one of the network's class; without it, shapes tell.
    package let configuration: ConfigurationFile?

    package init(_ weights: WeightSet, configuration: ConfigurationFile? = nil) {
      self.weights = weights
      self.configuration = configuration
    }
  }

  /// The model's folder, or the file that was named.
  package let url: URL
  /// The index of a folder in diffusers' layout; `nil` for loose files.
  package let index: ModelIndex?
  /// Networks by component, in diffusers' words: `transformer`, `transformer_2`, `vae`, `text_encoder`,
  /// `image_encoder`.
  package var networks: [String: Part]
  /// The tokenizer; `nil` if the text encoder's file carries it.
  package var tokenizer: URL?
  /// The scheduler's configuration, if there is one.
  package var scheduler: ConfigurationFile?
  /// What has to be named besides ``url`` to open the same model again.
  package var files = ModelFiles()

  package init(at url: URL, networks: [String: Part]) {
    self.url = url
    self.networks = networks
    index = nil
  }

  /// Opens the components of a folder in diffusers' layout, some of which may be replaced by files.
  ///
  /// - Throws: `WeightsError` if a listed component is not there or damaged.
  package init(_ folder: ModelFolder, replacing files: ModelFiles = ModelFiles()) throws {
    (url, index, networks, self.files) = (folder.url, folder.index, [:], files)
    let replaced: [String: URL?] = [
      "vae": files.autoencoder, "text_encoder": files.textEncoder,
      "image_encoder": files.imageEncoder,
    ]
    for component in Self.components where folder.index.lists(component) {
      if let file = replaced[component] ?? nil {
        networks[component] = Part(try WeightSet(at: file))
        continue
      }
      let config = try folder.folder(of: component).appendingPathComponent("config.json")
      let isDescribed = FileManager.default.fileExists(atPath: config.path)
      networks[component] = Part(
        try folder.weights(of: component),
        configuration: isDescribed ? try ConfigurationFile(at: config) : nil)
    }
    switch files.lowNoise {
    case .file(let file): networks["transformer_2"] = Part(try WeightSet(at: file))
    case .single: networks["transformer_2"] = nil
    case nil: break
    }
    tokenizer = try files.tokenizer ?? Self.tokenizer(of: folder)
    if folder.index.lists("scheduler") {
      scheduler = try folder.configuration(of: "scheduler", file: "scheduler_config.json")
    }
  }

  private static func tokenizer(of folder: ModelFolder) throws -> URL? {
    guard folder.index.lists("tokenizer") else { return nil }
    return try folder.file("spiece.model", of: "tokenizer")
  }

  private static let components = [
    "transformer", "transformer_2", "vae", "text_encoder", "image_encoder",
  ]

  /// A network that there must be.
  ///
  /// - Throws: ``StudioError`` if it is not among the parts.
  package func network(_ component: String) throws(StudioError) -> Part {
    if let part = networks[component] { return part }
    let found = networks.keys.sorted().joined(separator: ", ")
    throw StudioError(
      .invalidModel,
      "\(url.path): expected a component \(component), found \(found.isEmpty ? "none" : found).")
  }

  /// The files that the hash of the model covers, by names that do not depend on where they are; `nil` for
  /// all of the folder.
  var hashedFiles: [(name: String, url: URL)]? {
    if index != nil && files == ModelFiles() { return nil }
    var result: [(name: String, url: URL)] = []
    for (component, part) in networks.sorted(by: { $0.key < $1.key }) {
      for (number, file) in part.weights.files.enumerated() {
        result.append(("\(component)/\(number)", file.url))
      }
    }
    if let tokenizer { result.append(("tokenizer", tokenizer)) }
    return result
  }
}

extension ModelIndex {
  /// Whether a component is there, not only named.
  fileprivate func lists(_ component: String) -> Bool { components[component]?.className != nil }
}
