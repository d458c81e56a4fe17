public import Foundation
public import Kino
internal import KinoMedia
internal import KinoNN
internal import KinoSystem

/// Makes a folder of footage ready for training: finds cuts, drops what there is nothing to learn from,
/// writes clips of a useful length with their captions, and tells what became of every file.
///
/// ```swift
/// let preparation = try FootagePreparation(folder: footage, output: data)
/// let report = try await preparation.run { print($0) }
/// ```
///
/// A run that is stopped goes on where it was, and ends with the files of an unbroken one.
public struct FootagePreparation: Sendable {
  /// What happens, for whoever shows it.
  public enum Event: Sendable {
    /// The work on a source begins.
    case source(String, index: Int, of: Int)
    /// A clip, picture or report is complete.
    case wrote(String)
  }

  private let folder: URL
  private let output: URL
  private let settings: PreparationSettings
  private let describer: ClipDescriber?

  /// Prepares to work; nothing is written yet.
  ///
  /// - Parameters:
  ///   - folder: Clips and pictures, in any folders below; captions in text files of the same name, or
  ///     in `manifest.jsonl`.
  ///   - output: Empty, not there yet, or that of an earlier run. It may lie in `folder`.
  ///   - settings: What is kept, and in what form.
  ///   - describer: Asked for captions that are missing.
  /// - Throws: ``TrainingError`` naming the setting at fault.
  public init(
    folder: URL, output: URL, settings: PreparationSettings = PreparationSettings(),
    describer: ClipDescriber? = nil
  ) throws {
    try settings.validate()
    self.folder = folder
    self.output = output
    self.settings = settings
    self.describer = describer
  }

  /// Does the work, or what is left of it.
  ///
  /// - Parameters:
  ///   - sheetRows: The most rows of the report's contact sheet.
  ///   - report: Called as the work goes on.
  /// - Returns: What became of every file.
  /// - Throws: ``TrainingError`` if the folder is missing, the output can't be written, or the endpoint
  ///   for captions fails again and again; `CancellationError` if the task is cancelled.
  public func run(
    sheetRows: Int = 100, report: @escaping @Sendable (Event) -> Void = { _ in }
  ) async throws -> PreparationReport {
    let scan = try FootageScan(folder: folder, excluding: output)
    try TrainingError.makeFolder(output)
    try PreparationJournal.requireOwn(output)
    let lock = try FileLock.ofRun(in: output)
    defer { withExtendedLifetime(lock) {} }
    removeUnfinished()
    var journal = try PreparationJournal(output: output, of: folder, settings)
    let names = Set(scan.sources.map(\.name))
    for gone in journal.sources.values where !names.contains(gone.path) {
      journal.forget(gone, in: output)
    }
    var doubles = DoubleFinder()
    var sources: [PreparedSource] = []
    var maker = SourceMaker(output: output, settings: settings, describer: describer)
    for (index, source) in scan.sources.enumerated() {
      try Task.checkCancellation()
      report(.source(source.name, index: index + 1, of: scan.sources.count))
      let identity = Self.identity(source)
      if let done = journal.sources[source.name] {
        let isSame = done.identity == identity && !doubles.contradicts(done)
        if isSame, journal.isWhole(done, in: output) {
          doubles.add(done)
          sources.append(done)
          continue
        }
        journal.forget(done, in: output)
      }
      let (made, isFinal) = try await maker.make(source, identity: identity, doubles) {
        report(.wrote($0))
      }
      doubles.add(made)
      sources.append(made)
      if isFinal { try journal.append(made) }
    }
    let result = PreparationReport(
      folder: folder, output: output, settings: settings, sources: sources, others: scan.others)
    for file in try result.write(sheetRows: sheetRows) { report(.wrote(file)) }
    return result
  }

  /// Removes what a killed run was writing: with the lock held, nobody else writes here.
  private func removeUnfinished() {
    let names = FileManager.default.enumerator(atPath: output.path)
    var folders = [output.path]
    while let name = names?.nextObject() as? String {
      guard names?.fileAttributes?[.type] as? FileAttributeType == .typeDirectory else { continue }
      folders.append(output.appendingPathComponent(name).path)
    }
    for folder in folders { AtomicFile.removeAbandoned(in: folder, age: 0) }
  }

  /// What tells a changed source: its bytes' number and time, and its caption.
  private static func identity(_ source: FootageScan.Source) -> String {
    let resolved = URL(fileURLWithPath: source.path).resolvingSymlinksInPath().path
    let attributes = try? FileManager.default.attributesOfItem(atPath: resolved)
    let time = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
    let caption = String(stableHash(source.caption?.text ?? ""), radix: 16)
    return "\(attributes?[.size] as? Int ?? 0) \(time) \(caption)"
  }
}

/// Finds clips that were seen before, whatever their size and quality.
struct DoubleFinder {
  private var seen: [PreparedSource.Item] = []

  mutating func add(_ source: PreparedSource) { seen += source.items }

  /// The clip of which others look the same in their first, middle and last frames, and last as long.
  func double(of looks: Data, frames: Int) -> String? {
    seen.first { clip in
      abs(clip.frames - frames) * 10 <= max(clip.frames, frames) && Self.agree(clip.looks, looks)
    }?.file
  }

  /// Whether looks differ by at most 3 levels on average, and nowhere by more than 24.
  private static func agree(_ a: Data, _ b: Data) -> Bool {
    guard a.count == b.count else { return false }
    var sum = 0
    for (x, y) in zip(a, b) {
      let difference = abs(Int(x) - Int(y))
      if difference > 24 { return false }
      sum += difference
    }
    return sum <= 3 * a.count
  }

  /// Whether a source was made when other clips were there before it, so that it must be made again.
  func contradicts(_ source: PreparedSource) -> Bool {
    let wasDouble = source.omitted.contains { part in
      part.why == .double && !seen.contains { $0.file == part.details }
    }
    return wasDouble || source.items.contains { double(of: $0.looks, frames: $0.frames) != nil }
  }
}
