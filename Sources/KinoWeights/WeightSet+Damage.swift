import Crypto
import Foundation
import KinoTensor

extension WeightSet {
  /// Reads every byte, and tells of files of the right length whose bytes are not those that were sent.
  ///
  /// Where a download left a checksum, it decides: in the cache of the Hugging Face hub a file has its SHA-256 for a
  /// name, in a folder that the hub's programs filled it stands in `.cache/huggingface`. Without one, numbers are
  /// looked at: a changed exponent makes one that no trained network has.
  ///
  /// - Returns: A fault (`badChecksum`) for each file, or (`badValue`) for each file's first tensor with numbers that are
  ///   not finite or beyond 10,000.
  /// - Complexity: A second or two per GB, and the memory of the largest packed tensor in float32.
  public func damage() -> [WeightsError] {
    files.indices.compactMap { index in
      if let expected = Self.checksum(of: files[index].url) {
        return checksumFault(files[index], expected)
      }
      return tensors.indices.lazy.filter { self.sources[$0].file == index }
        .compactMap { self.numberFault(self.tensors[$0]) }.first
    }
  }

  private static let greatest = 10_000.0

  private func checksumFault(_ file: WeightFile, _ expected: String) -> WeightsError? {
    let found = withExtendedLifetime(file.mapping) {
      SHA256.hash(data: file.mapping.bytes).hexadecimal
    }
    guard found != expected else { return nil }
    return WeightsError(
      .badChecksum, at: file.url.path, expected: "bytes with the SHA-256 \(expected.prefix(12))...",
      found: "\(found.prefix(12))...", advice: "Fetch the file again.")
  }

  private func numberFault(_ tensor: StoredTensor) -> WeightsError? {
    defer { releasePages(of: tensor.name) }
    do {
      guard tensor.type.isPacked || tensor.type.dtype.isFloatingPoint else { return nil }
      let all = try self.tensor(named: tensor.name).detached().reshaped(to: -1)
      for range in Self.chunks(of: all.count) {
        let greatest = all.slice(0, range).cast(to: .float32).abs().max().item()
        // Written so that NaN fails.
        guard greatest <= Self.greatest else {
          return WeightsError(
            .badValue, at: url.path,
            expected: "numbers of \(quoted(tensor.name)) as networks have them",
            found: greatest.isFinite ? "one of \(greatest)" : "some that are not finite",
            advice: "Bytes of the file were changed: fetch it again.")
        }
      }
      return nil
    } catch {
      return error
    }
  }

  /// The SHA-256 that a download left for a file; `nil` where there is none.
  static func checksum(of url: URL) -> String? {
    func isSHA256(_ text: String) -> Bool {
      text.utf8.count == 64 && text.allSatisfy(\.isHexDigit)
    }
    let blob = url.resolvingSymlinksInPath()
    if blob.deletingLastPathComponent().lastPathComponent == "blobs",
      isSHA256(blob.lastPathComponent)
    {
      return blob.lastPathComponent.lowercased()
    }
    // The second line is the file's tag: its SHA-256 for large files, something shorter for others.
    var (folder, path) = (url.deletingLastPathComponent(), url.lastPathComponent)
    for _ in 0..<4 {
      let note = folder.appendingPathComponent(".cache/huggingface/download/\(path).metadata")
      if let text = try? String(contentsOf: note, encoding: .utf8) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let tag = lines.count > 1 ? lines[1].filter { $0 != "\"" } : ""
        return isSHA256(tag) ? tag.lowercased() : nil
      }
      path = "\(folder.lastPathComponent)/\(path)"
      folder = folder.deletingLastPathComponent()
    }
    return nil
  }
}
