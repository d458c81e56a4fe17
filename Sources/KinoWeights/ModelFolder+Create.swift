public import Foundation

extension ModelFolder {
  /// Makes a model folder beside its place and moves it there when complete.
  ///
  /// - Parameters:
  ///   - url: Where the folder goes.
  ///   - index: Written as `model_index.json`; a folder is made for each component.
  ///   - isReplacing: Whether a folder already at `url` is replaced, in which case it is removed
  ///     after the new one is complete; otherwise it is an error.
  ///   - fill: Writes the components into the folder it is given.
  /// - Returns: The finished folder, opened.
  /// - Throws: ``WeightsError``, or what `fill` throws; nothing is left behind then.
  @discardableResult
  public static func create(
    at url: URL, index: ModelIndex, replacing isReplacing: Bool = false, fill: (URL) throws -> Void
  ) throws -> ModelFolder {
    let manager = FileManager.default
    guard isReplacing || !manager.fileExists(atPath: url.path) else {
      throw WeightsError(
        .cannotWrite, at: url.path, expected: "a name that is free", found: "a file or folder",
        advice: "Choose another name, or allow it to be replaced.")
    }
    let partial = sibling(of: url, "partial")
    do {
      try manager.createDirectory(at: partial, withIntermediateDirectories: false)
      defer { try? manager.removeItem(at: partial) }
      for name in index.components.filter({ $0.value.className != nil }).keys {
        try checkPlainName(name, in: url.path)
        try manager.createDirectory(
          at: partial.appendingPathComponent(name), withIntermediateDirectories: false)
      }
      try fill(partial)
      try index.write(to: partial.appendingPathComponent(ModelIndex.fileName))
      try place(partial, at: url)
    } catch let error as CocoaError {
      throw WeightsError(
        .cannotWrite, at: url.path, expected: "to make the folder",
        found: error.localizedDescription,
        advice: "Check that the folder around it exists, may be written to, and has space left.")
    }
    return try ModelFolder(at: url)
  }

  /// Moves the new folder to its place; a folder there steps aside first and is removed last.
  private static func place(_ partial: URL, at url: URL) throws {
    let manager = FileManager.default
    guard manager.fileExists(atPath: url.path) else {
      return try manager.moveItem(at: partial, to: url)
    }
    let old = sibling(of: url, "old")
    try manager.moveItem(at: url, to: old)
    do {
      try manager.moveItem(at: partial, to: url)
    } catch {
      try? manager.moveItem(at: old, to: url)
      throw error
    }
    try manager.removeItem(at: old)
  }

  private static func sibling(of url: URL, _ suffix: String) -> URL {
    url.deletingLastPathComponent()
      .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString).\(suffix)")
  }
}
