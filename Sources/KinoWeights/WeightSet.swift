public import Foundation

/// The weights of one network: one safetensors file, or shards with an index.
public struct WeightSet: Sendable {
  /// The file or the index.
  public let url: URL
  /// The files, in order of name.
  public let files: [SafetensorsFile]
  private let fileIndices: [String: Int]

  /// Opens one `.safetensors` file, or the shards of a `.safetensors.index.json`.
  ///
  /// - Throws: ``WeightsError`` if a file breaks the format, a shard is missing or outside the
  ///   folder, or index and shards disagree on which tensors there are.
  public init(at url: URL) throws(WeightsError) {
    self.url = url
    if url.lastPathComponent.hasSuffix(ShardIndex.suffix) {
      (files, fileIndices) = try Self.openShards(of: url)
    } else {
      let file = try SafetensorsFile(at: url)
      files = [file]
      fileIndices = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, 0) })
    }
  }

  /// Opens the weights in a component's folder, under either name the ecosystem uses.
  ///
  /// - Throws: ``WeightsError``: `notFound`, or `ambiguous` if there are several.
  public init(inFolder folder: URL) throws(WeightsError) {
    let candidates = Self.stems.flatMap { [$0 + ".safetensors", $0 + ShardIndex.suffix] }
      .map { folder.appendingPathComponent($0) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
    guard let first = candidates.first else {
      throw WeightsError(
        .notFound, at: folder.path,
        expected: Self.stems.map { $0 + ".safetensors" }.joined(separator: " or ")
          + ", or an index",
        found: "neither", advice: "Fetch the weights in safetensors form into this folder.")
    }
    guard candidates.count == 1 else {
      throw WeightsError(
        .ambiguous, at: folder.path, expected: "one set of weights",
        found: candidates.map(\.lastPathComponent).joined(separator: " and "),
        advice: "Remove the one that is out of date.")
    }
    try self.init(at: first)
  }

  /// The tensors of all files.
  public var tensors: [StoredTensor] { files.flatMap(\.tensors) }

  /// The shape of each tensor, for ``KeyContract/check(_:at:)``.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
  }

  /// Returns the description of a tensor, or nil if there is none of that name.
  public subscript(name: String) -> StoredTensor? {
    fileIndices[name].flatMap { files[$0][name] }
  }

  /// Returns the file that holds a tensor.
  public func file(of name: String) throws(WeightsError) -> SafetensorsFile {
    guard let index = fileIndices[name] else {
      throw WeightsError(
        .missingTensor, at: url.path, expected: "a tensor \(quoted(name))",
        found: "\(fileIndices.count) tensors of other names",
        advice: "Check that these weights belong to this model.")
    }
    return files[index]
  }

  /// Calls `body` with the bytes of a tensor; see ``SafetensorsFile/withUnsafeBytes(of:_:)``.
  public func withUnsafeBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try file(of: name).withUnsafeBytes(of: name, body)
  }

  // MARK: - Internal

  /// File names used by diffusers and by transformers.
  static let stems = ["diffusion_pytorch_model", "model"]

  private static func openShards(
    of url: URL
  ) throws(WeightsError) -> ([SafetensorsFile], [String: Int]) {
    let index = try ShardIndex(at: url)
    let folder = url.deletingLastPathComponent()
    let names = Set(index.shards.values).sorted()
    var files: [SafetensorsFile] = []
    for name in names {
      do {
        files.append(try SafetensorsFile(at: folder.appendingPathComponent(name)))
      } catch  where error.code == .notFound {
        throw WeightsError(
          .missingShard, at: url.path, expected: "the shard \(quoted(name)) beside the index",
          found: "no such file", advice: "Fetch all \(names.count) shards into the same folder.")
      }
    }
    let numbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
    let fileIndices = index.shards.compactMapValues { numbers[$0] }
    try check(files, hold: fileIndices, url: url)
    return (files, fileIndices)
  }

  private static func check(
    _ files: [SafetensorsFile], hold fileIndices: [String: Int], url: URL
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
