public import Foundation
internal import KinoTensor

/// The type that a conversion gives to the weights of products.
public enum WeightPrecision: String, CaseIterable, Sendable {
  case f32, f16, bf16
  /// Blocks of 32 numbers of 8 bits with a scale each; in GGUF files alone.
  case q80 = "q8_0"
  /// Blocks of 256 numbers of 4 bits with scales and minima; in GGUF files alone.
  case q4K = "q4_k"

  /// The packed type, if it is one; only GGUF files hold it.
  public var packed: StoredType? {
    switch self {
    case .q80: .q80
    case .q4K: .q4K
    case .f32, .f16, .bf16: nil
    }
  }
}

extension WeightSet {
  /// Writes the tensors to one file of another form or type, as they are when asked for: scales multiplied,
  /// adapters added.
  ///
  /// The file is read back before it has its name: every number must be that of the tensor within the
  /// rounding of its type.
  ///
  /// - Parameters:
  ///   - url: The file, replaced if it is there; GGUF if its name ends in `.gguf`, else safetensors.
  ///   - precision: The type of `.weight` tensors of two axes and more; biases, norms and tables keep
  ///     theirs, but `f32` is for all. Packed types take matrices of whole blocks, Q8_0 those
  ///     that have none of Q4_K's, and the others keep their type. nil keeps every type, and makes packed weights bfloat16.
  ///   - metadata: Texts of the header.
  /// - Throws: ``WeightsError`` if a tensor can't be read, the type is none of the format or can't hold the
  ///   numbers, or the file can't be written; nothing is left behind then.
  public func convert(
    to url: URL, precision: WeightPrecision?, metadata: [String: String] = [:]
  ) throws {
    let plan = try converted(to: precision)
    func check(_ written: URL) throws(WeightsError) { try checkCopy(WeightSet(at: written)) }
    if url.pathExtension.lowercased() == "gguf" {
      var writer = try GGUFWriter(to: url, tensors: plan, metadata: metadata)
      for tensor in plan { try withBytes(of: tensor) { try writer.write($0, for: tensor.name) } }
      try writer.finish(checking: check)
    } else {
      var writer = try SafetensorsWriter(to: url, tensors: plan, metadata: metadata)
      for tensor in plan { try withBytes(of: tensor) { try writer.write($0, for: tensor.name) } }
      try writer.finish(checking: check)
    }
  }

  /// Writes the tensors to a component's folder, as safetensors, in shards if they are large, and reads them
  /// back; see ``convert(to:precision:metadata:)``.
  public func convert(
    toFolder folder: URL, stem: String, precision: WeightPrecision?
  ) throws {
    let place = try WeightSet.write(
      converted(to: precision), to: folder, stem: stem, metadata: ["format": "pt"]
    ) { try withBytes(of: $0, $1) }
    try checkCopy(WeightSet(at: place))
  }

  /// The tensors in the types that a conversion gives them.
  func converted(to precision: WeightPrecision?) throws(WeightsError) -> [StoredTensor] {
    var result: [StoredTensor] = []
    for tensor in tensors {
      let type = Self.type(
        of: tensor, isUnpacked: try source(of: tensor.name).isUnpacked, precision: precision)
      result.append(StoredTensor(name: tensor.name, type: type, shape: tensor.shape))
    }
    return result
  }

  private static func type(
    of tensor: StoredTensor, isUnpacked: Bool, precision: WeightPrecision?
  ) -> StoredType {
    guard tensor.type.dtype.isFloatingPoint || isUnpacked else { return tensor.type }
    if precision == .f32 { return .float32 }
    let own = isUnpacked ? StoredType.float32 : tensor.type
    guard tensor.name.hasSuffix(".weight"), tensor.shape.count >= 2 else { return own }
    switch precision {
    case .f16: return .float16
    case .bf16: return .bfloat16
    case .q80, .q4K:
      let types = [precision?.packed, .q80].compactMap(\.self)
      return types.first {
        tensor.shape.count == 2 && tensor.shape[1].isMultiple(of: $0.blockLength)
      } ?? own
    case .f32, nil: return isUnpacked ? .bfloat16 : own
    }
  }

  /// Hands out a tensor's elements in the type of a plan.
  private func withBytes(
    of tensor: StoredTensor, _ take: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let value = try self.tensor(named: tensor.name).detached()
    if tensor.type.isPacked {
      try BlockPacking.packed(value, as: tensor.type).withUnsafeBytes(take)
    } else {
      try value.cast(to: tensor.type.dtype).withUnsafeBytes(take)
    }
    releasePages(of: tensor.name)
  }

  // MARK: - Checking

  /// Ranges of numbers that are looked at together.
  static func chunks(of count: Int) -> [Range<Int>] {
    let length = 1 << 22
    return stride(from: 0, to: count, by: length).map { $0..<min($0 + length, count) }
  }

  /// Throws unless a copy has the same tensors, every number within the rounding of its type.
  func checkCopy(_ copy: WeightSet) throws(WeightsError) {
    try KeyContract(shapes: shapes).check(copy.shapes, at: copy.url.path)
    for tensor in copy.tensors {
      let a = try self.tensor(named: tensor.name).detached().reshaped(to: -1)
      let b = try copy.tensor(named: tensor.name).reshaped(to: -1)
      for range in Self.chunks(of: a.count) {
        let original = a.slice(0, range).cast(to: .float64)
        let distance = (original - b.slice(0, range).cast(to: .float64)).abs()
        let excess = (distance - tensor.type.rounding(of: original)).max().item()
        // Written so that NaN fails.
        guard excess <= 0 else {
          throw WeightsError(
            .badValue, at: copy.url.path,
            expected:
              "the numbers of \(quoted(tensor.name)) within the rounding of \(tensor.type.rawValue)",
            found: excess.isFinite
              ? "some that are \(distance.max().item()) off" : "some that are not finite",
            advice: "Take a type that holds them, such as f32 or bf16.")
        }
      }
      releasePages(of: tensor.name)
      copy.releasePages(of: tensor.name)
    }
  }
}

extension StoredType {
  /// How far each number may be from the original after rounding to the nearest, in float64.
  fileprivate func rounding(of original: Tensor) -> Tensor {
    // Half a unit in the last place, and half of the smallest number.
    switch self {
    case .float32: return original.abs() * 0x1p-24 + 0x1p-150
    case .float16: return original.abs() * 0x1p-11 + 0x1p-25
    case .bfloat16: return original.abs() * 0x1p-8 + 0x1p-134
    case .q80:
      // Half a step, and what rounding the scale to 16 bits does to the largest code.
      let blocks = original.reshaped(to: -1, blockLength)
      let steps = blocks.abs().max(along: 1, keepingDimensions: true) / 127
      let bounds = steps * (0.5001 + 127 * 0x1p-11) + 127 * 0x1p-25
      return (blocks * 0 + bounds).reshaped(to: -1)
    case .q4K:
      // A step is a fifteenth of the widest part; the best line may leave a part's ends two steps out.
      let parts = original.reshaped(to: -1, blockLength / 32, 32)
      let low = (-parts).max(along: 2, keepingDimensions: true).maximum(
        Tensor(0).cast(to: .float64))
      let high = parts.max(along: 2, keepingDimensions: true).maximum(Tensor(0).cast(to: .float64))
      let widest = (low + high).max(along: 1, keepingDimensions: true)
      let bounds = widest * (2.0 / 15 + 2.0 / 63) + 0x1p-18
      return (parts * 0 + bounds).reshaped(to: -1)
    default: return original * 0
    }
  }
}
