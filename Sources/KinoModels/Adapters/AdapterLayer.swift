internal import KinoTensor
internal import KinoWeights

/// What an adapter holds for one layer: the names of its tensors by what they are.
struct AdapterLayer: Sendable {
  /// What a tensor of an adapter is.
  enum Part: Hashable, Sendable {
    case down, up, alpha, magnitude, difference, biasDifference, modulationDifference, upBias
    /// One of the factors of LyCORIS, by its own name.
    case factor(String)
    /// A kind that Kino does not apply, by its own name.
    case other(String)
  }

  var parts: [Part: String] = [:]

  private static let suffixes: [(String, Part)] =
    [
      (".lora_A.weight", .down), (".lora_A.default.weight", .down), (".lora_down.weight", .down),
      (".lora.down.weight", .down), (".lora_B.weight", .up), (".lora_B.default.weight", .up),
      (".lora_up.weight", .up), (".lora.up.weight", .up), (".alpha", .alpha),
      (".dora_scale", .magnitude), (".lora_magnitude_vector", .magnitude),
      (".lora_magnitude_vector.weight", .magnitude),
      (".lora_magnitude_vector.default.weight", .magnitude), (".diff", .difference),
      (".diff_b", .biasDifference), (".diff_m", .modulationDifference),
      (".lora_B.bias", .upBias), (".lora_up.bias", .upBias),
    ]
    + [
      "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "hada_w1_a",
      "hada_w1_b", "hada_w2_a", "hada_w2_b",
    ].map { ("." + $0, .factor($0)) }
    + [
      "lora_mid.weight", "lokr_t2", "hada_t1", "hada_t2", "oft_blocks", "set_weight", "w_norm",
      "b_norm", "reshape_weight",
    ].map { ("." + $0, .other($0)) }

  /// Splits a key into a layer's path and what the tensor is; nil if it is no adapter's.
  static func split(_ name: String) -> (path: String, part: Part)? {
    guard let (suffix, part) = suffixes.first(where: { name.hasSuffix($0.0) }) else { return nil }
    return (String(name.dropLast(suffix.count)), part)
  }

  /// Changes to weights, and what became of each key.
  struct Result {
    var patches: [(String, any WeightPatch)] = []
    var used: [String] = []
    var unused: [String] = []
    var misshapen: [String] = []
  }

  /// Makes the changes that this layer asks for: `layer` is our name of it, nil if the model does not
  /// have it, and `scale` the factor of a pair without an alpha.
  func patches(
    at layer: String?, in base: WeightSet, adapter: WeightSet, scale: Double, strength: Double
  ) throws -> Result {
    var result = Result()
    guard let layer else {
      result.unused = Array(parts.values)
      return result
    }
    var rest = Set(parts.keys)
    func add(_ taken: [Part], to key: String, _ patch: AdapterPatch, _ fits: Bool) {
      let names = taken.compactMap { parts[$0] }
      rest.subtract(taken)
      guard fits else { result.misshapen += names; return }
      result.used += names
      result.patches.append((key, patch))
    }
    // A modulation is a parameter without a layer.
    let weightKey = base[layer + ".weight"] == nil ? layer : layer + ".weight"
    let patch = AdapterPatch(
      adapter: adapter, parts: parts, scale: scale, strength: strength, kind: .product)
    if let weight = base[weightKey] {
      if let taken = patch.productParts {
        add(taken, to: weightKey, patch, patch.productFits(weight.shape))
      }
      for part in [Part.difference, .modulationDifference] {
        guard let name = parts[part], let tensor = adapter[name] else { continue }
        add([part], to: weightKey, patch.with(.difference(name)), tensor.shape == weight.shape)
      }
    }
    if let bias = base[layer + ".bias"] {
      for part in [Part.biasDifference, .upBias] {
        guard let name = parts[part], let tensor = adapter[name] else { continue }
        let kind: AdapterPatch.Kind = part == .upBias ? .scaledDifference(name) : .difference(name)
        add([part], to: layer + ".bias", patch.with(kind), tensor.shape == bias.shape)
      }
    }
    result.unused += rest.compactMap { parts[$0] }
    return result
  }
}
