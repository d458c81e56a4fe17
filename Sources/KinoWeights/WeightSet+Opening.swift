public import Foundation

extension WeightSet {
  /// File names used by diffusers and by transformers.
  static let stems = ["diffusion_pytorch_model", "model"]

  /// Finds every set of weights in a folder: the indices of shards, then single files, each in order of
  /// name.
  ///
  /// A folder of one network has one; a repository's folder may have a transformer beside encoders.
  ///
  /// - Parameter folder: The folder; folders within are not searched.
  /// - Returns: What ``init(at:)`` opens, one by one.
  /// - Throws: ``WeightsError`` if the folder or an index can't be read.
  public static func places(in folder: URL) throws(WeightsError) -> [URL] {
    let (indices, files) = try names(in: folder)
    var shards: Set<String> = []
    for name in indices {
      let index = try ShardIndex(at: folder.appendingPathComponent(name))
      shards.formUnion(index.shards.values)
    }
    return (indices + files.filter { !shards.contains($0) })
      .map { folder.appendingPathComponent($0) }
  }

  /// Whether a file starts as weights of some form do, or as an index of shards; says nothing about the
  /// rest.
  ///
  /// What stands in the place of weights, such as a Git LFS pointer, counts, so that opening it names the
  /// fault. A file that can't be read does not.
  public static func hasSignature(_ url: URL) -> Bool {
    guard let file = try? MappedFile(path: url.path),
      let head = try? file.read(0..<min(file.byteCount, 16)),
      let signature = try? FileSignature(of: file)
    else { return false }
    guard case .other = signature else { return true }
    // Safetensors has no signature: the length of the header, below 4 GB, stands before its brace.
    let brace = UInt8(ascii: "{")
    let first = head.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    return first == brace
      || head.count > 8 && head[8] == brace && head[4..<8].allSatisfy { $0 == 0 }
  }

  static func isFolder(_ url: URL) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  /// The names of indices and of files of weights in a folder, in order.
  private static func names(
    in folder: URL
  ) throws(WeightsError) -> (indices: [String], files: [String]) {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    } catch {
      throw WeightsError(
        .cannotRead, at: folder.path, expected: "a readable folder",
        found: error.localizedDescription, advice: "Check the path and its permissions.")
    }
    let visible = names.filter { !$0.hasPrefix(".") }
    let indices = visible.filter { $0.hasSuffix(".index.json") && $0 != "model_index.json" }
    let files = visible.filter { name in fileSuffixes.contains { name.hasSuffix($0) } }
    return (indices, files)
  }

  private static let fileSuffixes = [".safetensors", ".gguf", ".pth", ".pt", ".bin", ".ckpt"]

  /// Whether a file or index has a name as weights have.
  public static func hasUsualName(_ url: URL) -> Bool {
    (fileSuffixes + [ShardIndex.suffix]).contains { url.lastPathComponent.hasSuffix($0) }
  }

  /// Returns the index in a folder, or the files of weights if there is none.
  static func otherWeights(in folder: URL) throws(WeightsError) -> [URL] {
    let (indices, files) = try names(in: folder)
    // One shard is not the weights.
    if indices.isEmpty, let shard = files.first(where: { $0.contains(/-\d+-of-\d+\./) }) {
      throw WeightsError(
        .notFound, at: folder.path, expected: "the index of \(quoted(shard)) beside it",
        found: "none", advice: "Fetch the index and all shards into this folder.")
    }
    return (indices.isEmpty ? files : indices).map { folder.appendingPathComponent($0) }
  }

  static func openShards(of url: URL) throws(WeightsError) -> [WeightFile] {
    let index = try ShardIndex(at: url)
    let folder = url.deletingLastPathComponent()
    let names = Set(index.shards.values).sorted()
    var files: [WeightFile] = []
    for name in names {
      do {
        files.append(try WeightFile(at: folder.appendingPathComponent(name)))
      } catch  where error.code == .notFound {
        throw WeightsError(
          .missingShard, at: url.path, expected: "the shard \(quoted(name)) beside the index",
          found: "no such file", advice: "Fetch every shard into the same folder.")
      }
    }
    let numbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
    try check(files, hold: index.shards.compactMapValues { numbers[$0] }, url: url)
    return files
  }

  private static func check(
    _ files: [WeightFile], hold fileIndices: [String: Int], url: URL
  ) throws(WeightsError) {
    for (name, number) in fileIndices.sorted(by: { $0.key < $1.key })
    where files[number][name] == nil {
      throw WeightsError(
        .missingTensor, at: files[number].url.path,
        expected: "the tensor \(quoted(name)) that \(url.lastPathComponent) puts here",
        found: "none", advice: "Index and shards are of different models: fetch all of them again.")
    }
    for (number, file) in files.enumerated() {
      for tensor in file.tensors where fileIndices[tensor.name] != number {
        throw WeightsError(
          .unlistedTensor, at: file.url.path,
          expected: "only tensors that \(url.lastPathComponent) puts here",
          found: quoted(tensor.name),
          advice: "Index and shards are of different models: fetch all of them again.")
      }
    }
  }
}

extension ShardIndex {
  /// Whether a file is an index and no weights: by its first byte, or its name if it is empty.
  static func isIndex(_ url: URL) throws(WeightsError) -> Bool {
    let file = try MappedFile(path: url.path)
    let head = try file.read(0..<min(file.byteCount, 8))
    guard let first = head.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
      return url.lastPathComponent.hasSuffix(suffix)
    }
    // As the length of a safetensors header, "{" and what follows in JSON would be far too large.
    return first == UInt8(ascii: "{") && head.dropFirst(4).contains { $0 != 0 }
      || url.lastPathComponent.hasSuffix(suffix)
  }
}
