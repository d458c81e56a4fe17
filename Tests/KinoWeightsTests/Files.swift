import Foundation
// For every file of this module.
@_exported import KinoTestSupport
import KinoWeights
import Testing

extension TemporaryFolder {
  /// Writes the one file of a test.
  @discardableResult
  func write(_ bytes: [UInt8]) throws -> URL { try write(bytes, "file.safetensors") }
}

/// Builds the bytes of a safetensors file from the text of its header.
func safetensors(_ header: String, data: Int = 0) -> [UInt8] {
  safetensors(Array(header.utf8), data: Array(repeating: 7, count: data))
}

func safetensors(_ header: [UInt8], data: [UInt8], length: Int? = nil) -> [UInt8] {
  littleEndian(length ?? header.count) + header + data
}

func littleEndian(_ value: Int) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

func entry(
  _ name: String, _ type: String = "U8", _ shape: [Int] = [4], _ offsets: [Int] = [0, 4]
) -> String {
  "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
}

/// Runs `body` and returns the ``WeightsError`` it must throw.
func weightsError(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) -> WeightsError? {
  #expect(throws: WeightsError.self, sourceLocation: sourceLocation) { try body() }
}

extension SafetensorsFile {
  func bytes(_ name: String) throws -> [UInt8] {
    try withUnsafeBytes(of: name) { Array($0) }
  }
}

/// Writes a file whose tensors are filled with `pattern` of their name.
func writeFile(
  _ tensors: [StoredTensor], to url: URL, metadata: [String: String] = [:],
  order: SafetensorsWriter.Order = .sorted
) throws {
  var writer = try SafetensorsWriter(to: url, tensors: tensors, metadata: metadata, order: order)
  for tensor in tensors {
    try pattern(tensor).withUnsafeBytes { try writer.write($0, for: tensor.name) }
  }
  try writer.finish()
}

/// Bytes that differ between tensors and along each.
func pattern(_ tensor: StoredTensor) -> [UInt8] {
  let start = tensor.name.utf8.reduce(17) { $0 &* 31 &+ Int($1) }
  return (0..<tensor.byteCount).map { UInt8(truncatingIfNeeded: start &+ $0 &* 7) }
}
