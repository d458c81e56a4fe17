import Foundation
import GRDB
import HTTPTypes
import Kino
import KinoMedia

/// The files that compositions may read: uploads, results and characters, by their ids.
struct SourceShelf: Sendable {
  let store: JobStore
  let folder: DataFolder
  let limits: ServerLimits

  /// Where a source is, and what recipes call it.
  struct Place: Sendable {
    let path: String
    let name: String
  }

  /// Finds a source of an owner's.
  ///
  /// - Throws: ``APIError`` if there is none, or it is not finished.
  func place(of id: String, owner: String) async throws -> Place {
    if id.hasPrefix("video_") {
      guard let job = try await store.job(id, of: owner) else { throw APIError.notFound(id) }
      guard job.status == .completed else {
        throw APIError(
          .badRequest, "not_ready",
          "The video '\(id)' is \(job.status.rawValue); wait until it is completed.",
          parameter: "video")
      }
      return Place(
        path: folder.result(id, job.format).path, name: "\(id).\(job.format)")
    }
    let found = try await store.database.read { database in
      let upload =
        id.hasPrefix("char_")
        ? try Character.filter(key: id).filter(Column("owner") == owner).fetchOne(database)?.upload
        : id
      return try upload.flatMap {
        try Upload.filter(key: $0).filter(Column("owner") == owner).fetchOne(database)
      }
    }
    guard let found else { throw APIError.notFound(id) }
    return Place(
      path: folder.uploads.appendingPathComponent(found.file).path,
      name: found.name.isEmpty ? found.file : found.name)
  }

  /// A composition with files in place of ids, and what recipes call these.
  func opened(
    _ composition: Composition, owner: String
  ) async throws -> (composition: Composition, names: [String: String]) {
    var paths: [String: String] = [:]
    var names: [String: String] = [:]
    for id in Set(composition.sourcePaths) {
      let place = try await place(of: id, owner: owner)
      paths[id] = place.path
      names[place.path] = place.name
    }
    let opened = try composition.replacingPaths { id in
      guard let path = paths[id] else { throw APIError.notFound(id) }
      return path
    }
    return (opened, names)
  }

  /// Takes a file in, once it is known to hold pictures.
  ///
  /// - Parameters:
  ///   - file: The bytes, which move.
  ///   - owner: Whose it is.
  ///   - field: What the request calls it.
  /// - Returns: Its record.
  /// - Throws: ``APIError`` if it holds none, or the owner's space is full.
  func add(_ file: ReceivedFile, owner: String, field: String) async throws -> Upload {
    let used = try await unusedBytes(of: owner)
    guard used + file.bytes <= limits.unusedUploadBytes else {
      throw APIError(
        .tooManyRequests, "uploads_full",
        "Uploads that no job uses fill the space of this key; delete some, or use them.")
    }
    let path = file.url.path
    let info: MediaInfo
    do {
      info = try await withDeadline(limits.probeSeconds) { try await Self.probe(path) }
    } catch let error as MediaError {
      // The file's own path is nobody's business.
      let words = error.details.replacingOccurrences(of: path, with: "the file")
      throw APIError.invalid(field, "'\(field)' is no picture or clip that can be read: \(words)")
    }
    let kind =
      info.isStill
      ? ["png": "png", "mjpeg": "jpg", "webp": "webp", "gif": "gif"][info.codec] ?? "png"
      : info.container.contains("mp4") ? "mp4" : "media"
    let id = Identifier.make("file")
    let upload = Upload(
      id: id, owner: owner, name: Self.plain(file.name), file: "\(id).\(kind)", bytes: file.bytes,
      createdAt: JobStore.now, width: info.width, height: info.height,
      seconds: info.durationSeconds)
    let place = folder.uploads.appendingPathComponent(upload.file)
    try FileManager.default.moveItem(at: file.url, to: place)
    do {
      try await store.database.write { try upload.insert($0) }
    } catch {
      try? FileManager.default.removeItem(at: place)
      throw error
    }
    return upload
  }

  private func unusedBytes(of owner: String) async throws -> Int {
    try await store.database.read {
      try Int.fetchOne(
        $0,
        sql: """
          SELECT COALESCE(SUM(bytes), 0) FROM upload WHERE owner = ?
          AND NOT EXISTS (SELECT 1 FROM jobSource WHERE source = upload.id)
          """, arguments: [owner]) ?? 0
    }
  }

  /// On a thread of its own: decoding a first frame takes as long as it takes.
  private static func probe(_ path: String) async throws -> MediaInfo {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try MediaInfo.probe(path) })
      }
    }
  }

  /// The last part of a name, without what terminals and file systems stumble over.
  private static func plain(_ name: String) -> String {
    let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? ""
    let kept = last.unicodeScalars.filter { !CharacterSet.controlCharacters.contains($0) }
    return String(String(String.UnicodeScalarView(kept)).prefix(120))
  }
}
