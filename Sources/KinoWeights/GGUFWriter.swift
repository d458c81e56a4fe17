public import Foundation
internal import KinoSystem

/// Writes a GGUF file of version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), one tensor
/// at a time, and gives it its name only when complete.
///
/// Tensors of more than four axes are stored as matrices, with their extents beside them under the names
/// that ComfyUI reads. Dropped before ``finish(checking:)``, it leaves nothing behind.
public struct GGUFWriter: ~Copyable {
  private static let alignment = 32
  /// Tools of ggml know no more axes.
  private static let maximumRank = 4

  private var body: TensorBody

  /// Starts a file by writing its header to a temporary file beside `url`.
  ///
  /// - Parameters:
  ///   - url: The file.
  ///   - tensors: What will be written, in the order of the file.
  ///   - metadata: Texts of the header, such as `general.architecture`.
  /// - Throws: ``WeightsError`` if a name occurs twice, a type is none of the format, or the folder cannot
  ///   be written to.
  public init(
    to url: URL, tensors: [StoredTensor], metadata: [String: String] = [:]
  ) throws(WeightsError) {
    var pending: [String: (offset: Int, tensor: StoredTensor)] = [:]
    var header = GGUFText()
    var offset = 0
    for tensor in tensors {
      guard pending.updateValue((offset, tensor), forKey: tensor.name) == nil else {
        throw WeightsError(
          .duplicateKey, at: url.path, expected: "each tensor name once",
          found: "\(quoted(tensor.name)) again", advice: "Rename or drop the tensor.")
      }
      guard let number = tensor.type.ggufNumber else {
        throw WeightsError(
          .unsupportedType, at: url.path, expected: "a type of the GGUF format",
          found: "\(tensor.type.rawValue) for \(quoted(tensor.name))",
          advice: "Write a safetensors file instead.")
      }
      header.append(text: tensor.name)
      let extents = Self.extents(tensor.shape)
      header.append(UInt32(extents.count))
      // The format lists the innermost axis first.
      for extent in extents.reversed() { header.append(UInt64(extent)) }
      header.append(number)
      header.append(UInt64(offset))
      offset += (tensor.byteCount + Self.alignment - 1) / Self.alignment * Self.alignment
    }
    var bytes = Self.values(tensors, metadata) + header.bytes
    bytes += repeatElement(
      0, count: (Self.alignment - bytes.count % Self.alignment) % Self.alignment)
    let file = try WeightsError.writing { () throws(FileError) -> AtomicFile in
      let file = try AtomicFile(path: url.path, overwrite: true)
      try file.write(bytes, at: 0)
      // The space behind the last tensor belongs to the file.
      if offset > 0 { try file.write([0], at: bytes.count + offset - 1) }
      return file
    }
    body = TensorBody(path: url.path, file: file, start: bytes.count, pending: pending)
  }

  /// Writes the bytes of one tensor, little-endian and row-major, in blocks if its type has such.
  ///
  /// Tensors may come in any order.
  ///
  /// - Throws: ``WeightsError`` if the tensor was not announced or is already written, if `bytes`
  ///   is not of its size, or if the disk refuses.
  public mutating func write(
    _ bytes: UnsafeRawBufferPointer, for name: String
  ) throws(WeightsError) {
    try body.write(bytes, for: name)
  }

  /// Flushes the file to disk and moves it to its name, replacing a file already there.
  ///
  /// - Parameter check: Reads what was written, before it has its name; if this throws, the file is dropped.
  /// - Throws: ``WeightsError`` if a tensor is still missing or the disk refuses; the target is
  ///   then as it was before.
  public consuming func finish(
    checking check: (_ written: URL) throws(WeightsError) -> Void = { _ in }
  ) throws(WeightsError) {
    try body.finish(checking: check)
  }

  // MARK: - Layout

  private static func extents(_ shape: [Int]) -> [Int] {
    guard shape.count > maximumRank else { return shape }
    return [shape[0], shape.dropFirst().reduce(1, *)]
  }

  /// The start of the file, up to the descriptions of tensors.
  private static func values(_ tensors: [StoredTensor], _ metadata: [String: String]) -> [UInt8] {
    let shaped = tensors.filter { $0.shape.count > maximumRank }
    var text = GGUFText()
    text.bytes = Array("GGUF".utf8)
    text.append(UInt32(3))
    text.append(UInt64(tensors.count))
    text.append(UInt64(metadata.count + shaped.count + 1))
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      text.append(text: key)
      text.append(GGUFHeader.ValueType.string.rawValue)
      text.append(text: value)
    }
    // The version of the blocks' layouts; this is the only one in use.
    text.append(text: "general.quantization_version")
    text.append(GGUFHeader.ValueType.uint32.rawValue)
    text.append(UInt32(2))
    for tensor in shaped {
      text.append(text: GGUFHeader.shapePrefix + tensor.name)
      text.append(GGUFHeader.ValueType.array.rawValue)
      text.append(GGUFHeader.ValueType.int32.rawValue)
      text.append(UInt64(tensor.shape.count))
      for extent in tensor.shape { text.append(UInt32(truncatingIfNeeded: extent)) }
    }
    return text.bytes
  }
}

/// Bytes of a header as they grow.
private struct GGUFText {
  var bytes: [UInt8] = []

  mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  mutating func append(text: String) {
    append(UInt64(text.utf8.count))
    bytes += text.utf8
  }
}

extension StoredType {
  /// The number that ggml gives to the type; nil if it has none.
  fileprivate var ggufNumber: UInt32? { Self.ggufTypes.first { $0.type == self }?.number }
}
