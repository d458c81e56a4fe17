import Crypto
public import Foundation
internal import KinoSystem
import Synchronization

/// Identifies the content of a model folder: SHA-256 over its files' names and bytes.
///
/// Hidden files and Markdown are left out: notes about a model do not change what it computes.
public struct WeightsHash: Hashable, Codable, Sendable, CustomStringConvertible {
  /// 64 hexadecimal digits.
  public let hexadecimal: String

  /// The hexadecimal digits.
  public var description: String { hexadecimal }

  /// Enough digits to tell models apart in a recipe.
  public var short: String { String(hexadecimal.prefix(12)) }

  init(_ digest: SHA256.Digest) {
    hexadecimal = digest.hexadecimal
  }
}

extension Sequence<UInt8> {
  /// The bytes in hexadecimal, two digits each.
  package var hexadecimal: String {
    map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}

/// Computes the content hash of a model folder, or of one file.
///
/// The result depends on relative names and bytes only, not on dates, place or file order.
///
/// - Throws: ``WeightsError`` if a file cannot be read or the folder is nested over 8 deep.
/// - Complexity: Reads every byte; about 1 s per GB.
public func weightsHash(_ url: URL) throws(WeightsError) -> WeightsHash {
  try FolderListing(url).hash()
}

/// Computes the hash of some tensors of a checkpoint, by names and bytes as stored, without adapters.
///
/// - Parameters:
///   - weights: The checkpoint.
///   - isCounted: Whether the tensor of a name counts.
/// - Returns: The hash, whatever the order and the number of files.
/// - Throws: ``WeightsError`` if a file cannot be read.
public func weightsHash(
  of weights: WeightSet, where isCounted: (_ name: String) -> Bool
) throws -> WeightsHash {
  var hasher = SHA256()
  for name in weights.tensors.map(\.name).filter(isCounted).sorted() {
    hasher.update(data: Data((name + "\0").utf8))
    try weights.withUnsafeBytes(of: name) { hasher.update(bufferPointer: $0) }
    // Another scale makes another weight of the same bytes.
    let source = try weights.source(of: name)
    if let scale = source.scale {
      try weights.files[source.file].withUnsafeBytes(of: scale.name) {
        hasher.update(bufferPointer: $0)
      }
    }
  }
  return WeightsHash(hasher.finalize())
}

extension WeightSet {
  /// Computes SHA-256 over the bytes of the files, one behind another: for one file what `sha256sum` tells.
  ///
  /// - Throws: ``WeightsError`` if a file was changed since it was opened.
  public func fileHash() throws(WeightsError) -> WeightsHash {
    var hasher = SHA256()
    for file in files {
      try file.mapping.checkUnchanged()
      withExtendedLifetime(file.mapping) { hasher.update(bufferPointer: file.mapping.bytes) }
    }
    return WeightsHash(hasher.finalize())
  }
}

/// Remembers the hashes of folders until a file's size or date changes, also in a file for later processes.
///
/// A file rewritten with the same size within the file system's clock tick goes unnoticed.
public final class WeightsHashCache: Sendable {
  private struct Entry: Codable {
    let stamp: WeightsHash
    let hash: WeightsHash
  }

  private let known: Mutex<[String: Entry]>
  private let file: URL?

  /// Entries of a file, at most.
  private static let limit = 200

  /// Makes a cache.
  ///
  /// - Parameter file: Where hashes of large files are kept; one that can't be read or written is passed
  ///   over.
  public init(file: URL? = nil) {
    self.file = file
    known = Mutex(file.map(Self.entries) ?? [:])
  }

  /// The file in the user's folder for caches.
  public static var userFile: URL? {
    FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first?
      .appendingPathComponent("kino/hashes.json")
  }

  private static func entries(of file: URL) -> [String: Entry] {
    guard let data = try? ConfigurationFile.data(at: file) else { return [:] }
    return (try? JSONDecoder().decode([String: Entry].self, from: data)) ?? [:]
  }

  /// Adds an entry to the file, beside what other processes have put there.
  private func write(_ entry: Entry, for key: String) {
    guard let file else { return }
    var entries = Self.entries(of: file)
    if entries.count >= Self.limit { entries = [:] }
    entries[key] = entry
    try? FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    if let data = try? JSONEncoder().encode(entries) { try? AtomicFile.write(data, to: file) }
  }

  /// Returns the hash of a folder, from memory if no file changed since the last call.
  public func hash(of url: URL) throws(WeightsError) -> WeightsHash {
    try hash(of: FolderListing(url), key: url.standardizedFileURL.path)
  }

  /// Returns the hash of some files under names of their own, as of a folder of these names.
  public func hash(of files: [(name: String, url: URL)]) throws(WeightsError) -> WeightsHash {
    let places = files.map { $0.name + "=" + $0.url.standardizedFileURL.path }
    return try hash(of: FolderListing(files), key: places.joined(separator: "\n"))
  }

  private func hash(of listing: FolderListing, key: String) throws(WeightsError) -> WeightsHash {
    let stamp = try listing.stamp()
    if let entry = known.withLock({ $0[key] }), entry.stamp == stamp { return entry.hash }
    let entry = Entry(stamp: stamp, hash: try listing.hash())
    known.withLock { $0[key] = entry }
    // Small ones are hashed faster than remembered.
    if try listing.byteCount > 64 << 20 { write(entry, for: key) }
    return entry.hash
  }
}

/// The files of a folder that count, in order of their relative names.
private struct FolderListing {
  private var files: [(name: String, url: URL)] = []

  init(_ url: URL) throws(WeightsError) {
    if try Self.isFolder(url) {
      try add(url, prefix: "", depth: 8)
    } else {
      files = [(url.lastPathComponent, url)]
    }
    files.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  init(_ files: [(name: String, url: URL)]) {
    self.files = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  func hash() throws(WeightsError) -> WeightsHash {
    var hasher = SHA256()
    hasher.update(data: Data("kino-weights-1".utf8))
    for (name, url) in files {
      let file = try MappedFile(path: url.path)
      Self.update(&hasher, name: name, byteCount: file.byteCount)
      try file.checkUnchanged()
      withExtendedLifetime(file) { hasher.update(bufferPointer: file.bytes) }
    }
    return WeightsHash(hasher.finalize())
  }

  /// Bytes of all files.
  var byteCount: Int {
    get throws(WeightsError) {
      var sum = 0
      for (_, url) in files { sum += try MappedFile(path: url.path).byteCount }
      return sum
    }
  }

  /// Hashes names, sizes and dates instead of contents.
  func stamp() throws(WeightsError) -> WeightsHash {
    var hasher = SHA256()
    for (name, url) in files {
      let file = try MappedFile(path: url.path)
      Self.update(&hasher, name: name, byteCount: file.byteCount)
      hasher.update(data: Data(file.stamp.utf8))
    }
    return WeightsHash(hasher.finalize())
  }

  // MARK: - Internal

  private static func update(_ hasher: inout SHA256, name: String, byteCount: Int) {
    for value in [name.utf8.count, byteCount] {
      let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
      hasher.update(data: bytes)
    }
    hasher.update(data: Data(name.utf8))
  }

  private mutating func add(_ folder: URL, prefix: String, depth: Int) throws(WeightsError) {
    guard depth > 0 else {
      throw WeightsError(
        .cannotRead, at: folder.path, expected: "a model folder nested at most 8 deep",
        found: "more", advice: "Give the folder of one model.")
    }
    for name in try Self.names(in: folder)
    where !name.hasPrefix(".") && !name.lowercased().hasSuffix(".md") {
      let url = folder.appendingPathComponent(name)
      if try Self.isFolder(url) {
        try add(url, prefix: prefix + name + "/", depth: depth - 1)
      } else {
        files.append((prefix + name, url))
      }
    }
  }

  private static func names(in folder: URL) throws(WeightsError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder.path)
    } catch {
      throw WeightsError(
        .cannotRead, at: folder.path, expected: "a readable folder",
        found: error.localizedDescription, advice: "Check the path and its permissions.")
    }
  }

  private static func isFolder(_ url: URL) throws(WeightsError) -> Bool {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw WeightsError(
        .notFound, at: url.path, expected: "a file or folder", found: "none",
        advice: "Check the path.")
    }
    return isFolder.boolValue
  }
}
