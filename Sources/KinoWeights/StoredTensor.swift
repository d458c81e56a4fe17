/// The element type of a tensor in a safetensors file; the raw value is its name there.
public enum StoredType: String, CaseIterable, Hashable, Sendable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Bytes per element; also the alignment an element needs in memory.
  public var byteWidth: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Names the format defines and Kino does not compute with.
  static let unsupportedNames: Set<String> = [
    "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4",
    "U16", "U32", "U64", "C64",
  ]

  /// Returns the bytes a tensor takes, or nil when its size does not fit an `Int`.
  ///
  /// A zero extent does not excuse the others: strides are computed from them.
  func byteCount(shape: [Int]) -> Int? {
    var product = byteWidth
    for extent in shape {
      guard extent >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow else { return nil }
      product = next
    }
    return shape.contains(0) ? 0 : product
  }
}

/// Describes one tensor of a file: its name, element type and shape.
public struct StoredTensor: Hashable, Sendable {
  /// Unique in its file.
  public let name: String
  /// The type of each element.
  public let type: StoredType
  /// Extents, outermost first; empty for a scalar.
  public let shape: [Int]
  /// The size of all elements together.
  public let byteCount: Int

  /// Describes a tensor to write.
  ///
  /// Traps if an extent is negative or the size in bytes does not fit an `Int`.
  public init(name: String, type: StoredType, shape: [Int]) {
    guard let byteCount = type.byteCount(shape: shape) else {
      preconditionFailure("StoredTensor: no size for \(name), \(type.rawValue) \(shape)")
    }
    self.init(name: name, type: type, shape: shape, byteCount: byteCount)
  }

  init(name: String, type: StoredType, shape: [Int], byteCount: Int) {
    self.name = name
    self.type = type
    self.shape = shape
    self.byteCount = byteCount
  }

  /// The product of the extents.
  public var elementCount: Int { byteCount / type.byteWidth }
}
