internal import Foundation

/// A list of captions in a folder: JSON lines, each of a file and its caption. Other keys are not looked at.
struct CaptionManifest {
  static let name = "manifest.jsonl"

  /// Under which keys a line may name its file and its caption; the first that is there counts.
  struct Keys {
    var file, caption: [String]

    /// Those of Kino's own lists.
    static let own = Keys(file: ["file"], caption: ["caption"])
    /// Those that trainers use.
    static let anyTrainer = Keys(
      file: ["file", "file_name", "video_path", "image_path", "video", "path"],
      caption: ["caption", "text", "prompt"])
  }

  /// The files' paths in the folder and their captions, in order.
  let lines: [(file: String, caption: String)]

  /// Captions by file; of several for one file, the last.
  var captions: [String: String] {
    Dictionary(lines.map { ($0.file, $0.caption) }) { $1 }
  }

  /// A text, or something else that is not looked at.
  private struct Value: Decodable {
    let text: String?

    init(from decoder: any Decoder) throws {
      text = try? decoder.singleValueContainer().decode(String.self)
    }
  }

  /// Reads a folder's list; `nil` if it has none.
  ///
  /// - Throws: ``TrainingError`` naming the line at fault.
  init?(folder: URL, keys: Keys = .own) throws {
    let url = folder.appendingPathComponent(Self.name)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let text = try String(contentsOf: url, encoding: .utf8)
    lines = try text.split(whereSeparator: \.isNewline).enumerated().map { number, line in
      let values = try? JSONDecoder().decode([String: Value].self, from: Data(line.utf8))
      func text(_ names: [String]) -> String? {
        names.lazy.compactMap { values?[$0]?.text }.first
      }
      guard let file = text(keys.file), let caption = text(keys.caption) else {
        throw TrainingError(
          .dataNotFound,
          "\(url.path), line \(number + 1): expected an object with `file` and `caption`, found \(line.prefix(80))."
        )
      }
      return (file, caption)
    }
  }
}
