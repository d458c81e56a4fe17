internal import Foundation
internal import KinoTensor

/// Encoded samples of one bucket in one file of equal records, appended as they are made.
struct LatentStore {
  private let url: URL
  let shape: [Int]  // [C, f, h, w]
  var count: Int
  private var recordBytes: Int { shape.reduce(2, *) }

  /// Opens a store; a record cut short by a kill is dropped.
  init(folder: URL, name: String, shape: [Int]) throws {
    self.shape = shape
    url = folder.appendingPathComponent(name + ".bf16")
    count = 0
    try TrainingError.makeFolder(folder)
    if !FileManager.default.fileExists(atPath: url.path) {
      try Data().write(to: url)
    }
    let handle = try FileHandle(forUpdating: url)
    defer { try? handle.close() }
    count = Int(try handle.seekToEnd()) / recordBytes
    try handle.truncate(atOffset: UInt64(count * recordBytes))
  }

  /// Appends `[n, C, f, h, w]`, rounded to bfloat16.
  mutating func append(_ latents: Tensor) throws {
    precondition(
      Array(latents.shape.dropFirst()) == shape, "append \(latents.summary) to records of \(shape)")
    let handle = try FileHandle(forWritingTo: url)
    defer { try? handle.close() }
    try handle.seekToEnd()
    try latents.cast(to: .bfloat16).withUnsafeBytes { try handle.write(contentsOf: Data($0)) }
    count += latents.size(0)
  }

  /// Reads records as `[n, C, f, h, w]`, float32.
  func latents(at indices: [Int]) throws -> Tensor {
    let handle = try FileHandle(forReadingFrom: url)
    defer { try? handle.close() }
    let records = try indices.map { index in
      try handle.seek(toOffset: UInt64(index * recordBytes))
      guard let data = try handle.read(upToCount: recordBytes), data.count == recordBytes else {
        throw TrainingError(
          .dataNotFound, "\(url.path): record \(index) is missing. Remove the file to encode anew.")
      }
      return data.withUnsafeBytes { Tensor(copying: $0, shape: shape, dtype: .bfloat16) }
    }
    return stack(records).cast(to: .float32)
  }
}
