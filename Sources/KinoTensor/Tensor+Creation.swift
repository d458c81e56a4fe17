internal import CKinoTorch

extension Tensor {
  /// Copies `values` in row-major order into a tensor of `shape`.
  public init<Scalar: TensorScalar>(_ values: [Scalar], shape: [Int]) {
    precondition(
      values.count == shape.reduce(1, *), "Tensor: \(values.count) values for shape \(shape)")
    self = values.withUnsafeBytes { Tensor(copying: $0, shape: shape, dtype: Scalar.dtype) }
  }

  /// Copies `values` into a tensor with one axis.
  public init<Scalar: TensorScalar>(_ values: [Scalar]) { self.init(values, shape: [values.count]) }

  /// Makes a tensor without axes.
  public init(_ value: Double, dtype: DType = .float32) {
    self = .full(value, shape: [], dtype: dtype)
  }

  /// Copies raw row-major elements.
  public init(copying bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) {
    let sizes = shape.map(Int64.init)
    self = Tensor.make("Tensor(copying:) \(shape)") {
      kino_from_bytes(
        bytes.baseAddress, bytes.count, sizes, Int32(sizes.count), dtype.rawValue, $0)
    }
  }

  /// Borrows raw row-major elements without a copy for as long as `owner` lives in the tensor.
  ///
  /// The memory may be read-only, such as a mapped file: never write to the tensor in place.
  public init(
    borrowing bytes: UnsafeMutableRawPointer, shape: [Int], dtype: DType, owner: AnyObject
  ) {
    let sizes = shape.map(Int64.init)
    let context = Unmanaged.passRetained(owner)
    self = Tensor.make("Tensor(borrowing:) \(shape)") {
      kino_from_mapping(
        bytes, sizes, Int32(sizes.count), dtype.rawValue,
        { pointer in
          if let pointer { Unmanaged<AnyObject>.fromOpaque(pointer).release() }
        }, context.toOpaque(), $0)
    }
  }

  /// Fills a tensor with one value.
  public static func full(
    _ value: Double, shape: [Int], dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    let sizes = shape.map(Int64.init)
    return make("full \(shape)") {
      kino_full(value, sizes, Int32(sizes.count), dtype.rawValue, device.raw, $0)
    }
  }

  /// Fills a tensor with zeros.
  public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor
  {
    full(0, shape: shape, dtype: dtype, device: device)
  }

  /// Fills a tensor with ones.
  public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor
  {
    full(1, shape: shape, dtype: dtype, device: device)
  }

  /// Counts from `start` up to, not including, `end`.
  public static func range(
    _ start: Double, _ end: Double, step: Double = 1, dtype: DType = .float32
  ) -> Tensor {
    make("range") { kino_arange(start, end, step, dtype.rawValue, $0) }
  }

  /// The elements in row-major order; the tensor must hold this type.
  public func scalars<Scalar: TensorScalar>(_ type: Scalar.Type = Float.self) -> [Scalar] {
    if handle.isMissing { return [] }
    precondition(dtype == Scalar.dtype, "scalars: expected \(Scalar.dtype), found \(summary)")
    let count = count
    return [Scalar](unsafeUninitializedCapacity: count) { buffer, filled in
      let size = count * MemoryLayout<Scalar>.stride
      filled =
        check("scalars", kino_copy_bytes(handle.pointer, buffer.baseAddress, size)) ? count : 0
    }
  }

  /// The elements as numbers, whatever the element type.
  public func floats() -> [Float] { detached().cast(to: .float32).scalars(Float.self) }

  /// The only element, as a number.
  public func item() -> Double {
    if handle.isMissing { return .nan }
    precondition(count == 1, "item: expected one element, found \(summary)")
    return detached().cast(to: .float64).scalars(Double.self).first ?? .nan
  }

  /// Runs `body` on the row-major elements; copies only if they are elsewhere or have gaps.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
    -> Result
  {
    let tensor = detached().moved(to: .cpu).contiguous()
    var data: UnsafeMutableRawPointer?
    guard !tensor.handle.isMissing,
      check("withUnsafeBytes", kino_data(tensor.handle.pointer, &data))
    else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    defer { withExtendedLifetime(tensor) {} }
    return try body(UnsafeRawBufferPointer(start: data, count: tensor.count * dtype.byteCount))
  }
}
