public import KinoTensor

/// How a network that is not trained keeps the weights of its large products.
public enum ProductWeights: Sendable {
  /// As they were stored, or converted to the compute type; on the CPU they stay in the file's pages if
  /// no conversion is needed.
  case plain
  /// Copied in the order in which the processor multiplies them fastest, where that brings something.
  case packed
  /// Rounded to 8-bit numbers.
  case int8
  /// In the packed form of their file, on the CPU; plain where the file has them as numbers, and elsewhere.
  case unpacked
}

/// A weight in the packed form of its file, and what adapters add beside it.
public struct UnpackedWeight: Sendable {
  /// The weight.
  public let matrix: UnpackedMatrix
  /// Each adds its own change.
  public let pairs: [LowRankPair]

  /// A weight with the changes of some adapters.
  public init(_ matrix: UnpackedMatrix, pairs: [LowRankPair] = []) {
    (self.matrix, self.pairs) = (matrix, pairs)
  }
}

/// Where a network's parameters come from, and the list of them once it is built.
///
/// A network is a struct of tensors. Its initialiser asks a ``ParameterScope`` for each one by its
/// checkpoint key, so that building a network and loading it are the same act:
///
/// ```swift
/// import KinoNN
///
/// let registry = ParameterRegistry(seed: 7)
/// let layer = Linear(registry.root["blocks"][0]["to_q"], inputs: 64, outputs: 64)
/// print(registry.parameters.map(\.key))  // "blocks.0.to_q.weight", "blocks.0.to_q.bias"
/// ```
public final class ParameterRegistry {
  private enum Source {
    case initial(seed: UInt64, device: Device)
    case stored(
      names: Set<String>, lookup: (String) -> Tensor?, unpacked: (String) -> UnpackedWeight?,
      release: (String) -> Void)
  }

  private let source: Source
  private let isTrainable: Bool
  /// The type that weights of large products are converted to; `nil` keeps what is stored.
  private let computeType: DType?
  let productWeights: ProductWeights
  let adapters: LowRankAdapters?
  private var mismatch = ParameterMismatch()
  private var seen: Set<String> = []

  /// The network's parameters in the order it asked for them, but for those that it may pack or round.
  public private(set) var parameters: [(key: String, value: Tensor)] = []
  /// The weights that stay in the packed form of their file, by key.
  public private(set) var unpackedWeights: [String: UnpackedWeight] = [:]

  /// Initialises parameters from a seed; each depends on the seed and its own key alone.
  ///
  /// - Parameters:
  ///   - seed: Where the numbers start; they are the same on every device.
  ///   - device: Where parameters go.
  ///   - isTrainable: Whether parameters record gradients; they are float32 then.
  ///   - computeType: Converts the weights of large products of a network that is not trained.
  ///   - productWeights: How layers that allow it keep their weights.
  public init(
    seed: UInt64, device: Device = .cpu, isTrainable: Bool = true, computeType: DType? = nil,
    productWeights: ProductWeights = .plain
  ) {
    precondition(!isTrainable || productWeights == .plain, "only plain weights can be trained")
    source = .initial(seed: seed, device: device)
    adapters = nil
    self.productWeights = productWeights
    self.isTrainable = isTrainable
    self.computeType = computeType
  }

  /// Takes parameters from a checkpoint.
  ///
  /// - Parameters:
  ///   - names: Every key the checkpoint holds.
  ///   - computeType: Converts the weights of large products; `nil` keeps the stored type, and
  ///     parameters marked as exact become float32 either way.
  ///   - isTrainable: Whether parameters are float32 copies that record gradients, whatever
  ///     `computeType` says; otherwise they share the checkpoint's storage where types allow.
  ///   - productWeights: How layers that allow it keep their weights.
  ///   - adapters: Low-rank pairs beside linear layers, which may learn though the weights do not.
  ///   - lookup: The tensor of a key.
  ///   - unpacked: The weight of a key in the packed form of its file; `nil` where it has none.
  ///   - release: Told a key whose numbers the network keeps in another form, so that those looked up
  ///     need not stay in memory.
  public init(
    names: Set<String>, computeType: DType? = nil, isTrainable: Bool = false,
    productWeights: ProductWeights = .plain, adapters: LowRankAdapters? = nil,
    lookup: @escaping (String) -> Tensor?,
    unpacked: @escaping (String) -> UnpackedWeight? = { _ in nil },
    release: @escaping (String) -> Void = { _ in }
  ) {
    precondition(!isTrainable || productWeights == .plain, "only plain weights can be trained")
    precondition(
      adapters == nil || [.plain, .unpacked].contains(productWeights),
      "packed and rounded weights pass no gradients on")
    self.adapters = adapters
    self.productWeights = productWeights
    source = .stored(names: names, lookup: lookup, unpacked: unpacked, release: release)
    self.computeType = computeType
    self.isTrainable = isTrainable
  }

  /// The scope without a prefix.
  public var root: ParameterScope { ParameterScope(registry: self, path: "") }

  /// Throws ``ParameterMismatch`` unless checkpoint and network have the same keys and shapes.
  public func validate() throws(ParameterMismatch) {
    var found = mismatch
    if case .stored(let names, _, _, _) = source {
      found.unused = names.subtracting(seen).sorted()
    }
    if !found.isEmpty { throw found }
  }

  func take(
    _ key: String, shape: [Int], initializer: Initializer, precision: ParameterScope.Precision,
    isKept: Bool
  ) -> Tensor {
    precondition(seen.insert(key).inserted, "two parameters are named \(key)")
    var value = resolve(key, shape: shape, initializer: initializer, precision: precision)
    if isTrainable { value = value.requiringGradient() }
    if isKept { parameters.append((key, value)) }
    return value
  }

  private func resolve(
    _ key: String, shape: [Int], initializer: Initializer, precision: ParameterScope.Precision
  ) -> Tensor {
    switch source {
    case .initial(let seed, let device):
      let value = initializer.tensor(shape: shape, seed: seed, key: key).moved(to: device)
      return isTrainable || precision != .compute ? value : value.cast(to: computeType ?? .float32)
    case .stored(_, let lookup, _, _):
      // Stands in for what is missing, so that one report can name every fault; holds one number.
      let placeholder = { Tensor.zeros(shape.map { _ in 1 }).expanded(to: shape) }
      guard let stored = lookup(key) else {
        mismatch.missing.append(key)
        return placeholder()
      }
      guard stored.shape == shape else {
        mismatch.misshaped.append("\(key): expected \(shape), found \(stored.shape)")
        return placeholder()
      }
      let dtype =
        switch precision {
        case _ where isTrainable: DType.float32
        case .exact: DType.float32
        case .stored: stored.dtype
        case .compute: computeType ?? stored.dtype
        }
      if dtype == stored.dtype && !isTrainable { return stored }
      let value = dtype == stored.dtype ? stored.copied() : stored.cast(to: dtype)
      release(key)
      return value
    }
  }

  func release(_ key: String) {
    if case .stored(_, _, _, let release) = source { release(key) }
  }

  /// The weight of a key in the packed form of its file, if it has one and is to stay in it.
  func takeUnpacked(_ key: String, shape: [Int], allowsPairs: Bool) -> UnpackedWeight? {
    guard productWeights == .unpacked, case .stored(_, _, let unpacked, _) = source,
      let weight = unpacked(key), [weight.matrix.outputs, weight.matrix.inputs] == shape,
      allowsPairs || weight.pairs.isEmpty
    else { return nil }
    precondition(seen.insert(key).inserted, "two parameters are named \(key)")
    unpackedWeights[key] = weight
    return weight
  }
}

/// A path in a checkpoint below which a layer finds its parameters.
public struct ParameterScope {
  /// How a parameter may be stored at inference.
  public enum Precision: Sendable {
    /// Follows the network's compute type: weights of products and convolutions.
    case compute
    /// Stays float32: norms, modulation, timestep embeddings.
    case exact
    /// Stays as it is: weights about to be rounded in another way.
    case stored
  }

  let registry: ParameterRegistry
  /// The key prefix, without the last point.
  public let path: String

  /// The scope of a named child.
  public subscript(name: String) -> ParameterScope {
    ParameterScope(registry: registry, path: path.isEmpty ? name : "\(path).\(name)")
  }

  /// How layers that allow it keep their weights.
  public var productWeights: ProductWeights { registry.productWeights }

  /// The low-rank pair of the layer of this scope; `nil` if it has none.
  func lowRankPair(inputs: Int, outputs: Int) -> LowRankPair? {
    registry.adapters?.pair(path, inputs: inputs, outputs: outputs)
  }

  /// The scope of a numbered child.
  public subscript(index: Int) -> ParameterScope { self["\(index)"] }

  /// Takes the parameter `path.name`; one that is not kept, but put in another form, is not listed.
  public func parameter(
    _ name: String, shape: [Int], initializer: Initializer, precision: Precision = .compute,
    isKept: Bool = true
  ) -> Tensor {
    registry.take(
      self[name].path, shape: shape, initializer: initializer, precision: precision, isKept: isKept)
  }

  /// Takes the parameter `path.name` in the packed form of its file, if it has one and is to stay in it.
  func unpackedWeight(_ name: String, shape: [Int], allowsPairs: Bool = true) -> UnpackedWeight? {
    registry.takeUnpacked(self[name].path, shape: shape, allowsPairs: allowsPairs)
  }

  /// Tells that the numbers of a stored parameter are kept in another form from now on.
  func release(_ name: String) { registry.release(self[name].path) }
}

/// How a checkpoint differs from the network it was loaded into.
public struct ParameterMismatch: Error, Hashable, Sendable, CustomStringConvertible {
  /// Keys of the network that the checkpoint lacks, in the network's order.
  public internal(set) var missing: [String] = []
  /// Keys of the checkpoint that the network did not ask for, sorted.
  public internal(set) var unused: [String] = []
  /// Keys of another shape, each with the one expected and the one found.
  public internal(set) var misshaped: [String] = []

  var isEmpty: Bool { missing.isEmpty && unused.isEmpty && misshaped.isEmpty }

  /// How many keys are at fault in which way, the first six of each, and what to check.
  public var description: String {
    let parts = [
      ("missing", missing), ("not part of the model", unused), ("of another shape", misshaped),
    ]
    let lines = parts.filter { !$0.1.isEmpty }.map { name, keys in
      "\(keys.count) \(name): \(keys.prefix(6).joined(separator: ", "))\(keys.count > 6 ? ", ..." : "")"
    }
    return "the checkpoint does not fit the model. \(lines.joined(separator: "; ")). "
      + "Check that config.json and the weights belong together."
  }
}
