import Foundation
import KinoSystem

/// The folder of a server: its database, results and uploads. Open in one server at a time.
final class DataFolder: Sendable {
  let url: URL
  private let lock: FileLock

  /// Makes the folder if need be, and takes it.
  ///
  /// - Throws: ``ServerError`` if it can't be written or another server has it.
  init(_ url: URL) throws {
    self.url = url
    let manager = FileManager.default
    do {
      try manager.createDirectory(
        at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      for name in ["videos", "uploads"] {
        try manager.createDirectory(
          at: url.appendingPathComponent(name), withIntermediateDirectories: true)
      }
    } catch {
      throw ServerError(
        .folderUnusable,
        "The folder \(url.path) can't be made: \(error.localizedDescription) Choose another with --data."
      )
    }
    func unusable(_ reason: String) -> ServerError {
      ServerError(
        .folderUnusable, "The folder \(url.path) is \(reason); choose another with --data.")
    }
    do {
      guard
        let lock = try FileLock.taken(
          at: url.appendingPathComponent("lock").path, permissions: 0o600)
      else { throw unusable("in use by another server") }
      self.lock = lock
    } catch is FileError {
      throw unusable("not writable")
    }
  }

  var database: URL { url.appendingPathComponent("server.sqlite") }
  var videos: URL { url.appendingPathComponent("videos") }
  var uploads: URL { url.appendingPathComponent("uploads") }

  /// A new path for bytes that are still coming in; a server that starts removes such files.
  func incoming() -> URL { uploads.appendingPathComponent(".incoming-\(Identifier.random(16))") }

  /// The files of a result: the clip, its thumbnail and its sheet.
  func result(_ id: String, _ format: String) -> URL {
    videos.appendingPathComponent("\(id).\(format)")
  }
  func thumbnail(_ id: String) -> URL { videos.appendingPathComponent("\(id).thumbnail.webp") }
  func sheet(_ id: String) -> URL { videos.appendingPathComponent("\(id).sheet.jpg") }

  /// Removes all files of a result.
  func removeFiles(of id: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: videos.path)) ?? []
    where name.hasPrefix(id + ".") || name.hasPrefix(".\(id).") {
      try? FileManager.default.removeItem(at: videos.appendingPathComponent(name))
    }
  }
}

/// Names that can't be guessed.
enum Identifier {
  /// A prefix and 128 random bits.
  static func make(_ prefix: String) -> String { prefix + "_" + random(16) }

  /// So many random bytes in hexadecimal.
  static func random(_ count: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in
      let byte = UInt8.random(in: 0...255, using: &generator)
      return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }
}
