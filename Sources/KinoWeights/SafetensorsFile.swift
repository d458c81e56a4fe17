public import Foundation

/// Reads a safetensors file through a memory map: opening costs its header, not its data.
///
/// Everything the header claims is checked against the file before any tensor is handed out, so a
/// hostile file is a ``WeightsError``, never a read out of bounds. The residual risk: a program
/// that shortens the file in place while it is being read kills the process (see the check in
/// ``withUnsafeBytes(of:_:)``). Writers that replace files by renaming, as ours does, are safe.
public final class SafetensorsFile: Sendable {
  /// The file.
  public let url: URL
  /// The string map of the file, `__metadata__`.
  public var metadata: [String: String] { header.metadata }
  /// The tensors, in the order of their data.
  public var tensors: [StoredTensor] { header.tensors }

  package let mapping: MappedFile
  private let header: SafetensorsHeader
  private let dataStart: Int

  /// Opens and checks a file.
  ///
  /// - Throws: ``WeightsError`` if the file cannot be read or breaks a rule of the format.
  public init(at url: URL) throws(WeightsError) {
    let mapping = try MappedFile(path: url.path)
    let length = try Self.headerLength(mapping)
    let json = try mapping.read(8..<8 + length)
    self.header = try SafetensorsHeader(
      json: json, dataLength: mapping.byteCount - 8 - length, path: mapping.path)
    self.url = url
    self.mapping = mapping
    self.dataStart = 8 + length
  }

  /// Returns the description of a tensor, or nil if the file has none of that name.
  public subscript(name: String) -> StoredTensor? {
    header.indices[name].map { header.tensors[$0] }
  }

  /// The shape of each tensor, for ``KeyContract/check(_:at:)``.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
  }

  /// Calls `body` with the bytes of a tensor: little-endian, row-major, possibly unaligned.
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

  /// Returns a tensor's bytes in place: valid as long as ``mapping`` lives.
  package func bytes(of name: String) throws(WeightsError) -> UnsafeRawBufferPointer {
    guard let index = header.indices[name] else {
      throw WeightsError(
        .missingTensor, at: mapping.path, expected: "a tensor \(quoted(name))",
        found: "\(tensors.count) tensors of other names",
        advice: "Check that this file belongs to this model.")
    }
    try mapping.checkUnchanged()
    let range = header.ranges[index]
    return UnsafeRawBufferPointer(
      rebasing: mapping.bytes[dataStart + range.lowerBound..<dataStart + range.upperBound])
  }

  /// Lets the system take back the memory that a tensor's bytes occupy: they are read from the file again
  /// if anyone touches them. Changes made in place may be lost.
  func releasePages(of name: String) throws(WeightsError) {
    mapping.releasePages(of: try bytes(of: name))
  }

  private static func headerLength(_ mapping: MappedFile) throws(WeightsError) -> Int {
    guard mapping.byteCount >= 8 else {
      throw WeightsError(
        .truncatedHeader, at: mapping.path, expected: "at least 8 bytes",
        found: "\(mapping.byteCount)")
    }
    let length = try mapping.read(0..<8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(SafetensorsHeader.maximumLength) else {
      throw WeightsError(
        .headerTooLarge, at: mapping.path,
        expected: "a header of at most \(SafetensorsHeader.maximumLength) bytes",
        found: "\(length)", advice: "This is not a safetensors file, or it is damaged.")
    }
    guard length <= UInt64(mapping.byteCount - 8) else {
      throw WeightsError(
        .truncatedHeader, at: mapping.path, expected: "a header of \(length) bytes",
        found: "a file of \(mapping.byteCount)")
    }
    return Int(length)
  }
}
