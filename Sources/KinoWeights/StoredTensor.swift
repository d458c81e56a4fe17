/// The form in which a file keeps the elements of a tensor; the raw value is the formats' own name.
///
/// Plain types are read where they lie. Packed ones, 8-bit floating point and GGUF's blocks, become
/// float32 when the tensor is asked for.
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

  // 8-bit floating point (arXiv:2209.05433).
  case float8e4m3 = "F8_E4M3"
  case float8e5m2 = "F8_E5M2"

  // Blocks of whole numbers with scales of their own, in GGUF alone.
  case q40 = "Q4_0"
  case q41 = "Q4_1"
  case q50 = "Q5_0"
  case q51 = "Q5_1"
  case q80 = "Q8_0"
  case q2K = "Q2_K"
  case q3K = "Q3_K"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"

  /// Elements that are stored together: 1, or a block of 32 or 256 along the last axis.
  public var blockLength: Int {
    switch self {
    case .q40, .q41, .q50, .q51, .q80: 32
    case .q2K, .q3K, .q4K, .q5K, .q6K: 256
    default: 1
    }
  }

  /// Bytes of ``blockLength`` elements.
  public var blockByteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool, .float8e4m3, .float8e5m2: 1
    case .q40: 18
    case .q41: 20
    case .q50: 22
    case .q51: 24
    case .q80: 34
    case .q2K: 84
    case .q3K: 110
    case .q4K: 144
    case .q5K: 176
    case .q6K: 210
    }
  }

  /// The alignment that elements need in memory to be read in place; 1 for packed types.
  public var alignment: Int { isPacked ? 1 : blockByteCount }

  /// Whether elements are unpacked to float32 when the tensor is asked for.
  public var isPacked: Bool {
    self == .float8e4m3 || self == .float8e5m2 || blockLength > 1
  }

  /// Names the safetensors format defines and Kino does not compute with.
  static let unsupportedNames: Set<String> = [
    "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4", "U16", "U32", "U64", "C64",
  ]

  /// Returns the bytes a tensor takes, or nil when its size does not fit an `Int` or its last axis
  /// is not whole blocks.
  ///
  /// A zero extent does not excuse the others: strides are computed from them.
  func byteCount(shape: [Int]) -> Int? {
    guard blockLength == 1 || (shape.last ?? 1).isMultiple(of: blockLength) else { return nil }
    var product = blockByteCount
    for (axis, extent) in shape.enumerated() {
      guard extent >= 0 else { return nil }
      let units = axis == shape.count - 1 ? extent / blockLength : extent
      let (next, overflow) = product.multipliedReportingOverflow(by: max(units, 1))
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
  /// The size of all elements together, as stored.
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
  public var elementCount: Int { byteCount / type.blockByteCount * type.blockLength }
}
