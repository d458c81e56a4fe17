public import Foundation
public import KinoTensor

/// One file of weights, of any form that Kino reads: tensors by name over mapped pages.
///
/// The form is told by the content, never by the name. Opening costs the header, not the data, and
/// everything that a header claims is checked against the file before a tensor is handed out.
public struct WeightFile: Sendable {
  /// The forms of files.
  public enum Format: String, Hashable, Sendable {
    case safetensors
    /// The file format of ggml.
    case gguf = "GGUF"
    /// A state dictionary as `torch.save` writes it: a zip file with a pickle inside, or in the old form
    /// pickles one behind another.
    case torch = "PyTorch"
  }

  /// The file.
  public let url: URL
  /// Its form.
  public let format: Format
  /// What the file says about itself: texts, and numbers as text.
  public let metadata: [String: String]
  /// The tensors, in the order of their data.
  public let tensors: [StoredTensor]

  package let mapping: MappedFile
  /// Lists that stand in the header of a GGUF file, such as a tokenizer's pieces.
  let lists: [String: MetadataList]
  private let ranges: [Range<Int>]
  private let indices: [String: Int]

  /// Opens a file of whatever form its first bytes show.
  ///
  /// - Throws: ``WeightsError`` if the file cannot be read, breaks a rule of its form, or is none of
  ///   the forms.
  public init(at url: URL) throws(WeightsError) {
    try self.init(url, mapping: MappedFile(path: url.path))
  }

  init(_ url: URL, mapping: MappedFile) throws(WeightsError) {
    switch try FileSignature(of: mapping) {
    case .gguf: self.init(url, .gguf, try GGUFHeader(mapping).content, mapping)
    case .zip: self.init(url, .torch, try TorchArchive(mapping).content, mapping)
    case .pickles: self.init(url, .torch, try TorchLegacyFile(mapping).content, mapping)
    case .other: self.init(url, .safetensors, try SafetensorsHeader(mapping).content, mapping)
    case .foreign(let kind, let advice):
      throw WeightsError(
        .unsupportedFormat, at: mapping.path,
        expected: "safetensors, GGUF, or a file of torch.save",
        found: kind, advice: advice)
    }
  }

  /// What a header says, checked: every range lies inside the file.
  struct Content {
    var tensors: [StoredTensor] = []
    /// Where each tensor lies in the file; same order as `tensors`.
    var ranges: [Range<Int>] = []
    var metadata: [String: String] = [:]
    var lists: [String: MetadataList] = [:]
  }

  init(_ url: URL, _ format: Format, _ content: Content, _ mapping: MappedFile) {
    self.url = url
    self.format = format
    self.mapping = mapping
    metadata = content.metadata
    lists = content.lists
    tensors = content.tensors
    ranges = content.ranges
    indices = Dictionary(zip(tensors.map(\.name), tensors.indices)) { first, _ in first }
  }

  /// Returns the description of a tensor, or nil if the file has none of that name.
  public subscript(name: String) -> StoredTensor? { indices[name].map { tensors[$0] } }

  /// The shape of each tensor, for ``KeyContract/check(_:at:)``.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
  }

  /// Calls `body` with the bytes of a tensor as stored: little-endian, row-major, possibly unaligned.
  ///
  /// The file's size and date are checked first; the pointer is valid until `body` returns.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor or the file was changed since opening.
  public func withUnsafeBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let bytes = try bytes(of: name)
    return try withExtendedLifetime(mapping) { try body(bytes) }
  }

  /// Returns a tensor over the file's pages, which are read when first touched.
  ///
  /// Nothing is copied unless the file leaves the elements unaligned. The pages stay mapped as long
  /// as the tensor lives. Two tensors of one name share them, so copy before writing in place.
  /// Packed types, ``StoredType/isPacked``, become float32.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor, the file was changed since opening, or
  ///   a boolean is neither 0 nor 1.
  public func tensor(named name: String) throws(WeightsError) -> Tensor {
    let bytes = try bytes(of: name)
    return try tensor(bytes, as: self[name] ?? StoredTensor(name: name, type: .uint8, shape: [0]))
  }

  // MARK: - Internal

  /// Makes a tensor of bytes of this file.
  func tensor(
    _ bytes: UnsafeRawBufferPointer, as stored: StoredTensor
  ) throws(WeightsError) -> Tensor {
    guard let start = bytes.baseAddress, !bytes.isEmpty else {
      return .zeros(stored.shape, dtype: stored.type.dtype)
    }
    if stored.type == .bool { try checkBooleans(bytes, of: stored.name) }
    return withExtendedLifetime(mapping) {
      if stored.type.isPacked { return stored.type.unpacked(bytes, shape: stored.shape) }
      guard Int(bitPattern: start).isMultiple(of: stored.type.alignment) else {
        return Tensor(copying: bytes, shape: stored.shape, dtype: stored.type.dtype)
      }
      return Tensor(
        borrowing: UnsafeMutableRawPointer(mutating: start), shape: stored.shape,
        dtype: stored.type.dtype, owner: mapping)
    }
  }

  /// Returns a tensor's bytes in place: valid as long as ``mapping`` lives.
  package func bytes(of name: String) throws(WeightsError) -> UnsafeRawBufferPointer {
    guard let index = indices[name] else {
      throw WeightsError(
        .missingTensor, at: mapping.path, expected: "a tensor \(quoted(name))",
        found: "\(tensors.count) tensors of other names",
        advice: "Check that this file belongs to this model.")
    }
    try mapping.checkUnchanged()
    return UnsafeRawBufferPointer(rebasing: mapping.bytes[ranges[index]])
  }

  /// LibTorch computes with booleans as they are; other values would be undefined.
  private func checkBooleans(
    _ bytes: UnsafeRawBufferPointer, of name: String
  ) throws(WeightsError) {
    guard let value = bytes.first(where: { $0 > 1 }) else { return }
    throw WeightsError(
      .badValue, at: mapping.path, expected: "0 or 1 in the booleans of \(quoted(name))",
      found: "\(value)")
  }
}
