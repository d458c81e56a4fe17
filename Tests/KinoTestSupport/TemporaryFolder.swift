public import Foundation

/// A folder of one test's own, removed with the object.
public final class TemporaryFolder: Sendable {
  /// Where it is.
  public let url: URL

  /// Makes an empty folder.
  ///
  /// - Throws: An error of the file system.
  public init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-tests-\(UUID().uuidString)", isDirectory: true)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// A place in the folder.
  public subscript(name: String) -> URL { url.appendingPathComponent(name) }

  /// Everything inside, hidden files too, in alphabetical order.
  public var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
  }

  /// The content of a file.
  ///
  /// - Throws: An error of the file system.
  public func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: self[name])) }

  /// Writes a file, and returns where it is.
  ///
  /// - Throws: An error of the file system.
  @discardableResult
  public func write(_ bytes: [UInt8], _ name: String) throws -> URL {
    try Data(bytes).write(to: self[name])
    return self[name]
  }

  /// Writes a text file, and returns where it is.
  ///
  /// - Throws: An error of the file system.
  @discardableResult
  public func write(_ text: String, _ name: String) throws -> URL {
    try write(Array(text.utf8), name)
  }
}
