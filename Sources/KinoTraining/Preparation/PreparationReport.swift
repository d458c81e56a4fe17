internal import Foundation
internal import KinoMedia
internal import KinoSystem

/// What became of every file of a folder.
public struct PreparationReport: Codable, Hashable, Sendable {
  /// What was made and left out, by source, in order of their paths.
  public let sources: [PreparedSource]
  /// The shapes of batches that suit the clips.
  public let buckets: [BucketProposal]
  /// Files that are neither clips nor pictures.
  let others: [FootageScan.Other]
  private let settings: PreparationSettings

  private enum CodingKeys: String, CodingKey {
    case sources, buckets, others, settings
  }

  private var output = URL(fileURLWithPath: "/")
  private var folder = URL(fileURLWithPath: "/")

  /// The pixels of a frame, and the rate, for which batches are proposed: those of kino-mini.
  private static let (pixels, framesPerSecond) = (128 * 128, 12.0)

  init(
    folder: URL, output: URL, settings: PreparationSettings, sources: [PreparedSource],
    others: [FootageScan.Other]
  ) {
    (self.folder, self.output, self.settings) = (folder, output, settings)
    (self.sources, self.others) = (sources, others)
    buckets = BucketProposal.all(
      for: sources.flatMap(\.items), pixels: Self.pixels, framesPerSecond: Self.framesPerSecond)
  }

  /// All clips and pictures.
  public var items: [PreparedSource.Item] { sources.flatMap(\.items) }

  /// Parts that were left out, by the reason.
  public var omissions: [(why: Omission, count: Int, seconds: Double)] {
    Omission.allCases.compactMap { why in
      let parts = sources.flatMap(\.omitted).filter { $0.why == why }
      return parts.isEmpty ? nil : (why, parts.count, parts.reduce(0) { $0 + $1.seconds })
    }
  }

  /// One line.
  public var summary: String {
    let pictures = items.count { $0.framesPerSecond == nil }
    let seconds = items.reduce(0) { $0 + $1.seconds }
    let left = omissions.map { "\($0.count) \($0.why.words)" }.joined(separator: ", ")
    return "\(items.count - pictures) clips (\(Self.time(seconds))) and \(pictures) pictures of "
      + "\(sources.count) files; left out: \(left.isEmpty ? "nothing" : left)"
  }

  private static func time(_ seconds: Double) -> String {
    seconds < 600
      ? "\((seconds * 10).rounded() / 10) s" : "\((seconds / 6).rounded() / 10) min"
  }

  // MARK: - Files

  /// Writes the list of captions, the report and its sheet; gives their paths.
  func write(sheetRows: Int) throws -> [String] {
    var names: [String] = []
    func write(_ data: Data, _ name: String) throws {
      let url = output.appendingPathComponent(name)
      do {
        try data.write(to: url, options: .atomic)
      } catch {
        throw TrainingError(
          .cannotWrite, "\(url.path): can't be written. \(error.localizedDescription)")
      }
      names.append(url.path)
    }
    struct Line: Encodable { let file, caption: String }
    let lines = items.map { Line(file: $0.file, caption: $0.caption ?? "").jsonLine + "\n" }
    try write(Data(lines.joined().utf8), CaptionManifest.name)
    try write(Data(configuration.utf8), "data.yaml")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    try write(try encoder.encode(self), "report.json")
    try write(Data(page.utf8), "report.md")
    if let sheet = try sheet(rows: sheetRows) {
      let path = output.appendingPathComponent("sheet.png").path
      try sheet.write(to: path, WriteOptions(overwrite: true))
      names.append(path)
    }
    return names
  }

  /// The part of a training configuration that takes these data.
  private var configuration: String {
    var lines = [
      "# Paste into a training configuration. Batches of frames of at most "
        + "\(Self.pixels) pixels, at \(Int(Self.framesPerSecond)) frames a second.",
      "buckets:",
    ]
    for bucket in buckets {
      let batch = max(1, 64 / ((bucket.frames + 3) / 4 + 1))
      lines.append(
        "  - {width: \(bucket.width), height: \(bucket.height), frames: \(bucket.frames), "
          + "batch: \(batch), weight: \(bucket.count)}")
    }
    lines += [
      "data:", "  world: 0", "  folders:", "    - {path: \"\(output.path)\", weight: 1}",
      "  frames_per_second: \(Int(Self.framesPerSecond))",
    ]
    return lines.joined(separator: "\n") + "\n"
  }

  private var page: String {
    func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
    func table(_ head: [String], _ rows: [[String]]) -> [String] {
      if rows.isEmpty { return ["None."] }
      return ([head, head.map { _ in "---" }] + rows).map {
        "| " + $0.map(cell).joined(separator: " | ") + " |"
      }
    }
    let omitted = sources.flatMap { source in
      source.omitted.map { part in
        [
          source.path, Self.time(part.start), Self.time(part.seconds), part.why.words,
          part.details ?? "",
        ]
      }
    }
    let written = sources.flatMap { source in
      source.items.map { item in
        [
          item.file, source.path, Self.time(item.start), Self.time(item.seconds),
          "\(item.width)x\(item.height)", item.caption ?? "",
        ]
      }
    }
    var lines = ["# Footage of \(folder.lastPathComponent)", "", summary + ".", ""]
    lines += ["## Left out", ""]
    lines += table(["File", "From", "Length", "Why", "Details"], omitted)
    lines += ["", "## What is unusual", ""]
    lines += table(
      ["File", "What"],
      sources.flatMap { source in source.notes.map { [source.path, $0] } })
    lines += ["", "## Files that are no clips or pictures", ""]
    lines += table(["File", "What it is"], others.map { [$0.path, $0.why] })
    lines += ["", "## Shapes of batches", ""]
    lines += table(
      ["Size", "Frames", "Clips"],
      buckets.map { ["\($0.width)x\($0.height)", "\($0.frames)", "\($0.count)"] })
    lines += ["", "## Written", ""]
    lines += table(["Clip", "Of", "From", "Length", "Size", "Caption"], written)
    return lines.joined(separator: "\n") + "\n"
  }

  /// A row of frames for each clip, then for each part that was left out; `nil` if there are none.
  private func sheet(rows limit: Int) throws -> Frame? {
    let tile = FrameSize(width: 128, height: 96)
    var rows: [ContactSheet.Row] = []
    for item in items.prefix(limit) {
      let path = output.appendingPathComponent(item.file).path
      let clip = try Clip.highlights(
        of: path, count: 6, frameCount: item.frames, ReadOptions(size: tile, fit: .pad))
      rows.append(.init(clip, label: "\(item.file): \(item.caption ?? "no caption")"))
    }
    for source in sources {
      for part in source.omitted where part.seconds > 0 && rows.count < limit {
        let options = ReadOptions(
          size: tile, fit: .pad, framesPerSecond: max(1, min(30, 6 / part.seconds)),
          startSeconds: part.start, durationSeconds: part.seconds, frameLimit: 6)
        guard
          let clip = try? Clip.read(
            folder.appendingPathComponent(source.path).path, options)
        else { continue }
        rows.append(
          .init(
            clip,
            label: "left out, \(part.why.words): \(source.path), \(Self.time(part.start)) to "
              + Self.time(part.start + part.seconds)))
      }
    }
    return rows.isEmpty ? nil : try ContactSheet(rows: rows, tileSize: tile).render()
  }
}
