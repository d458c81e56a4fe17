import Foundation
import KinoTensor

/// Reference tensors of the schedulers, written by `Tools/goldens`.
struct Goldens {
  private let header: [String: Any]
  private let bytes: Data

  init() throws {
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../KinoTestSupport/Goldens/schedulers/io.safetensors")
    let data = try Data(contentsOf: url)
    let length = data.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let json = try JSONSerialization.jsonObject(with: data.dropFirst(8).prefix(length))
    header = json as? [String: Any] ?? [:]
    bytes = Data(data.dropFirst(8 + length))
  }

  /// The float32 values of one tensor, in row-major order.
  subscript(key: String) -> [Float] {
    guard let entry = header[key] as? [String: Any], let range = entry["data_offsets"] as? [Int]
    else {
      return []
    }
    let part = [UInt8](bytes[range[0]..<range[1]])
    return part.withUnsafeBytes { raw in
      (0..<part.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }
  }
}

/// The largest difference, relative to the largest expected value.
func relativeError(_ found: [Float], _ expected: [Float]) -> Float {
  if found.count != expected.count || expected.isEmpty { return .infinity }
  let scale = expected.map(abs).max() ?? 0
  let error = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
  return error / max(scale, .leastNormalMagnitude)
}
