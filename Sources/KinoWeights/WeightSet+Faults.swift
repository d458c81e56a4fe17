public import Foundation

extension WeightSet {
  /// Bytes of all files together, headers included.
  public var storedByteCount: Int { files.reduce(0) { $0 + $1.mapping.byteCount } }

  /// Opens weights file by file, and reads every byte of whole ones.
  ///
  /// - Parameter url: A file, an index of shards, or a component's folder.
  /// - Returns: What ``init(at:)`` would throw, but for every file and not only the first at fault; else
  ///   ``damage()``.
  public static func faults(at url: URL) -> [WeightsError] {
    do throws(WeightsError) {
      if isFolder(url) {
        var faults: [WeightsError] = []
        for place in try places(in: url) { faults += Self.faults(at: place) }
        if faults.isEmpty { _ = try WeightSet(inFolder: url) }
        return faults
      }
      var faults: [WeightsError] = []
      if try ShardIndex.isIndex(url) {
        for name in Set(try ShardIndex(at: url).shards.values).sorted() {
          faults += shardFaults(name, of: url)
        }
      }
      // What the files are to each other can only be told of whole ones.
      return faults.isEmpty ? try WeightSet(at: url).damage() : faults
    } catch {
      return [error]
    }
  }

  private static func shardFaults(_ name: String, of index: URL) -> [WeightsError] {
    do throws(WeightsError) {
      _ = try WeightFile(at: index.deletingLastPathComponent().appendingPathComponent(name))
      return []
    } catch {
      guard error.code == .notFound else { return [error] }
      return [
        WeightsError(
          .missingShard, at: index.path, expected: "the shard \(quoted(name)) beside the index",
          found: "no such file", advice: "Fetch it into the same folder.")
      ]
    }
  }
}
