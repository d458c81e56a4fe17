import Crypto
public import Foundation
import GRDB

/// The keys of a server's clients. A key is shown once, when it is made; what is kept is its hash.
public struct KeyRing: Sendable {
  /// A key without its secret.
  public struct Entry: Codable, Hashable, Sendable {
    /// The part of the key that names it.
    public let id: String
    /// What it was called.
    public let name: String
    /// When it was made, in seconds since 1970.
    public let createdAt: Int
    /// When it was revoked; `nil` if it is good.
    public let revokedAt: Int?

    enum CodingKeys: String, CodingKey {
      case id, name
      case createdAt = "created_at"
      case revokedAt = "revoked_at"
    }
  }

  private let store: JobStore

  init(_ store: JobStore) { self.store = store }

  /// Opens the keys of a server's folder, beside a server that may be running.
  ///
  /// - Throws: ``ServerError`` if the folder can't be used.
  public init(folder: URL) throws {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw ServerError(
        .folderUnusable,
        "The folder \(folder.path) can't be made: \(error.localizedDescription)")
    }
    store = try JobStore(at: folder.appendingPathComponent("server.sqlite"))
  }

  /// Makes a key.
  ///
  /// - Parameter name: What to call it, 1 to 80 characters.
  /// - Returns: The key, which can't be had again.
  /// - Throws: ``ServerError`` for a name that is empty or too long.
  public func add(_ name: String) async throws -> String {
    guard 1...80 ~= name.count else {
      throw ServerError(
        .invalidConfiguration, "A key's name has 1 to 80 characters; this has \(name.count).")
    }
    let id = Identifier.random(6)
    let key = "kino_\(id)_\(Identifier.random(24))"
    let record = Key(
      id: id, name: name, hash: Self.hash(key), createdAt: JobStore.now, revokedAt: nil)
    try await store.database.write { try record.insert($0) }
    return key
  }

  /// All keys, oldest first.
  public func entries() async throws -> [Entry] {
    try await store.database.read { try Key.order(Column.rowID).fetchAll($0) }
      .map { Entry(id: $0.id, name: $0.name, createdAt: $0.createdAt, revokedAt: $0.revokedAt) }
  }

  /// Makes keys useless from now on.
  ///
  /// - Parameter name: A key's id or name.
  /// - Returns: How many were good until now.
  /// - Throws: ``ServerError`` if there is none.
  public func revoke(_ name: String) async throws -> Int {
    let count = try await store.database.write {
      try Key.filter((Column("id") == name || Column("name") == name) && Column("revokedAt") == nil)
        .updateAll($0, Column("revokedAt").set(to: JobStore.now))
    }
    guard count > 0 else {
      throw ServerError(
        .keyNotFound, "There is no good key with the id or name '\(name)'; see kino keys list.")
    }
    return count
  }

  /// Whether any key is good.
  func isEmpty() async throws -> Bool {
    try await store.database.read {
      try Key.filter(Column("revokedAt") == nil).fetchCount($0) == 0
    }
  }

  /// The id of a good key.
  func owner(of key: String) async throws -> String? {
    let parts = key.split(separator: "_", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "kino", key.utf8.count < 200 else { return nil }
    let id = String(parts[1])
    let record = try await store.database.read { try Key.fetchOne($0, key: id) }
    // Equally long whether there is such a key or not, and wherever the hashes differ.
    let expected = record?.hash ?? Data(repeating: 0, count: SHA256.byteCount)
    var difference: UInt8 = 0
    for (first, second) in zip(expected, Self.hash(key)) { difference |= first ^ second }
    guard let record, difference == 0, record.revokedAt == nil else { return nil }
    return record.id
  }

  private static func hash(_ key: String) -> Data { Data(SHA256.hash(data: Data(key.utf8))) }
}
