internal import CKinoTorch

/// An n-dimensional array with value semantics for its readers, over LibTorch.
///
/// Operations return new tensors and may record themselves for ``backward()``. They do not throw: a
/// shape mistake traps with the operation and its operands' shapes, except inside
/// ``withTensorErrors(_:)``.
public struct Tensor: Sendable {
  private(set) var handle: TensorHandle

  init(_ handle: TensorHandle) { self.handle = handle }

  /// Runs a shim call that yields a new tensor.
  static func make(
    _ operation: String, _ operands: [Tensor] = [],
    _ body: (UnsafeMutablePointer<OpaquePointer?>) -> kino_status
  ) -> Tensor {
    var pointer: OpaquePointer?
    let text = { operation + operands.map { " \($0.summary)" }.joined(separator: ",") }
    if operands.contains(where: \.handle.isMissing) { return Tensor(.missing) }
    guard check(text(), body(&pointer)), let pointer else { return Tensor(.missing) }
    return Tensor(TensorHandle(pointer))
  }
}

/// Owns one shim handle.
///
/// `@unchecked Sendable`: LibTorch counts references atomically, and only optimisers and caches,
/// which own their tensors, write in place.
final class TensorHandle: @unchecked Sendable {
  let pointer: OpaquePointer
  /// Stands for the result of a failed operation inside `withTensorErrors`.
  let isMissing: Bool

  init(_ pointer: OpaquePointer, isMissing: Bool = false) {
    self.pointer = pointer
    self.isMissing = isMissing
  }

  deinit { kino_tensor_free(pointer) }

  static let missing: TensorHandle = {
    var pointer: OpaquePointer?
    _ = kino_full(0, nil, 0, DType.float32.rawValue, Device.cpu.raw, &pointer)
    guard let pointer else { preconditionFailure("no memory for a single number") }
    return TensorHandle(pointer, isMissing: true)
  }()
}

extension Tensor {
  /// Whether the storage is unshared and gradients are off, so that a result may overwrite it.
  mutating func isAlone() -> Bool {
    isKnownUniquelyReferenced(&handle) && kino_is_alone(handle.pointer)
  }
}

// MARK: - Facts

extension Tensor {
  /// The number of axes.
  public var rank: Int { Int(kino_rank(handle.pointer)) }

  /// The length of each axis.
  public var shape: [Int] { (0..<rank).map { Int(kino_size(handle.pointer, Int32($0))) } }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }

  /// The type of the elements.
  public var dtype: DType { DType(rawValue: kino_dtype_of(handle.pointer)) ?? .float32 }

  /// Where the elements live.
  public var device: Device { Device(raw: kino_device_of(handle.pointer)) }

  /// Whether the elements lie in row-major order without gaps.
  public var isContiguous: Bool { kino_is_contiguous(handle.pointer) }

  /// The length of one axis; negative counts from the last.
  public func size(_ axis: Int) -> Int {
    if handle.isMissing { return 1 }
    let position = axis < 0 ? rank + axis : axis
    precondition(0..<rank ~= position, "size: axis \(axis) of \(summary)")
    return Int(kino_size(handle.pointer, Int32(position)))
  }

  /// Shape and element type, for messages.
  public var summary: String { "\(shape) \(dtype)" }

  /// The lengths of exactly two axes; any other rank traps.
  public var shape2: (Int, Int) { sizes(2) { ($0[0], $0[1]) } }
  /// The lengths of exactly three axes; any other rank traps.
  public var shape3: (Int, Int, Int) { sizes(3) { ($0[0], $0[1], $0[2]) } }
  /// The lengths of exactly four axes; any other rank traps.
  public var shape4: (Int, Int, Int, Int) { sizes(4) { ($0[0], $0[1], $0[2], $0[3]) } }
  /// The lengths of exactly five axes; any other rank traps.
  public var shape5: (Int, Int, Int, Int, Int) { sizes(5) { ($0[0], $0[1], $0[2], $0[3], $0[4]) } }

  private func sizes<Sizes>(_ expected: Int, _ body: ([Int]) -> Sizes) -> Sizes {
    if handle.isMissing { return body(Array(repeating: 1, count: expected)) }
    precondition(rank == expected, "expected \(expected) axes, found \(summary)")
    return body(shape)
  }
}

extension Tensor: CustomStringConvertible {
  /// Shape, element type and device; never the elements.
  public var description: String { "Tensor(\(summary), \(device))" }
}
