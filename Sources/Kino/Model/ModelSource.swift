public import Foundation

/// Says which model to use.
public enum ModelSource: Hashable, Sendable {
  /// The model that comes with Kino.
  case bundled
  /// A model by name, looked for in ``searchFolders``.
  case named(String)
  /// A model in a folder: of diffusers' layout, of the original repositories' or of ComfyUI's.
  case folder(URL)
  /// A model by the file of its transformer, or of all its parts.
  case file(URL)

  /// The name of the model that comes with Kino.
  public static let bundledName = "kino-mini"

  /// Takes a path if the text looks like one or something is there, else a name.
  public init(_ text: String) {
    let path = text.expandingTilde
    let url = URL(fileURLWithPath: path)
    let exists = FileManager.default.fileExists(atPath: path)
    if exists && !url.isFolder {
      self = .file(url)
    } else if text.contains("/") || exists {
      self = .folder(url)
    } else {
      self = .named(text)
    }
  }

  /// Folders where models and weights are looked for: ``searchFolders``, the user's cache, and the cache of
  /// the Hugging Face hub, which an environment may name as `HF_HUB_CACHE` or `HF_HOME`.
  public static func weightFolders(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> [URL] {
    let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask)
    return searchFolders + caches.map { $0.appendingPathComponent("kino/models") }
      + [hubCache(environment)]
  }

  /// The cache that clients of the Hugging Face hub share, which an environment may name.
  public static func hubCache(_ environment: [String: String]) -> URL {
    func folder(_ variable: String) -> URL? {
      environment[variable].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
    }
    let home = FileManager.default.homeDirectoryForCurrentUser
    return folder("HF_HUB_CACHE") ?? folder("HF_HOME")?.appendingPathComponent("hub")
      ?? (folder("XDG_CACHE_HOME") ?? home.appendingPathComponent(".cache"))
      .appendingPathComponent("huggingface/hub")
  }

  /// Folders that hold named models: `Models` beside the program or above it, `Models` of the
  /// package it was built from, and the user's own.
  public static var searchFolders: [URL] {
    var folders: [URL] = []
    if let program = Bundle.main.executableURL?.resolvingSymlinksInPath() {
      var folder = program.deletingLastPathComponent()
      for _ in 0..<5 {
        folders.append(folder.appendingPathComponent("Models"))
        folder.deleteLastPathComponent()
      }
    }
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    folders.append(package.appendingPathComponent("Models"))
    folders += FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)
      .map { $0.appendingPathComponent("kino/models") }
    return folders
  }

  /// Finds the model's folder or file.
  ///
  /// - Throws: ``StudioError`` with code `modelNotFound`, naming where it was looked for.
  public func locate() throws -> URL {
    switch self {
    case .bundled: return try ModelSource.named(ModelSource.bundledName).locate()
    case .named(let name): return try ModelSource.locate(name)
    case .folder(let folder):
      guard FileManager.default.fileExists(atPath: folder.path) else {
        throw StudioError(
          .modelNotFound,
          """
          There is no folder or file \(folder.path); give the folder of a model, or the file of its \
          transformer.
          """)
      }
      return folder
    case .file(let file): return try ModelSource.folder(file).locate()
    }
  }

  private static func locate(_ name: String) throws -> URL {
    let isPlain = !name.isEmpty && !name.contains("/") && !name.hasPrefix(".")
    let folders = searchFolders
    for folder in folders where isPlain {
      let model = folder.appendingPathComponent(name)
      let index = model.appendingPathComponent("model_index.json")
      if FileManager.default.fileExists(atPath: index.path) { return model }
    }
    let places = folders.map(\.path).filter { FileManager.default.fileExists(atPath: $0) }
    throw StudioError(
      .modelNotFound,
      """
      There is no model named \(name.prefix(80)) in \
      \(places.isEmpty ? "any Models folder" : places.joined(separator: ", ")); give the path of a \
      model folder instead.
      """)
  }
}
