import Crypto
import Foundation

/// A repository in the cache that clients of the hub share: contents by their hash, and a folder of links to
/// them for each commit.
struct HubFolder {
  private let repository: HubRepository
  private let folder: URL

  init(_ repository: HubRepository, in cache: URL) {
    self.repository = repository
    folder = cache.appendingPathComponent(
      "models--" + repository.name.replacing("/", with: "--"))
  }

  /// The files of the commit.
  var snapshot: URL { folder.appendingPathComponent("snapshots/\(repository.commit)") }

  private func blob(_ file: HubRepository.File) -> URL {
    folder.appendingPathComponent("blobs/\(file.digest.name)")
  }

  /// Whether a file's content is there.
  func has(_ file: HubRepository.File) -> Bool { Self.size(of: blob(file)) == file.bytes }

  /// Bytes of a file that are to be fetched.
  func missing(_ file: HubRepository.File) -> Int {
    has(file) ? 0 : max(0, file.bytes - (Self.size(of: partial(file)) ?? 0))
  }

  private func partial(_ file: HubRepository.File) -> URL {
    blob(file).appendingPathExtension("incomplete")
  }

  private static func size(of url: URL) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: url.path)[.size] as? NSNumber)?.intValue
  }

  /// Makes the folders.
  ///
  /// - Throws: ``HubError`` if they can't be made, or there is no room.
  func prepare(bytes: Int) throws(HubError) {
    do {
      for name in ["blobs", "refs", "snapshots/\(repository.commit)"] {
        try FileManager.default.createDirectory(
          at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
      }
    } catch {
      throw HubError(
        .notKept, "\(folder.path): the folder can't be made; check the path and its permissions.")
    }
    let values = try? FileManager.default.attributesOfFileSystem(forPath: folder.path)
    if let free = (values?[.systemFreeSize] as? NSNumber)?.intValue, free < bytes {
      throw HubError(
        .notKept,
        "\(folder.path): \(bytes) bytes are to be fetched, and there is room for \(free); make room."
      )
    }
  }

  /// Opens what an earlier try has left of a file.
  func open(_ file: HubRepository.File) throws(HubError) -> PartialFile {
    try PartialFile(file, at: partial(file), becoming: blob(file))
  }

  /// Gives a content its path in the commit's folder.
  func link(_ file: HubRepository.File) throws(HubError) {
    let place = snapshot.appendingPathComponent(file.path)
    let depth = file.path.split(separator: "/").count + 1
    let target = String(repeating: "../", count: depth) + "blobs/\(file.digest.name)"
    let manager = FileManager.default
    if (try? manager.destinationOfSymbolicLink(atPath: place.path)) == target { return }
    do {
      try manager.createDirectory(
        at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
      try? manager.removeItem(at: place)
      try manager.createSymbolicLink(atPath: place.path, withDestinationPath: target)
    } catch {
      throw HubError(.notKept, "\(place.path): the link can't be made; check the folder.")
    }
  }

  /// Notes which commit a branch stood for.
  func noteRevision() throws(HubError) {
    guard repository.revision != repository.commit else { return }
    let file = folder.appendingPathComponent("refs/\(repository.revision)")
    do {
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(repository.commit.utf8).write(to: file, options: .atomic)
    } catch {
      throw HubError(.notKept, "\(file.path): can't be written; check the folder.")
    }
  }
}

/// A file that is being fetched.
final class PartialFile {
  private let file: HubRepository.File
  private let url: URL
  private let target: URL
  private let handle: FileHandle
  /// Bytes that are there.
  private(set) var bytes: Int

  init(_ file: HubRepository.File, at url: URL, becoming target: URL) throws(HubError) {
    (self.file, self.url, self.target) = (file, url, target)
    if !FileManager.default.fileExists(atPath: url.path) {
      _ = FileManager.default.createFile(atPath: url.path, contents: nil)
    }
    do {
      handle = try FileHandle(forUpdating: url)
      guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
        throw HubError(.notKept, "\(url.path): another program is fetching this file; let it end.")
      }
      bytes = Int(try handle.seekToEnd())
      // Too long to be a part of it.
      if bytes > file.bytes { bytes = 0 }
      try handle.truncate(atOffset: UInt64(bytes))
    } catch let error as HubError {
      throw error
    } catch {
      throw HubError(.notKept, "\(url.path): can't be written; check the folder.")
    }
  }

  deinit { try? handle.close() }

  /// Begins anew, since the hub does.
  func restart() throws(HubError) {
    try writing {
      try handle.truncate(atOffset: 0)
      bytes = 0
    }
  }

  func append(_ data: Data) throws(HubError) {
    try writing {
      try handle.write(contentsOf: data)
      bytes += data.count
    }
  }

  private func writing(_ body: () throws -> Void) throws(HubError) {
    do { try body() } catch {
      throw HubError(.notKept, "\(url.path): can't be written; is the disk full?")
    }
  }

  /// Checks the content, and gives it its name.
  ///
  /// - Throws: ``HubError`` if it is not what the hub lists; the next try begins anew then.
  func finish() throws(HubError) {
    guard try digest() == file.digest.name else {
      try? FileManager.default.removeItem(at: url)
      throw HubError(
        .damaged,
        "\(file.path): what was fetched has another hash than the hub lists; run the command again."
      )
    }
    do {
      try handle.synchronize()
      try? FileManager.default.removeItem(at: target)
      try FileManager.default.moveItem(at: url, to: target)
    } catch {
      throw HubError(.notKept, "\(target.path): can't be written; check the folder.")
    }
  }

  private func digest() throws(HubError) -> String {
    switch file.digest {
    case .sha256: return try hash(SHA256())
    case .gitBlob:
      var hasher = Insecure.SHA1()
      hasher.update(data: Data("blob \(bytes)\0".utf8))
      return try hash(hasher)
    }
  }

  private func hash(_ start: some HashFunction) throws(HubError) -> String {
    var hasher = start
    do {
      try handle.seek(toOffset: 0)
      while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
        hasher.update(data: piece)
      }
    } catch {
      throw HubError(.notKept, "\(url.path): can't be read back; check the disk.")
    }
    return hasher.finalize().map { byte in
      String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
  }
}
