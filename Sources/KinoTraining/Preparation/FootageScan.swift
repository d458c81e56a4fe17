internal import Foundation
internal import KinoMedia

/// The files of a folder: clips and pictures with their captions, and all others.
struct FootageScan {
  /// A clip or picture.
  struct Source {
    /// The path in the folder.
    let name: String
    let path: String
    /// The name of what is made of it, without a number and an extension.
    let stem: String
    let caption: CaptionText?
    /// What is worth knowing of the caption, in words.
    let captionNotes: [String]
  }

  /// A file that is neither, and why it is left alone.
  struct Other: Codable, Hashable {
    let path: String
    let why: String
  }

  private(set) var sources: [Source] = []
  private(set) var others: [Other] = []

  /// Lists a folder and those in it, in order of their names; links to folders are not followed.
  ///
  /// - Parameters:
  ///   - folder: Where to look.
  ///   - excluded: A folder that is not looked into.
  /// - Throws: ``TrainingError`` if the folder is missing, or its manifest is damaged.
  init(folder: URL, excluding excluded: URL) throws {
    let names = try Self.names(in: folder, excluding: excluded)
    let listed = try CaptionManifest(folder: folder, keys: .anyTrainer)?.captions ?? [:]
    let texts = Set(names.filter { Self.ending($0) == "txt" })
    let media = names.filter { !Self.isText($0) && !Self.isHidden($0) }
    let stems = Dictionary(grouping: media) { Self.stem($0).lowercased() }
    var used: Set<String> = []
    for name in media {
      let path = folder.appendingPathComponent(name).path
      if let why = Self.unusable(path) {
        others.append(Other(path: name, why: why))
        continue
      }
      let beside = [Self.stem(name) + ".txt", name + ".txt"].filter { texts.contains($0) }
      used.formUnion(beside)
      let namesakes = (stems[Self.stem(name).lowercased()] ?? []).filter { $0 != name }
      var notes: [String] = []
      if !namesakes.isEmpty {
        notes.append("has the name of \(namesakes.joined(separator: " and "))")
      }
      let caption: CaptionText?
      if let text = listed[name] {
        caption = CaptionText(Data(text.utf8))
      } else if let file = beside.first {
        caption = CaptionText(contentsOf: folder.appendingPathComponent(file).path)
        if caption == nil { notes.append("\(file) is no text of at most 64 KiB in UTF-8") }
      } else {
        caption = nil
      }
      sources.append(
        Source(
          name: name, path: path, stem: namesakes.isEmpty ? Self.stem(name) : name,
          caption: caption.flatMap { $0.text.isEmpty ? nil : $0 },
          captionNotes: notes + (caption?.notes ?? [])
            + (caption?.text.isEmpty == true ? ["the caption is empty"] : [])))
    }
    for name in names where Self.isHidden(name) {
      others.append(Other(path: name, why: "hidden"))
    }
    for name in names where Self.isText(name) && !Self.isHidden(name) && !used.contains(name) {
      let why =
        name == CaptionManifest.name
        ? "the captions' list" : texts.contains(name) ? "a caption of nothing" : "text"
      others.append(Other(path: name, why: why))
    }
    for name in listed.keys.sorted() where !media.contains(name) {
      others.append(Other(path: name, why: "in \(CaptionManifest.name), but not there"))
    }
    others.sort { $0.path < $1.path }
  }

  private static func names(in folder: URL, excluding excluded: URL) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder),
      isFolder.boolValue
    else {
      throw TrainingError(
        .dataNotFound, "\(folder.path): expected a folder of clips and pictures, found none.")
    }
    let root = folder.resolvingSymlinksInPath().path
    let hole = excluded.resolvingSymlinksInPath().path
    guard let all = FileManager.default.enumerator(atPath: root) else {
      throw TrainingError(.dataNotFound, "\(folder.path): the folder can't be read.")
    }
    var names: [String] = []
    while let name = all.nextObject() as? String {
      let kind = all.fileAttributes?[.type] as? FileAttributeType
      if kind == .typeDirectory {
        if root + "/" + name == hole { all.skipDescendants() }
        continue
      }
      names.append(name)
    }
    return names.sorted()
  }

  /// Why a file is not even opened: opening a pipe may never end.
  private static func unusable(_ path: String) -> String? {
    let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: resolved) else {
      return "a link to nothing"
    }
    switch attributes[.type] as? FileAttributeType {
    case .typeRegular: return attributes[.size] as? Int == 0 ? "empty" : nil
    case .typeDirectory: return "a link to a folder"
    case .typeSymbolicLink: return "a link to nothing"
    default: return "not a file"
    }
  }

  private static let textEndings: Set<String> = [
    "txt", "jsonl", "json", "md", "csv", "tsv", "yaml", "yml", "toml", "html", "xml", "py", "srt",
    "vtt",
  ]

  private static func ending(_ name: String) -> String {
    (name as NSString).pathExtension.lowercased()
  }
  private static func isText(_ name: String) -> Bool { textEndings.contains(ending(name)) }
  private static func isHidden(_ name: String) -> Bool {
    name.split(separator: "/").contains { $0.hasPrefix(".") }
  }
  private static func stem(_ name: String) -> String { (name as NSString).deletingPathExtension }
}
