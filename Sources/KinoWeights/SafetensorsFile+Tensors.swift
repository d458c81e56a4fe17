public import Foundation
public import KinoTensor

extension StoredType {
  /// The stored form of an element type; each has one.
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

  /// The element type of a tensor read from a file; float32 for packed types.
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
    default: .float32
    }
  }
}

extension SafetensorsFile {
  /// Returns all tensors by name; see ``tensor(named:)``.
  public func allTensors() throws(WeightsError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for stored in tensors { result[stored.name] = try tensor(named: stored.name) }
    return result
  }

  /// Writes tensors to one file, replacing it only when complete.
  ///
  /// - Parameters:
  ///   - tensors: By name: a dictionary, or a list of `(key:, value:)`.
  ///   - url: The file.
  ///   - dtype: Converts floating-point tensors, one at a time; nil keeps each as it is.
  ///   - metadata: The string map of the file.
  /// - Throws: ``WeightsError`` if a name occurs twice or the file cannot be written.
  public static func write(
    _ tensors: some Sequence<(key: String, value: Tensor)>, to url: URL,
    dtype: DType? = nil, metadata: [String: String] = [:]
  ) throws {
    let tensors = Array(tensors)
    let stored = tensors.map { StoredTensor(name: $0.key, $0.value, dtype: dtype) }
    var writer = try SafetensorsWriter(to: url, tensors: stored, metadata: metadata)
    for (tensor, stored) in zip(tensors, stored) {
      try tensor.value.detached().cast(to: stored.type.dtype).withUnsafeBytes {
        try writer.write($0, for: stored.name)
      }
    }
    try writer.finish()
  }
}

extension StoredTensor {
  /// Describes a tensor to write; `dtype`, if given, replaces a floating-point type.
  public init(name: String, _ tensor: Tensor, dtype: DType? = nil) {
    let target = tensor.dtype.isFloatingPoint ? dtype ?? tensor.dtype : tensor.dtype
    self.init(name: name, type: StoredType(target), shape: tensor.shape)
  }
}
