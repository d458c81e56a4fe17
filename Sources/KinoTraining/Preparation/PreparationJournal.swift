internal import Foundation
internal import KinoSystem
internal import KinoWeights

/// What was done so far, in the output folder: a line for the settings, then one for every source.
///
/// A source's line is written when all that was made of it lies in the folder, so a run that is killed
/// begins anew with the source it was at.
struct PreparationJournal {
  static let name = "prepared.jsonl"
  private let url: URL
  private(set) var sources: [String: PreparedSource] = [:]

  private struct Head: Codable, Hashable {
    var folder: String
    var settings: PreparationSettings
  }

  /// Opens the journal of a folder.
  ///
  /// With other settings, or of another folder of footage, what was made is removed first.
  ///
  /// - Throws: ``TrainingError`` if the folder can't be written.
  init(output: URL, of folder: URL, _ settings: PreparationSettings) throws {
    url = output.appendingPathComponent(Self.name)
    let head = Head(folder: folder.resolvingSymlinksInPath().path, settings: settings)
    if FileManager.default.fileExists(atPath: url.path) {
      let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
      let decoder = JSONDecoder()
      let found = try? lines.first.map { try decoder.decode(Head.self, from: Data($0.utf8)) }
      // A line that a kill cut short says nothing.
      let all = lines.dropFirst().compactMap {
        try? decoder.decode(PreparedSource.self, from: Data($0.utf8))
      }
      for source in all { sources[source.path] = source }
      if found != head {
        for source in all { remove(source, in: output) }
        sources = [:]
      }
    }
    try write(head)
  }

  /// Throws for a folder that holds files of others.
  static func requireOwn(_ output: URL) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: output.path)
    guard !names.contains(name), !names.allSatisfy({ $0.hasPrefix(".") }) else { return }
    throw TrainingError(
      .cannotWrite,
      """
      \(output.path): expected an empty folder, or one that `kino prepare` has made, found \
      \(names.count) other files. Choose another output.
      """)
  }

  private func write(_ head: Head) throws {
    var text = line(head)
    for source in sources.values.sorted(by: { $0.path < $1.path }) { text += line(source) }
    do {
      try Data(text.utf8).write(to: url, options: .atomic)
    } catch {
      throw TrainingError(
        .cannotWrite, "\(url.path): can't be written. \(error.localizedDescription)")
    }
  }

  private func line(_ value: some Encodable) -> String { value.jsonLine + "\n" }

  /// Notes that a source is done.
  mutating func append(_ source: PreparedSource) throws {
    sources[source.path] = source
    let file = try FileHandle(forWritingTo: url)
    defer { try? file.close() }
    try file.seekToEnd()
    try file.write(contentsOf: Data(line(source).utf8))
  }

  /// Removes what was made of a source.
  mutating func forget(_ source: PreparedSource, in output: URL) {
    remove(source, in: output)
    sources[source.path] = nil
  }

  private func remove(_ source: PreparedSource, in output: URL) {
    for item in source.items {
      let file = output.appendingPathComponent(item.file)
      try? FileManager.default.removeItem(at: file)
      try? FileManager.default.removeItem(
        at: file.deletingPathExtension().appendingPathExtension("txt"))
    }
  }

  /// Whether all that was made of a source is still there.
  func isWhole(_ source: PreparedSource, in output: URL) -> Bool {
    source.items.allSatisfy {
      FileManager.default.fileExists(atPath: output.appendingPathComponent($0.file).path)
    }
  }
}
