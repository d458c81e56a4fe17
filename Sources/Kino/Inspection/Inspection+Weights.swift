import Foundation
internal import KinoModels
internal import KinoWeights

extension Inspection {
  /// Tensors and entries of a header that are told one by one, at most.
  private static let listLimit = 32
  /// Characters of one entry of a header, at most.
  private static let textLimit = 200

  mutating func addFolder(_ url: URL) throws {
    let places = try WeightSet.places(in: url)
    guard !places.isEmpty else {
      throw StudioError(
        .notInspectable,
        "\(url.path): expected a model or weights, found no model_index.json and no file of weights."
      )
    }
    add("kind", .string("folder of weights"))
    for place in places.prefix(Self.listLimit) {
      add(
        place.lastPathComponent, .integer(Self.parameterCount(try WeightSet(at: place))))
    }
    addRest(places.count, "files")
    let file = url.appendingPathComponent("config.json")
    if FileManager.default.fileExists(atPath: file.path) {
      add("configuration", .object(try ConfigurationFile(at: file).values))
    }
  }

  mutating func addWeights(_ weights: WeightSet) throws {
    add("kind", .string("weights"))
    add(
      "format", .string(Set(weights.files.map(\.format.rawValue)).sorted().joined(separator: ", ")))
    addNetworks(weights)
    add("files", .integer(weights.files.count))
    add("parameters", .integer(Self.parameterCount(weights)))
    add("bytes", .integer(Self.byteCount(weights)))
    let types = Set(weights.tensors.map(\.type.rawValue)).sorted()
    add("types", .string(types.joined(separator: ", ")))
    let metadata = weights.metadata.sorted { $0.key < $1.key }
    for (key, value) in metadata.prefix(Self.listLimit) {
      let isLong = value.count > Self.textLimit
      add(
        "metadata_\(key.prefix(Self.textLimit))",
        .string(value.prefix(Self.textLimit) + (isLong ? "..." : "")))
    }
    addRest(metadata.count, "metadata")
    let tensors = weights.tensors.sorted { $0.name < $1.name }.prefix(Self.listLimit).map {
      tensor in
      (tensor.name, JSONValue.string("\(tensor.type.rawValue) \(tensor.shape)"))
    }
    add("tensors", .object(Dictionary(tensors) { first, _ in first }))
    addRest(weights.tensors.count, "tensors")
  }

  private mutating func addRest(_ count: Int, _ name: String) {
    if count > Self.listLimit { add("more_\(name)", .integer(count - Self.listLimit)) }
  }

  /// Tells which networks of Kino's the weights hold, or why Kino can't run them.
  private mutating func addNetworks(_ weights: WeightSet) {
    do {
      for network in try Model.networks(in: weights) {
        var values: [String: JSONValue] = [
          "names": .string(network.names), "sizes": .string(network.sizes),
          "use": .string(network.use),
        ]
        if !network.models.isEmpty {
          values["models"] = .string(network.models.joined(separator: ", or "))
        }
        if let expert = network.expert { values["expert"] = .string(expert) }
        add(network.name, .object(values))
      }
    } catch {
      if let adapter = try? LoRA(weights) {
        add("lora", .string("\(adapter.layerCount) layers; give it with --lora, beside a model"))
      } else {
        add("not_run", .string("\(error)"))
      }
    }
  }
}
