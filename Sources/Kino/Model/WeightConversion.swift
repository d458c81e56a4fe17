public import Foundation
internal import KinoModels
public import KinoWeights

/// Converts weights of any form that Kino reads to safetensors under the names of diffusers, or to GGUF.
///
/// ```swift
/// let conversion = WeightConversion(precision: .q80)
/// try conversion.convert(URL(fileURLWithPath: "wan.pth"), to: URL(fileURLWithPath: "wan.gguf"))
/// ```
public struct WeightConversion: Sendable {
  /// The type of the weights; `nil` keeps it, and makes packed weights bfloat16 in safetensors files and
  /// Q8_0 in GGUF files.
  public var precision: WeightPrecision?
  /// Whether a file or folder at the place of the output is replaced.
  public var isReplacing: Bool
  /// Adapters to merge into the transformer, in order.
  public var loras: [LoRAFile]

  /// Describes a conversion.
  public init(
    precision: WeightPrecision? = nil, isReplacing: Bool = false, loras: [LoRAFile] = []
  ) {
    self.precision = precision
    self.isReplacing = isReplacing
    self.loras = loras
  }

  /// Converts one network, or a model's folder.
  ///
  /// The output appears when it is complete and has been read back: every number is that of the input
  /// within the rounding of its type.
  ///
  /// - Parameters:
  ///   - input: A file, an index of shards or a folder of one network, or a folder with `model_index.json`.
  ///   - output: The file, GGUF if its name ends in `.gguf`; for a model its folder.
  /// - Returns: What was converted, in words.
  /// - Throws: ``StudioError`` if the output exists or can't be of this form, `ModelError` if Kino does not
  ///   know the network or an adapter is for another one, `WeightsError` if reading, writing or the check fails.
  @discardableResult
  public func convert(_ input: URL, to output: URL) throws -> String {
    guard isReplacing || !FileManager.default.fileExists(atPath: output.path) else {
      throw StudioError(
        .outputExists, "\(output.path): There is such a file; choose another, or replace it.")
    }
    let isGGUF = output.pathExtension.lowercased() == "gguf"
    if let precision, precision.packed != nil, !isGGUF {
      throw StudioError(
        .invalidSetting,
        "\(precision.rawValue) is a type of GGUF files; end the output's name in .gguf, or take bf16."
      )
    }
    let index = input.appendingPathComponent("model_index.json")
    if FileManager.default.fileExists(atPath: index.path) {
      if isGGUF {
        throw StudioError(
          .invalidSetting,
          "A model's folder becomes a folder; convert its networks one by one to .gguf files.")
      }
      return try convert(model: ModelFolder(at: input), to: output)
    }
    return try convert(network: WeightSet(at: input), to: output, isGGUF: isGGUF)
  }

  // MARK: - One network

  private func convert(network weights: WeightSet, to output: URL, isGGUF: Bool) throws -> String {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: output.path, isDirectory: &isFolder),
      isFolder.boolValue
    {
      throw StudioError(
        .outputExists, "\(output.path): expected the name of a file, found a folder.")
    }
    let networks = try Model.networks(in: weights)
    guard let network = networks.first, networks.count == 1 else {
      throw StudioError(
        .unsupported,
        """
        \(weights.url.path): expected one network, found \
        \(networks.map(\.name).joined(separator: ", ")); take the files of single networks.
        """)
    }
    if isGGUF {
      guard loras.isEmpty else {
        throw StudioError(
          .invalidSetting,
          "A LoRA is merged into safetensors; merge it first, then convert the result to .gguf.")
      }
      try network.ggufWeights().convert(
        to: output, precision: precision ?? .q80,
        metadata: ["general.architecture": network.architecture])
    } else {
      try merged(network.weights)
        .convert(to: output, precision: precision, metadata: ["format": "pt"])
    }
    return "\(network.name), \(network.weights.tensors.count) tensors"
  }

  /// Weights with the adapters added, each weight when it is asked for.
  private func merged(
    _ weights: WeightSet, expert: CheckpointForm.Expert? = nil
  ) throws -> WeightSet {
    try loras.reduce(weights) { weights, file in
      guard file.weight.isFinite else {
        throw StudioError(
          .invalidSetting, "\(file.url.path): the weight is \(file.weight); use a finite number.")
      }
      return try LoRA(at: file.url).merged(
        into: weights, strength: file.weight, expert: expert
      ).weights
    }
  }

  // MARK: - Models

  /// Components that hold weights, with the names of their files.
  private static let stems = [
    "transformer": "diffusion_pytorch_model", "transformer_2": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model", "text_encoder": "model", "image_encoder": "model",
  ]

  private func convert(model: ModelFolder, to output: URL) throws -> String {
    let components = model.index.components.filter { $0.value.className != nil }.keys.sorted()
    try ModelFolder.create(at: output, index: model.index, replacing: isReplacing) { folder in
      try copyFiles(of: model.url, to: folder)
      for component in components {
        let source = try model.folder(of: component)
        let target = folder.appendingPathComponent(component)
        try copyFiles(of: source, to: target)
        guard let stem = Self.stems[component] else { continue }
        let weights = try model.weights(of: component)
        let networks = try Model.networks(in: weights)
        guard let network = networks.first, networks.count == 1 else {
          throw StudioError(
            .unsupported, "\(source.path): expected one network, found \(networks.count).")
        }
        let adapted =
          switch component {
          case "transformer": try merged(network.weights)
          case "transformer_2": try merged(network.weights, expert: .lowNoise)
          default: network.weights
          }
        try adapted
          .convert(toFolder: target, stem: stem, precision: precision)
      }
    }
    return "model of \(components.joined(separator: ", "))"
  }

  /// Copies what stands beside weights, such as configurations and tokenizers; links become files.
  private func copyFiles(of source: URL, to target: URL) throws {
    let manager = FileManager.default
    for name in try manager.contentsOfDirectory(atPath: source.path).sorted()
    where !name.hasPrefix(".") && name != "model_index.json" {
      let file = source.appendingPathComponent(name).resolvingSymlinksInPath()
      var isFolder: ObjCBool = false
      let exists = manager.fileExists(atPath: file.path, isDirectory: &isFolder)
      let isTokenizer = source.lastPathComponent.hasPrefix("tokenizer")
      guard exists, !isFolder.boolValue,
        isTokenizer || !WeightSet.hasUsualName(URL(fileURLWithPath: name))
      else { continue }
      try manager.copyItem(at: file, to: target.appendingPathComponent(name))
    }
  }
}
