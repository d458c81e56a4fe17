public import Foundation
public import KinoTensor

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
  public var metadata: [String: String] { file.metadata }
  /// The tensors, in the order of their data.
  public var tensors: [StoredTensor] { file.tensors }

  package var mapping: MappedFile { file.mapping }
  private let file: WeightFile

  /// Opens and checks a file.
  ///
  /// - Throws: ``WeightsError`` if the file cannot be read or breaks a rule of the format.
  public init(at url: URL) throws(WeightsError) {
    let mapping = try MappedFile(path: url.path)
    self.url = url
    file = WeightFile(url, .safetensors, try SafetensorsHeader(mapping).content, mapping)
  }

  /// Returns the description of a tensor, or nil if the file has none of that name.
  public subscript(name: String) -> StoredTensor? { file[name] }

  /// The shape of each tensor, for ``KeyContract/check(_:at:)``.
  public var shapes: [String: [Int]] { file.shapes }

  /// Calls `body` with the bytes of a tensor: little-endian, row-major, possibly unaligned.
  ///
  /// The file's size and date are checked first; the pointer is valid until `body` returns.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor or the file was changed since opening.
  public func withUnsafeBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try file.withUnsafeBytes(of: name, body)
  }

  /// Returns a tensor's bytes in place: valid as long as ``mapping`` lives.
  package func bytes(of name: String) throws(WeightsError) -> UnsafeRawBufferPointer {
    try file.bytes(of: name)
  }

  /// Returns a tensor over the file's pages; see ``WeightFile/tensor(named:)``.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor, the file was changed since opening, or
  ///   a boolean is neither 0 nor 1.
  public func tensor(named name: String) throws(WeightsError) -> Tensor {
    try file.tensor(named: name)
  }
}
