internal import Foundation
internal import KinoMedia
internal import KinoNN

/// A folder of clips and pictures with captions: `.txt` files beside them, or `manifest.jsonl`.
struct CaptionedFolder: Sendable {
  /// One file with its caption.
  struct Item: Sendable {
    let path: String
    let caption: String
    let width: Int
    let height: Int
    let seconds: Double
    let isPicture: Bool
  }

  private let items: [Item]
  /// Names and sizes of the files.
  let contents: UInt64

  /// The caption of every file, in order.
  var captions: [String] { items.map(\.caption) }

  init(path: String) throws {
    items = try Self.pairs(path).map(Self.item)
    guard !items.isEmpty else {
      throw TrainingError(
        .dataNotFound,
        "\(path): expected clips or pictures with captions (`clip.mp4` and `clip.txt`, or manifest.jsonl), found none."
      )
    }
    let lines = items.map { item -> String in
      let size = try? FileManager.default.attributesOfItem(atPath: item.path)[.size]
      return "\(item.path.dropFirst(path.count)) \(size.map { "\($0)" } ?? "")"
    }
    contents = stableHash(lines.joined(separator: "\n"))
  }

  /// The captions alone, without a look at the files that they are of.
  static func captions(path: String) throws -> [String] { try pairs(path).map(\.caption) }

  private static func pairs(_ path: String) throws -> [(file: String, caption: String)] {
    guard let manifest = try CaptionManifest(folder: URL(fileURLWithPath: path)) else {
      return captionFiles(path)
    }
    return manifest.lines.map { (path + "/" + $0.file, $0.caption) }
  }

  private static func captionFiles(_ folder: String) -> [(file: String, caption: String)] {
    let names = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
      .sorted()
    return names.compactMap { name in
      guard (name as NSString).pathExtension != "txt", !name.hasPrefix(".") else { return nil }
      let text = folder + "/" + (name as NSString).deletingPathExtension + ".txt"
      guard let caption = CaptionText(contentsOf: text) else { return nil }
      return (folder + "/" + name, caption.text)
    }
  }

  private static func item(_ pair: (file: String, caption: String)) throws -> Item {
    let info = try MediaInfo.probe(pair.file)
    return Item(
      path: pair.file, caption: pair.caption, width: info.width, height: info.height,
      seconds: info.durationSeconds, isPicture: info.frameCount <= 1)
  }

  /// Files whose own shape is nearest to the bucket's among common shapes, and which are long enough.
  func items(fitting bucket: TrainingConfiguration.Bucket) -> [Item] {
    let shape = log(Double(bucket.width) / Double(bucket.height))
    return items.filter { item in
      let own = log(Double(item.width) / Double(item.height))
      return abs(own - shape) < 0.3 && (bucket.frames == 1 || !item.isPicture)
    }
  }
}

extension CaptionedFolder.Item {
  /// The bucket's number of frames from a place given by `part`, resized to its shape.
  func clip(
    _ bucket: TrainingConfiguration.Bucket, part: Double, framesPerSecond: Double
  ) throws -> Clip {
    let length = Double(bucket.frames) / framesPerSecond
    let clip = try Clip.read(
      path,
      ReadOptions(
        size: FrameSize(width: bucket.width, height: bucket.height), fit: .crop,
        framesPerSecond: bucket.frames > 1 ? framesPerSecond : nil,
        startSeconds: max(0, seconds - length) * part, frameLimit: bucket.frames))
    // A clip a little too short stands still at its end.
    let missing = bucket.frames - clip.frameCount
    return missing <= 0
      ? clip : (0..<missing).reduce(clip) { longer, _ in longer + clip[(clip.frameCount - 1)...] }
  }
}
