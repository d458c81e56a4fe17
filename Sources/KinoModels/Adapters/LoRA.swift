public import Foundation
public import KinoWeights

/// A low-rank adapter of a transformer (arXiv:2106.09685), in whatever names its maker gave it.
///
/// ```swift
/// let (weights, report) = try LoRA(at: url).merged(into: form.weights, strength: 0.8)
/// print(report)  // "312 of 320 keys used; 8 have no place: ..."
/// ```
/// Besides low-rank pairs it may hold whole differences (`.diff`, `.diff_b`, `.diff_m`), magnitudes
/// (DoRA, arXiv:2402.09353), and products of LyCORIS (LoKr and LoHa, arXiv:2309.14859).
public struct LoRA: Sendable {
  /// The file's tensors.
  public let weights: WeightSet
  /// How many layers it has a part for.
  public var layerCount: Int { layers.count }
  /// What is known of each layer, by the layer's name in the file without what stands before it.
  let layers: [LayerName: AdapterLayer]
  /// Keys that are no part of an adapter.
  private let others: [String]
  private let scaling: AdapterScaling

  /// A layer as a file names it.
  struct LayerName: Hashable {
    /// With points between, or with underscores in their place.
    let path: String
    let isFlat: Bool
    /// Whether the file puts it into the second of two transformers.
    let isSecond: Bool
  }

  /// Opens an adapter.
  ///
  /// - Throws: `WeightsError` if the file is damaged; ``ModelError`` (`unsupported`) if it is no adapter.
  public init(at url: URL) throws {
    try self.init(WeightSet(at: url))
  }

  /// Reads an adapter from weights that are open.
  ///
  /// - Throws: ``ModelError`` (`unsupported`) if they are no adapter's.
  public init(_ weights: WeightSet) throws {
    self.weights = weights
    scaling = AdapterScaling(weights.metadata)
    var layers: [LayerName: AdapterLayer] = [:]
    var others: [String] = []
    for tensor in weights.tensors {
      guard let (path, part) = AdapterLayer.split(tensor.name) else {
        others.append(tensor.name)
        continue
      }
      let name = Self.layerName(path)
      if layers[name]?.parts[part] == nil {
        layers[name, default: AdapterLayer()].parts[part] = tensor.name
      } else {
        // Two names of one part: the second has no place.
        others.append(tensor.name)
      }
    }
    guard !layers.isEmpty else {
      throw ModelError(
        .unsupported,
        "\(weights.url.path): expected the low-rank pairs of a LoRA, found \(others.count) other "
          + "tensors" + (others.min().map { ", such as \(quoted($0))." } ?? "."))
    }
    self.layers = layers
    self.others = others
  }

  /// Whether a tensor of this name belongs to an adapter.
  static func isAdapterKey(_ name: String) -> Bool { AdapterLayer.split(name) != nil }

  /// What a merge did with every key of the file.
  public struct Report: Hashable, Sendable, CustomStringConvertible {
    /// Keys that changed a weight, sorted.
    public internal(set) var used: [String] = []
    /// Keys of layers that the model does not have, or of kinds Kino does not apply, sorted.
    public internal(set) var unused: [String] = []
    /// Keys whose extents do not fit the layer they name, sorted.
    public internal(set) var misshapen: [String] = []

    /// How many keys were used, and which have no place.
    public var description: String {
      let count = used.count + unused.count + misshapen.count
      let parts = [("have no place", unused), ("do not fit their layers", misshapen)]
        .filter { !$0.1.isEmpty }
        .map { words, keys in
          "; \(keys.count) \(words): \(keys.prefix(4).map(quoted).joined(separator: ", "))"
            + (keys.count > 4 ? ", ..." : "")
        }
      return "\(used.count) of \(count) keys used" + parts.joined()
    }
  }

  /// Adds the adapter to a transformer's weights; each is changed when it is asked for, in float32.
  ///
  /// - Parameters:
  ///   - base: The transformer's weights under our names, quantised or not.
  ///   - strength: What the adapter's part is multiplied by; any finite number.
  ///   - expert: Which of two experts `base` is; takes the part of a file that has one for each. A file
  ///     with one part fits both.
  /// - Returns: A view of the weights, and what was used.
  /// - Throws: ``ModelError`` (`unsupported`) if no key has a place: the adapter is for another model.
  public func merged(
    into base: WeightSet, strength: Double = 1, expert: CheckpointForm.Expert? = nil
  ) throws -> (weights: WeightSet, report: Report) {
    let places = AdapterPlaces(base)
    let hasSecond = layers.keys.contains { $0.isSecond }
    var report = Report(unused: others)
    var patches: [String: [any WeightPatch]] = [:]
    for (name, layer) in layers {
      if hasSecond && name.isSecond != (expert == .lowNoise) { continue }
      let result = try layer.patches(
        at: places.layer(name), in: base, adapter: weights,
        scale: scaling.scale(of: name.path), strength: strength)
      patches.merge(result.patches.map { ($0.0, [$0.1]) }) { $0 + $1 }
      report.used += result.used
      report.unused += result.unused
      report.misshapen += result.misshapen
    }
    report.used.sort()
    report.unused.sort()
    report.misshapen.sort()
    guard !report.used.isEmpty else {
      throw ModelError(
        .unsupported,
        "\(weights.url.path): this LoRA is for another model than \(base.url.path): \(report).")
    }
    return (base.patched(patches), report)
  }

  // MARK: - Names

  /// What makers put before the names of layers.
  private static let prefixes: [(text: String, isFlat: Bool, isSecond: Bool)] = [
    ("base_model.model.transformer_2.", false, true), ("transformer_2.", false, true),
    ("base_model.model.transformer.", false, false), ("base_model.model.", false, false),
    ("model.diffusion_model.", false, false), ("diffusion_model.", false, false),
    ("transformer.", false, false), ("lora_unet__", true, false), ("lora_unet_", true, false),
    ("lycoris_", true, false),
  ]

  private static func layerName(_ path: String) -> LayerName {
    guard let prefix = prefixes.first(where: { path.hasPrefix($0.text) }) else {
      return LayerName(path: path, isFlat: false, isSecond: false)
    }
    return LayerName(
      path: String(path.dropFirst(prefix.text.count)), isFlat: prefix.isFlat,
      isSecond: prefix.isSecond)
  }
}

/// The layers of a model by the names that adapters use.
struct AdapterPlaces {
  private let layers: Set<String>
  private var flat: [String: String] = [:]

  init(_ base: WeightSet) {
    let names = base.tensors.map { tensor in
      tensor.name.hasSuffix(".weight")
        ? String(tensor.name.dropLast(7))
        : tensor.name.hasSuffix(".bias") ? String(tensor.name.dropLast(5)) : tensor.name
    }
    layers = Set(names)
    for layer in layers {
      for name in [layer, KeyStyles.transformer.foreign(for: layer)].compactMap(\.self) {
        flat[name.replacing(".", with: "_")] = layer
      }
    }
  }

  /// Our name of a layer; nil if the model does not have it.
  func layer(_ name: LoRA.LayerName) -> String? {
    if name.isFlat { return flat[name.path] }
    if layers.contains(name.path) { return name.path }
    if let ours = KeyStyles.transformer.ours(for: name.path), layers.contains(ours) { return ours }
    // A block or the head alone stands for its modulation.
    return [
      name.path + ".scale_shift_table", KeyStyles.transformer.ours(for: name.path + ".modulation"),
    ]
    .compactMap(\.self).first(where: layers.contains)
  }
}

/// The factors that PEFT writes into a file's header instead of beside each pair.
struct AdapterScaling {
  private struct Settings: Decodable {
    var alpha: Double?
    var rank: Double?
    var alphas: [String: Double]?
    var ranks: [String: Double]?
    var isRankStabilised: Bool?

    enum CodingKeys: String, CodingKey {
      case alpha = "lora_alpha"
      case rank = "r"
      case alphas = "alpha_pattern"
      case ranks = "rank_pattern"
      case isRankStabilised = "use_rslora"
    }
  }

  private var settings = Settings()

  init(_ metadata: [String: String]) {
    guard let text = metadata["lora_adapter_metadata"],
      let values = try? JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
    else { return }
    // Of several networks in one file, each has its name before its settings.
    let own = values.map { key, value in
      (key.hasPrefix("transformer.") ? String(key.dropFirst("transformer.".count)) : key, value)
    }
    let known = Dictionary(own) { first, _ in first }
    guard let data = try? JSONEncoder().encode(known) else { return }
    settings = (try? JSONDecoder().decode(Settings.self, from: data)) ?? settings
  }

  /// The factor of a layer without an alpha beside it: 1 if the header says nothing.
  func scale(of layer: String) -> Double {
    func value(_ pattern: [String: Double]?, _ standard: Double?) -> Double? {
      pattern?.filter { layer == $0.key || layer.hasSuffix("." + $0.key) }
        .max { $0.key.count < $1.key.count }?.value ?? standard
    }
    guard let alpha = value(settings.alphas, settings.alpha),
      let rank = value(settings.ranks, settings.rank), rank > 0
    else { return 1 }
    return alpha / (settings.isRankStabilised == true ? rank.squareRoot() : rank)
  }
}
