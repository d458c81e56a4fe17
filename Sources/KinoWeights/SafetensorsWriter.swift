public import Foundation
internal import KinoSystem

/// Writes a safetensors file, one tensor at a time, and gives it its name only when complete.
///
/// ```swift
/// var writer = try SafetensorsWriter(to: url, tensors: tensors, metadata: ["format": "pt"])
/// for tensor in tensors { try writer.write(bytes(of: tensor), for: tensor.name) }
/// try writer.finish()
/// ```
/// Dropped before ``finish(checking:)``, it leaves nothing behind.
public struct SafetensorsWriter: ~Copyable {
  /// How tensors are laid out in the file.
  public enum Order: Sendable {
    /// Widest element type first, then by name: every tensor is aligned for its type.
    case sorted
    /// As given. Readers that map the file must copy tensors this leaves unaligned.
    case given
  }

  private var body: TensorBody

  /// Starts a file by writing its header to a temporary file beside `url`.
  ///
  /// - Throws: ``WeightsError`` if a name occurs twice or is reserved, the header is over 100 MB, or
  ///   the folder cannot be written to.
  public init(
    to url: URL, tensors: [StoredTensor], metadata: [String: String] = [:], order: Order = .sorted
  ) throws(WeightsError) {
    let path = url.path
    let tensors = order == .given ? tensors : Self.sorted(tensors)
    let pending = try Self.layout(tensors, path: path)
    let header = Self.header(tensors, metadata)
    guard header.count - 8 <= SafetensorsHeader.maximumLength else {
      throw WeightsError(
        .headerTooLarge, at: path,
        expected: "a header of at most \(SafetensorsHeader.maximumLength) bytes",
        found: "\(header.count - 8)", advice: "Write fewer tensors or less metadata per file.")
    }
    let file = try WeightsError.writing { () throws(FileError) -> AtomicFile in
      let file = try AtomicFile(path: url.path, overwrite: true)
      try file.write(header, at: 0)
      return file
    }
    body = TensorBody(path: path, file: file, start: header.count, pending: pending)
  }

  /// Writes the bytes of one tensor, little-endian and row-major.
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

  static func sorted(_ tensors: [StoredTensor]) -> [StoredTensor] {
    tensors.sorted { a, b in
      a.type.alignment == b.type.alignment
        ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
        : a.type.alignment > b.type.alignment
    }
  }

  private static func layout(
    _ tensors: [StoredTensor], path: String
  ) throws(WeightsError) -> [String: (offset: Int, tensor: StoredTensor)] {
    var layout: [String: (offset: Int, tensor: StoredTensor)] = [:]
    var offset = 0
    for tensor in tensors {
      guard tensor.name != SafetensorsHeader.metadataKey,
        layout.updateValue((offset, tensor), forKey: tensor.name) == nil
      else {
        throw WeightsError(
          .duplicateKey, at: path, expected: "each tensor name once, and not __metadata__",
          found: "\(quoted(tensor.name)) again", advice: "Rename or drop the tensor.")
      }
      guard tensor.type.blockLength == 1 else {
        throw WeightsError(
          .unsupportedType, at: path, expected: "a type of the safetensors format",
          found: "\(tensor.type.rawValue) for \(quoted(tensor.name))",
          advice: "Unpack the tensor before writing.")
      }
      offset += tensor.byteCount
    }
    return layout
  }

  /// Returns the length and the JSON text, padded with spaces so that the data starts at a
  /// multiple of 8.
  private static func header(
    _ tensors: [StoredTensor], _ metadata: [String: String]
  ) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { jsonString($0.key) + ":" + jsonString($0.value) }
      members.append("\"__metadata__\":{" + pairs.joined(separator: ",") + "}")
    }
    var offset = 0
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        jsonString(tensor.name) + ":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(offset + tensor.byteCount)]}")
      offset += tensor.byteCount
    }
    var text = Array(("{" + members.joined(separator: ",") + "}").utf8)
    text += repeatElement(0x20, count: (8 - text.count % 8) % 8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) } + text
  }

  private static func jsonString(_ text: String) -> String {
    var json = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": json += "\\" + String(scalar)
      case "\u{0}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: json.unicodeScalars.append(scalar)
      }
    }
    return json + "\""
  }
}
