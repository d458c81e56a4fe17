internal import Foundation
internal import KinoTensor

/// The scales that stand beside 8-bit weights in a file: which tensor is multiplied by which.
///
/// ComfyUI writes `X.scale_weight` and a marker `scaled_fp8`, or `X.weight_scale` and `X.comfy_quant`
/// (JSON as bytes), or the latter's content in the header's `_quantization_metadata`. A scale is one
/// number, one per row, or one per block.
struct ScaledWeights {
  /// The scale of each weight, by file and by the weight's name.
  private var scales: [[String: StoredTensor]] = []
  /// Names that are no weights.
  private var hidden: [Set<String>] = []

  private static let scaleSuffixes = [".scale_weight", ".weight_scale"]
  private static let ignoredSuffixes = [".scale_input", ".input_scale", ".comfy_quant"]
  private static let marker = "scaled_fp8"
  /// Kinds of quantisation that a product with a scale undoes.
  private static let knownKinds: Set<String> = ["float8_e4m3fn", "float8_e5m2"]

  init(files: [WeightFile], url: URL) throws(WeightsError) {
    for file in files where file.format == .safetensors {
      try Self.checkKinds(of: file)
    }
    for file in files {
      let (scales, hidden) = try Self.find(in: file)
      self.scales.append(scales)
      self.hidden.append(hidden)
    }
  }

  private static func find(
    in file: WeightFile
  ) throws(WeightsError) -> ([String: StoredTensor], Set<String>) {
    var scales: [String: StoredTensor] = [:]
    var hidden: Set<String> = []
    for tensor in file.tensors {
      let name = tensor.name
      if name == marker || name.hasSuffix("." + marker)
        || ignoredSuffixes.contains(where: name.hasSuffix)
      {
        hidden.insert(name)
      } else if let suffix = scaleSuffixes.first(where: name.hasSuffix) {
        let weight = String(name.dropLast(suffix.count)) + ".weight"
        guard let scaled = file[weight] else { continue }
        try check(tensor, of: scaled, file: file)
        guard scales.updateValue(tensor, forKey: weight) == nil else {
          throw WeightsError(
            .duplicateKey, at: file.url.path, expected: "one scale for \(quoted(weight))",
            found: "two", advice: "Take the model from another source.")
        }
        hidden.insert(name)
      }
    }
    return (scales, hidden)
  }

  /// Leaves the scales out, and lets the weights be multiplied.
  func applied(
    to entries: [(StoredTensor, TensorSource)]
  ) -> [(StoredTensor, TensorSource)] {
    entries.compactMap { tensor, source in
      if hidden[source.file].contains(tensor.name) { return nil }
      var source = source
      source.scale = scales[source.file][tensor.name]
      return (tensor, source)
    }
  }

  /// Multiplies a weight by its scale, whose extents divide the weight's.
  static func product(_ weight: Tensor, _ scale: Tensor) -> Tensor {
    if scale.count == 1 { return weight * scale.reshaped(to: [1]) }
    let extents = aligned(scale.shape, to: weight.shape.count)
    let split = zip(weight.shape, extents).flatMap { [$1, $0 / $1] }
    let factors = scale.reshaped(to: extents.flatMap { [$0, 1] })
    return (weight.reshaped(to: split) * factors).reshaped(to: weight.shape)
  }

  // MARK: - Checks

  /// A list of scales is one per row.
  private static func aligned(_ shape: [Int], to rank: Int) -> [Int] {
    shape.count < rank ? shape + Array(repeating: 1, count: rank - shape.count) : shape
  }

  private static func check(
    _ scale: StoredTensor, of weight: StoredTensor, file: WeightFile
  ) throws(WeightsError) {
    let extents = aligned(scale.shape, to: weight.shape.count)
    let fits =
      extents.count == weight.shape.count
      && zip(extents, weight.shape).allSatisfy { $0 > 0 && $1.isMultiple(of: $0) }
    guard scale.elementCount == 1 || fits, scale.type.dtype.isFloatingPoint else {
      throw WeightsError(
        .badShape, at: file.url.path,
        expected: "a scale for all, for each row or for each block of \(quoted(weight.name)), "
          + "\(weight.shape)",
        found: "\(quoted(scale.name)), \(scale.type.rawValue) \(scale.shape)",
        advice: "Take the model in another precision.")
    }
  }

  private struct Kind: Decodable {
    var format: String?
    var convrot: Bool?
  }

  private struct Kinds: Decodable {
    var layers: [String: Kind]
  }

  /// Refuses weights that a product with a scale does not make right.
  private static func checkKinds(of file: WeightFile) throws(WeightsError) {
    if let text = file.metadata["_quantization_metadata"],
      let kinds = try? JSONDecoder().decode(Kinds.self, from: Data(text.utf8))
    {
      for (layer, kind) in kinds.layers.sorted(by: { $0.key < $1.key }) {
        try check(kind, of: layer, file)
      }
    }
    for tensor in file.tensors where tensor.name.hasSuffix(".comfy_quant") {
      let bytes = try file.bytes(of: tensor.name).prefix(4096)
      guard let kind = try? JSONDecoder().decode(Kind.self, from: Data(bytes)) else {
        throw WeightsError(
          .notJSON, at: file.url.path, expected: "JSON in \(quoted(tensor.name))",
          found: "other bytes")
      }
      try check(kind, of: String(tensor.name.dropLast(".comfy_quant".count)), file)
    }
  }

  private static func check(
    _ kind: Kind, of layer: String, _ file: WeightFile
  ) throws(WeightsError) {
    guard let format = kind.format, !knownKinds.contains(format) || kind.convrot == true else {
      return
    }
    throw WeightsError(
      .unsupportedType, at: file.url.path,
      expected: "\(knownKinds.sorted().joined(separator: " or ")) for \(quoted(layer))",
      found: quoted(kind.convrot == true ? "\(format), rotated" : format),
      advice: "Take the model in another precision.")
  }
}
