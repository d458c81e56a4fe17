public import Foundation

extension WeightSet {
  /// Writes tensors as `stem.safetensors`, or as shards with an index if they are too large.
  ///
  /// Tensors are asked for one at a time, in the order of the files. Each file appears only when
  /// complete, the index last; then files of an older checkpoint of the same stem are removed.
  /// Stopped half way, a folder that held no checkpoint still holds none.
  ///
  /// - Parameters:
  ///   - tensors: What to write, in any order.
  ///   - folder: An existing folder.
  ///   - stem: The start of the file names: `diffusion_pytorch_model` (diffusers) or `model` (transformers).
  ///   - metadata: The string map of each file.
  ///   - maximumShardByteCount: The most tensor bytes per file; a larger tensor gets its own.
  ///   - bytes: Hands the bytes of a tensor to the function it is given.
  /// - Returns: The URL of the file or the index.
  /// - Throws: ``WeightsError`` if a name occurs twice or a file cannot be written, and whatever
  ///   `bytes` throws.
  @discardableResult
  public static func write(
    _ tensors: [StoredTensor], to folder: URL, stem: String = "diffusion_pytorch_model",
    metadata: [String: String] = [:], maximumShardByteCount: Int = 5_000_000_000,
    bytes: (StoredTensor, (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws -> URL {
    try checkUnique(tensors, folder: folder)
    let shards = plan(SafetensorsWriter.sorted(tensors), limit: maximumShardByteCount)
    var map: [String: String] = [:]
    var names: Set<String> = []
    for (number, shard) in shards.enumerated() {
      let name = shardName(stem, number, of: shards.count)
      names.insert(name)
      for tensor in shard { map[tensor.name] = name }
      try writeFile(
        shard, to: folder.appendingPathComponent(name), metadata: metadata, bytes: bytes)
    }
    let index = stem + ShardIndex.suffix
    if shards.count > 1 {
      let byteCount = tensors.reduce(0) { $0 + $1.byteCount }
      try ShardIndex(shards: map).write(
        to: folder.appendingPathComponent(index), totalByteCount: byteCount)
      names.insert(index)
    }
    try removeOthers(than: names, stem: stem, in: folder)
    return folder.appendingPathComponent(shards.count > 1 ? index : stem + ".safetensors")
  }

  private static func writeFile(
    _ tensors: [StoredTensor], to url: URL, metadata: [String: String],
    bytes: (StoredTensor, (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    var writer = try SafetensorsWriter(to: url, tensors: tensors, metadata: metadata)
    for tensor in tensors {
      try bytes(tensor) { try writer.write($0, for: tensor.name) }
    }
    try writer.finish()
  }

  /// Fills shards in order; there is always at least one.
  private static func plan(_ tensors: [StoredTensor], limit: Int) -> [[StoredTensor]] {
    var shards: [[StoredTensor]] = [[]]
    var filled = 0
    for tensor in tensors {
      if filled > 0 && filled + tensor.byteCount > limit {
        shards.append([])
        filled = 0
      }
      shards[shards.count - 1].append(tensor)
      filled += tensor.byteCount
    }
    return shards
  }

  private static func shardName(_ stem: String, _ number: Int, of count: Int) -> String {
    guard count > 1 else { return stem + ".safetensors" }
    func padded(_ value: Int) -> String {
      String(repeating: "0", count: max(0, 5 - String(value).count)) + String(value)
    }
    return "\(stem)-\(padded(number + 1))-of-\(padded(count)).safetensors"
  }

  /// A name in two shards would pass each writer's own check.
  private static func checkUnique(_ tensors: [StoredTensor], folder: URL) throws(WeightsError) {
    var names: Set<String> = []
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw WeightsError(
        .duplicateKey, at: folder.path, expected: "each tensor name once",
        found: "\(quoted(tensor.name)) again", advice: "Rename or drop the tensor.")
    }
  }

  /// Removes what an older checkpoint of the same stem left, so that one set of weights remains.
  private static func removeOthers(than names: Set<String>, stem: String, in folder: URL) throws {
    let pattern = /(?:-\d{5,}-of-\d{5,})?\.safetensors|\.safetensors\.index\.json/
    do {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
      where !names.contains(name) && name.hasPrefix(stem)
        && name.dropFirst(stem.count).wholeMatch(of: pattern) != nil
      {
        try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
      }
    } catch {
      throw WeightsError(
        .cannotWrite, at: folder.path, expected: "to remove the older checkpoint",
        found: error.localizedDescription, advice: "Remove it by hand.")
    }
  }
}
