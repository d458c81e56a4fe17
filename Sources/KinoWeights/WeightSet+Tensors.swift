public import Foundation
public import KinoNN
public import KinoTensor

extension StoredType {
  /// The tensor element type of the same meaning.
  public var dtype: DType {
    switch self {
    case .float64: .float64
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .int64: .int64
    case .int32: .int32
    case .int16: .int16
    case .int8: .int8
    case .uint8: .uint8
    case .bool: .bool
    }
  }

  /// The file's name for a tensor element type.
  public init(_ dtype: DType) {
    switch dtype {
    case .float64: self = .float64
    case .float32: self = .float32
    case .float16: self = .float16
    case .bfloat16: self = .bfloat16
    case .int64: self = .int64
    case .int32: self = .int32
    case .int16: self = .int16
    case .int8: self = .int8
    case .uint8: self = .uint8
    case .bool: self = .bool
    }
  }
}

extension SafetensorsFile {
  /// Returns a tensor that reads the mapped file in place; copied only if it is not aligned.
  ///
  /// Never write to it in place.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor or the file was changed since opening.
  public func tensor(named name: String) throws(WeightsError) -> Tensor {
    let bytes = try bytes(of: name)
    guard let stored = self[name], let start = bytes.baseAddress, !bytes.isEmpty,
      UInt(bitPattern: start) % UInt(stored.type.byteWidth) == 0
    else {
      let stored = self[name]
      return Tensor(copying: bytes, shape: stored?.shape ?? [0], dtype: stored?.type.dtype ?? .float32)
    }
    return Tensor(
      borrowing: UnsafeMutableRawPointer(mutating: start), shape: stored.shape, dtype: stored.type.dtype,
      owner: mapping)
  }
}

extension WeightSet {
  /// Returns a tensor that reads the mapped file in place; see ``SafetensorsFile/tensor(named:)``.
  public func tensor(named name: String) throws(WeightsError) -> Tensor {
    try file(of: name).tensor(named: name)
  }

  /// Writes tensors as one file or as shards; see ``write(_:to:stem:metadata:maximumShardByteCount:bytes:)``.
  ///
  /// - Parameter dtype: Converts floating-point tensors; `nil` keeps their types.
  @discardableResult
  public static func write(
    _ tensors: [(key: String, value: Tensor)], to folder: URL, stem: String = "diffusion_pytorch_model",
    dtype: DType? = nil, metadata: [String: String] = ["format": "pt"]
  ) throws -> URL {
    func type(_ tensor: Tensor) -> DType {
      tensor.dtype.isFloatingPoint ? dtype ?? tensor.dtype : tensor.dtype
    }
    let values = Dictionary(tensors.map { ($0.key, $0.value) }) { first, _ in first }
    let stored = tensors.map {
      StoredTensor(name: $0.key, type: StoredType(type($0.value)), shape: $0.value.shape)
    }
    return try write(stored, to: folder, stem: stem, metadata: metadata) { tensor, write in
      guard let value = values[tensor.name] else { return }
      try value.detached().cast(to: tensor.type.dtype).withUnsafeBytes(write)
    }
  }
}

extension ParameterRegistry {
  /// Takes parameters from a checkpoint's weights; faults show in ``ParameterRegistry/validate()``.
  ///
  /// - Parameter aliases: Keys to look under when the first is absent.
  public convenience init(
    _ weights: WeightSet, computeType: DType? = nil, isTrainable: Bool = false,
    aliases: [String: String] = [:]
  ) {
    let stored = Set(weights.tensors.map(\.name))
    let used = aliases.filter { !stored.contains($0.key) && stored.contains($0.value) }
    let replaced = Set(used.values)
    let spare = Set(aliases.filter { stored.contains($0.key) }.values)
    self.init(
      names: stored.subtracting(replaced).subtracting(spare).union(used.keys), computeType: computeType,
      isTrainable: isTrainable
    ) { key in
      try? weights.tensor(named: used[key] ?? key)
    }
  }
}
