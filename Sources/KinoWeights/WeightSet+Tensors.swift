public import Foundation
public import KinoNN
public import KinoTensor

extension WeightSet {
  /// Returns a tensor over the pages of its file; see ``WeightFile/tensor(named:)``.
  ///
  /// One with a scale or an adapter is computed, in float32.
  public func tensor(named name: String) throws(WeightsError) -> Tensor {
    try source(of: name).tensor(in: files)
  }

  /// Builds a network from these weights, which must be exactly its parameters.
  ///
  /// ```swift
  /// let model = try weights.load { DiffusionTransformer($0, configuration: configuration) }
  /// ```
  ///
  /// - Parameters:
  ///   - keys: Translates the file's keys to ours.
  ///   - aliases: Our keys with the key to look under when the first is absent.
  ///   - computeType: Converts the weights of large products; nil keeps the stored type.
  ///   - device: Where parameters go; on the CPU they stay in the file's pages.
  ///   - isTrainable: Whether parameters are float32 copies that collect gradients.
  ///   - productWeights: How layers that allow it keep their weights; packed and rounded on the CPU alone.
  ///   - adapters: Low-rank pairs beside linear layers, which these weights do not hold.
  ///   - build: Makes the network from the scope it is given.
  /// - Returns: What `build` made.
  /// - Throws: ``WeightsError``: `keyMismatch` lists missing, unused and mis-shaped keys together.
  public func load<Network>(
    keys: KeyMap? = nil, aliases: [String: String] = [:], computeType: DType? = nil,
    device: Device = .cpu, isTrainable: Bool = false, productWeights: ProductWeights = .plain,
    adapters: LowRankAdapters? = nil, _ build: (ParameterScope) throws -> Network
  ) throws -> Network {
    try loadWithParameters(
      keys: keys, aliases: aliases, computeType: computeType, device: device,
      isTrainable: isTrainable, productWeights: productWeights, adapters: adapters, build
    ).network
  }

  /// Builds a network as ``load(keys:aliases:computeType:device:isTrainable:productWeights:adapters:_:)`` does, and lists its
  /// parameters.
  ///
  /// The list is in the order the network asked for them, for optimisers and checkpoints.
  ///
  /// - Throws: ``WeightsError``, as ``load(keys:aliases:computeType:device:isTrainable:productWeights:adapters:_:)``.
  public func loadWithParameters<Network>(
    keys: KeyMap? = nil, aliases: [String: String] = [:], computeType: DType? = nil,
    device: Device = .cpu, isTrainable: Bool = false, productWeights: ProductWeights = .plain,
    adapters: LowRankAdapters? = nil, _ build: (ParameterScope) throws -> Network
  ) throws -> LoadedNetwork<Network> {
    let names = try storedNames(keys: keys, aliases: aliases)
    let failure = FirstFailure()
    let registry = ParameterRegistry(
      names: Set(names.keys), computeType: computeType, isTrainable: isTrainable,
      productWeights: productWeights, adapters: adapters,
      lookup: { key in
        guard let name = names[key] else { return nil }
        return failure.catching { () throws(WeightsError) in
          let source = try source(of: name)
          let value = try source.tensor(in: files)
          if source.isComputed { releasePages(of: name) }
          return value.moved(to: device)
        }
      },
      unpacked: { key in
        guard device == .cpu, let name = names[key] else { return nil }
        return failure.catching { () throws(WeightsError) in
          try source(of: name).unpackedWeight(in: files)
        } ?? nil
      },
      release: { key in names[key].map(releasePages) })
    let network = try build(registry.root)
    if let error = failure.error { throw error }
    do {
      try registry.validate()
    } catch {
      throw KeyContract.error(
        missing: error.missing.map(quoted), unused: error.unused.map(quoted),
        misshapen: error.misshaped, at: url.path)
    }
    return LoadedNetwork(
      network: network, parameters: registry.parameters, unpackedWeights: registry.unpackedWeights)
  }

  /// Writes tensors as one file or as shards, as
  /// ``write(_:to:stem:metadata:maximumShardByteCount:bytes:)`` does.
  ///
  /// `tensors` may be a dictionary or a list of `(key:, value:)`. `dtype` converts floating-point
  /// tensors, one at a time; nil keeps each as it is.
  ///
  /// - Throws: ``WeightsError`` if a name occurs twice or a file cannot be written.
  @discardableResult
  public static func write(
    _ tensors: some Sequence<(key: String, value: Tensor)>, to folder: URL,
    stem: String = "diffusion_pytorch_model", dtype: DType? = nil,
    metadata: [String: String] = ["format": "pt"], maximumShardByteCount: Int = 5_000_000_000
  ) throws -> URL {
    let tensors = Array(tensors)
    let values = Dictionary(tensors.map { ($0.key, $0.value) }) { first, _ in first }
    return try write(
      tensors.map { StoredTensor(name: $0.key, $0.value, dtype: dtype) }, to: folder, stem: stem,
      metadata: metadata, maximumShardByteCount: maximumShardByteCount
    ) { stored, take in
      try values[stored.name]?.detached().cast(to: stored.type.dtype).withUnsafeBytes(take)
    }
  }

  // MARK: - Internal

  /// Lets the system take the pages of a tensor back; they are read again when they are needed.
  func releasePages(of name: String) {
    guard let source = try? source(of: name), let bytes = try? source.bytes(in: files) else {
      return
    }
    files[source.file].mapping.releasePages(of: bytes)
  }

  /// Returns the name in the file for each of our keys.
  ///
  /// An alias is dropped when the key it stands in for is there itself: some exports write a
  /// shared tensor under both names.
  fileprivate func storedNames(
    keys: KeyMap?, aliases: [String: String]
  ) throws(WeightsError) -> [String: String] {
    let stored = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.name) })
    var names = keys?.translatingToOurs(stored) ?? stored
    guard names.count == stored.count else { throw collision(keys, stored: stored) }
    let found = names
    for alias in aliases.values { names[alias] = nil }
    for (key, alias) in aliases where found[key] == nil { names[key] = found[alias] }
    return names
  }

  private func collision(_ keys: KeyMap?, stored: [String: String]) -> WeightsError {
    let twice = stored.keys.filter { name in
      keys?.ours(for: name) == nil && keys?.foreign(for: name).flatMap { stored[$0] } != nil
    }
    return WeightsError(
      .duplicateKey, at: url.path, expected: "each parameter under one name",
      found: twice.sorted().prefix(8).map(quoted).joined(separator: ", ")
        + " beside the foreign name for the same",
      advice: "Export the weights again under one set of names.")
  }
}

/// A network with the weights it was built from.
public struct LoadedNetwork<Network> {
  /// The network.
  public let network: Network
  /// In the order the network asked for them, but for those that it packed or rounded.
  public let parameters: [(key: String, value: Tensor)]
  /// Weights that stay in the packed form of their file, by key.
  public let unpackedWeights: [String: UnpackedWeight]
}

extension ParameterRegistry {
  /// Takes parameters from a checkpoint's weights; faults show in ``ParameterRegistry/validate()``.
  ///
  /// `WeightSet.load` also says why a tensor could not be read; here it counts as missing. `aliases` are our keys with the key to look under when the
  /// first is absent.
  public convenience init(
    _ weights: WeightSet, computeType: DType? = nil, isTrainable: Bool = false,
    aliases: [String: String] = [:]
  ) {
    // Without a key map, no two names can collide.
    let names = (try? weights.storedNames(keys: nil, aliases: aliases)) ?? [:]
    self.init(names: Set(names.keys), computeType: computeType, isTrainable: isTrainable) { key in
      names[key].flatMap { try? weights.tensor(named: $0) }
    }
  }
}

/// Keeps the first error of a lookup that cannot throw.
private final class FirstFailure {
  private(set) var error: WeightsError?

  func catching<Value>(_ body: () throws(WeightsError) -> Value) -> Value? {
    do {
      return try body()
    } catch {
      self.error = self.error ?? error
      return nil
    }
  }
}
