public import Foundation

/// The weights of one network, or of several in one file: tensors by name, over one file or more.
///
/// Whatever the form of the files, users ask for tensors by key. A set may be a view of another, with
/// other names or with adapters added; nothing is read or computed before a tensor is asked for.
public struct WeightSet: Sendable {
  /// The file, the index or the folder.
  public let url: URL
  /// The files, in order of name.
  public let files: [WeightFile]
  /// The tensors of all files.
  public let tensors: [StoredTensor]
  /// Where each tensor comes from; same order as `tensors`.
  let sources: [TensorSource]
  private let indices: [String: Int]

  /// Opens weights of any form: a file, told by its content; the index of shards; or a folder.
  ///
  /// Tensors of 8-bit numbers with scales beside them count as one each, multiplied when asked for.
  ///
  /// - Throws: ``WeightsError`` if a file breaks its format, a shard is missing or outside the
  ///   folder, or index and shards disagree on which tensors there are.
  public init(at url: URL) throws(WeightsError) {
    if Self.isFolder(url) {
      try self.init(inFolder: url)
    } else if try ShardIndex.isIndex(url) {
      try self.init(url: url, files: Self.openShards(of: url))
    } else {
      try self.init(url: url, files: [WeightFile(at: url)])
    }
  }

  /// Opens the weights in a component's folder, under either name the ecosystem uses, or the only
  /// file of weights that is there.
  ///
  /// - Throws: ``WeightsError``: `notFound`, or `ambiguous` if there are several.
  public init(inFolder folder: URL) throws(WeightsError) {
    let standard = Self.stems.flatMap { [$0 + ".safetensors", $0 + ShardIndex.suffix] }
      .map { folder.appendingPathComponent($0) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
    let candidates = standard.isEmpty ? try Self.otherWeights(in: folder) : standard
    guard let first = candidates.first else {
      throw WeightsError(
        .notFound, at: folder.path,
        expected: Self.stems.map { $0 + ".safetensors" }.joined(separator: " or ")
          + ", an index, or one file of weights",
        found: "none", advice: "Fetch the weights into this folder.")
    }
    guard candidates.count == 1 else {
      throw WeightsError(
        .ambiguous, at: folder.path, expected: "one set of weights",
        found: candidates.map(\.lastPathComponent).joined(separator: " and "),
        advice: "Give the path of one, or remove the one that is out of date.")
    }
    try self.init(at: first)
  }

  private init(url: URL, files: [WeightFile]) throws(WeightsError) {
    var entries: [(StoredTensor, TensorSource)] = []
    for (number, file) in files.enumerated() {
      for tensor in file.tensors {
        entries.append((tensor, TensorSource(file: number, stored: tensor)))
      }
    }
    let scales = try ScaledWeights(files: files, url: url)
    self.init(url: url, files: files, entries: scales.applied(to: entries))
  }

  init(url: URL, files: [WeightFile], entries: [(StoredTensor, TensorSource)]) {
    self.url = url
    self.files = files
    tensors = entries.map(\.0)
    sources = entries.map(\.1)
    indices = Dictionary(zip(tensors.map(\.name), tensors.indices)) { first, _ in first }
  }

  /// The shape of each tensor, for ``KeyContract/check(_:at:)``.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
  }

  /// What the files say about themselves; the first file's word counts.
  public var metadata: [String: String] {
    files.reduce(into: [:]) { $0.merge($1.metadata) { first, _ in first } }
  }

  /// Returns the description of a tensor, or nil if there is none of that name.
  public subscript(name: String) -> StoredTensor? { indices[name].map { tensors[$0] } }

  /// Calls `body` with the bytes of a tensor as they are stored, without scales and adapters.
  ///
  /// - Throws: ``WeightsError`` if there is no such tensor or the file was changed since opening.
  public func withUnsafeBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let source = try source(of: name)
    let bytes = try source.bytes(in: files)
    return try withExtendedLifetime(files[source.file].mapping) { try body(bytes) }
  }

  // MARK: - Views

  /// Returns a view of some of the tensors, under other names.
  ///
  /// - Parameter rename: The name of a tensor in the view; nil leaves it out.
  /// - Returns: The view.
  /// - Throws: ``WeightsError`` (`duplicateKey`) if two tensors get one name.
  public func renamed(_ rename: (_ name: String) -> String?) throws(WeightsError) -> WeightSet {
    var entries: [(StoredTensor, TensorSource)] = []
    var origins: [String: String] = [:]
    for (tensor, source) in zip(tensors, sources) {
      guard let name = rename(tensor.name) else { continue }
      if let other = origins.updateValue(tensor.name, forKey: name) {
        throw WeightsError(
          .duplicateKey, at: url.path, expected: "each parameter under one name",
          found: "\(quoted(other)) and \(quoted(tensor.name)) for \(quoted(name))",
          advice: "Export the weights again under one set of names.")
      }
      entries.append((tensor.renamed(name), source))
    }
    return WeightSet(url: url, files: files, entries: entries)
  }

  /// Returns a view in which some tensors have other extents.
  ///
  /// - Parameter shapes: The extents by name; names that there are not are passed over.
  /// - Returns: The view.
  /// - Throws: ``WeightsError`` (`badShape`) if a tensor has another number of elements.
  public func reshaped(_ shapes: [String: [Int]]) throws(WeightsError) -> WeightSet {
    try mapped { (tensor, source) throws(WeightsError) in
      guard let shape = shapes[tensor.name] else { return [(tensor, source)] }
      try check(tensor, shape.reduce(1, *) == tensor.elementCount, expected: "\(shape)")
      var source = source
      source.shape = shape
      return [(tensor.reshaped(to: shape), source)]
    }
  }

  /// Returns a view in which some tensors are split into equal parts along their first axis.
  ///
  /// - Parameter parts: The names of a tensor's parts; nil keeps it.
  /// - Returns: The view.
  /// - Throws: ``WeightsError`` (`badShape`) if a tensor can't be split so.
  public func split(_ parts: (_ name: String) -> [String]?) throws(WeightsError) -> WeightSet {
    try mapped { (tensor, source) throws(WeightsError) in
      guard let names = parts(tensor.name), !names.isEmpty else { return [(tensor, source)] }
      let rows = tensor.shape.first ?? 0
      try check(
        tensor, rows.isMultiple(of: names.count) && source.rows == nil && source.shape == nil,
        expected: "\(names.count) equal parts")
      let count = rows / names.count
      return names.enumerated().map { index, name in
        var source = source
        source.rows = index * count..<(index + 1) * count
        let part = StoredTensor(
          name: name, type: tensor.type, shape: [count] + tensor.shape.dropFirst(),
          byteCount: tensor.byteCount / names.count)
        return (part, source)
      }
    }
  }

  private func check(
    _ tensor: StoredTensor, _ isRight: Bool, expected: String
  ) throws(WeightsError) {
    guard isRight else {
      throw WeightsError(
        .badShape, at: url.path, expected: "\(quoted(tensor.name)) to make \(expected)",
        found: "\(tensor.shape)", advice: "Check that these weights belong to this model.")
    }
  }

  /// Returns a view in which some tensors are changed, in float32, when they are asked for.
  package func patched(_ patches: [String: [any WeightPatch]]) -> WeightSet {
    let entries = zip(tensors, sources).map { tensor, source in
      var source = source
      source.patches += patches[tensor.name] ?? []
      return (tensor, source)
    }
    return WeightSet(url: url, files: files, entries: entries)
  }

  /// Returns a view with each tensor and its source passed through a function.
  func mapped(
    _ transform: (StoredTensor, TensorSource) throws(WeightsError) -> [(StoredTensor, TensorSource)]
  ) throws(WeightsError) -> WeightSet {
    var entries: [(StoredTensor, TensorSource)] = []
    for (tensor, source) in zip(tensors, sources) { entries += try transform(tensor, source) }
    return WeightSet(url: url, files: files, entries: entries)
  }

  // MARK: - Internal

  func source(of name: String) throws(WeightsError) -> TensorSource {
    guard let index = indices[name] else {
      throw WeightsError(
        .missingTensor, at: url.path, expected: "a tensor \(quoted(name))",
        found: "\(indices.count) tensors of other names",
        advice: "Check that these weights belong to this model.")
    }
    return sources[index]
  }
}
