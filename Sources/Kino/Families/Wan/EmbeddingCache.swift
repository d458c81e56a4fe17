import Crypto
import Foundation
internal import KinoTensor
internal import KinoWeights

/// Keeps the states of texts on disk, by the text and by the encoder's weights.
///
/// What can't be read or written is passed over: a cache is never needed.
struct EmbeddingCache {
  private let folder: URL
  private let encoder: String
  /// All files together may have so many bytes; the ones used longest ago go first.
  private let byteLimit: Int

  /// The folder in the user's own for caches, if there is one.
  static var userFolder: URL? {
    FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first?
      .appendingPathComponent("kino/embeddings")
  }

  /// Of an encoder's weights.
  ///
  /// - Throws: `WeightsError` if the weights can't be read.
  init(in folder: URL, of weights: WeightSet, precision: Precision) throws {
    let files = weights.files.enumerated().map { (name: "\($0)", url: $1.url) }
    let hash = try WeightsHashCache(file: WeightsHashCache.userFile).hash(of: files)
    self.init(in: folder, encoder: "\(hash.hexadecimal) \(precision.computeType)")
  }

  init(in folder: URL, encoder: String, byteLimit: Int = 256 << 20) {
    (self.folder, self.encoder, self.byteLimit) = (folder, encoder, byteLimit)
  }

  /// The states of a text, `[n, width]`, float32, if they are there, whole and undamaged.
  func states(of text: String, width: Int) -> Tensor? {
    let url = file(of: text)
    guard let file = try? SafetensorsFile(at: url),
      let states = try? file.tensor(named: Self.key).cast(to: .float32).copied(),
      states.rank == 2, states.size(0) > 0, states.size(1) == width,
      file.metadata[Self.digestKey] == Self.digest(of: states)
    else { return nil }
    // The time of use, by which old ones go.
    try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: url.path)
    return states
  }

  /// Keeps the states of a text.
  func keep(_ states: Tensor, of text: String) {
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try? SafetensorsFile.write(
      [(key: Self.key, value: states)], to: file(of: text),
      metadata: [Self.digestKey: Self.digest(of: states)])
    prune()
  }

  /// Removes the ones used longest ago until the rest is small enough.
  private func prune() {
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
    let files = try? FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: Array(keys))
    let entries = (files ?? []).compactMap { url -> (url: URL, bytes: Int, date: Date)? in
      guard let values = try? url.resourceValues(forKeys: keys),
        let bytes = values.fileSize, let date = values.contentModificationDate
      else { return nil }
      return (url, bytes, date)
    }
    var bytes = entries.reduce(0) { $0 + $1.bytes }
    for entry in entries.sorted(by: { $0.date < $1.date }) where bytes > byteLimit {
      try? FileManager.default.removeItem(at: entry.url)
      bytes -= entry.bytes
    }
  }

  private static let key = "hidden_states"
  private static let digestKey = "sha256"

  private static func digest(of states: Tensor) -> String {
    states.contiguous().withUnsafeBytes { SHA256.hash(data: $0).hexadecimal }
  }

  private func file(of text: String) -> URL {
    let name = SHA256.hash(data: Data((encoder + "\0" + text).utf8))
    return folder.appendingPathComponent(name.hexadecimal + ".safetensors")
  }
}
