internal import CKinoTorch

/// The type of a tensor's elements.
public enum DType: Int32, Sendable, Hashable, CaseIterable {
  case float32, float64, float16, bfloat16, int64, int32, int16, int8, uint8, bool

  /// Bytes per element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float64, .float16, .bfloat16: true
    default: false
    }
  }
}

/// A Swift type whose values a tensor can hold.
public protocol TensorScalar: Sendable, BitwiseCopyable {
  /// The matching element type.
  static var dtype: DType { get }
}

extension Float: TensorScalar {
  /// Is ``DType/float32``.
  public static var dtype: DType { .float32 }
}

extension Double: TensorScalar {
  /// Is ``DType/float64``.
  public static var dtype: DType { .float64 }
}

extension Int64: TensorScalar {
  /// Is ``DType/int64``.
  public static var dtype: DType { .int64 }
}

extension Int32: TensorScalar {
  /// Is ``DType/int32``.
  public static var dtype: DType { .int32 }
}

extension Int16: TensorScalar {
  /// Is ``DType/int16``.
  public static var dtype: DType { .int16 }
}

extension Int8: TensorScalar {
  /// Is ``DType/int8``.
  public static var dtype: DType { .int8 }
}

extension UInt8: TensorScalar {
  /// Is ``DType/uint8``.
  public static var dtype: DType { .uint8 }
}

extension Bool: TensorScalar {
  /// Is ``DType/bool``.
  public static var dtype: DType { .bool }
}
