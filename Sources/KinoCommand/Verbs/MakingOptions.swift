import ArgumentParser
import Foundation
import Kino
import KinoProvenance

/// Where the result of a verb goes, and how it is shown while it is made.
struct MakingOptions: ParsableArguments {
  @Option(help: "Also write a sheet of six frames a result, a .png or .jpg picture.")
  var sheet: String?
  @Option(help: "Make this many results, with seeds in a row.")
  var count = 1
  @Option(help: "Write a small picture of what is being sampled, a .png or .jpg, at every step.")
  var preview: String?
  @Option(help: "Draw this short text into the corner of every frame, such as AI.")
  var mark: String?
  @Flag(help: "Go on with what an earlier try at the same file left unfinished.")
  var resume = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard 1...1000 ~= count else { throw ValidationError("--count must be in 1...1000.") }
    guard output.output == "-" else { return }
    if count > 1 { throw ValidationError("--count writes several files; name one with --output.") }
    if output.display.json {
      throw ValidationError("--output - and --json would mix on one stream.")
    }
    if resume { throw ValidationError("--resume needs a file; --output - leaves none.") }
  }

  /// Makes a composition into a file, or several.
  func make(
    _ composition: Composition, _ settings: SamplingSettings, stem: String, on workplace: Workplace
  ) async throws {
    if resume, case .server = workplace {
      throw ValidationError("--resume is of this machine; a server goes on by itself.")
    }
    let options = WriteOptions(overwrite: output.overwrite)
    let pictures = [sheet, preview].compactMap(\.self)
    for picture in pictures { try ContactSheet.check(picture, options) }
    let display = ProgressDisplay(output.display, preview: preview)
    let signer = try FileSigner.ofUser { display.warn($0) }
    var settings = settings
    settings.previewInterval = display.showsPreviews ? 1 : 0
    let first = settings.seed ?? (count > 1 ? UInt64.random(in: 0..<1 << 32) : nil)
    var rows: [ContactSheet.Row] = []
    for index in 0..<count {
      settings.seed = first.map { $0 &+ UInt64(index) }
      let target = try Target(
        output.output, composition, stem: stem, index: count > 1 ? index : nil)
      try target.requireOthers(pictures)
      let made = try await workplace.make(
        composition, settings, writingTo: target.path,
        WriteOptions(overwrite: output.overwrite, mark: mark), resumes: resume, on: display,
        isShown: !target.isStream)
      guard let made else { continue }
      try signer?.sign(URL(fileURLWithPath: target.path), .init(made.recipe))
      try target.deliver()
      rows.append(.init(made.highlights, label: label(made.recipe)))
    }
    if let sheet, !rows.isEmpty {
      try ContactSheet(rows: rows).render().write(to: sheet, options)
      display.wrote(sheet)
    }
  }

  private func label(_ recipe: Recipe) -> String {
    count > 1 ? "\(recipe.title) (seed \(recipe.settings.seed ?? 0))" : recipe.title
  }
}

/// Where one result is written: its file, or one that goes to standard output and away.
private final class Target {
  let path: String
  let isStream: Bool

  init(_ output: String?, _ composition: Composition, stem: String, index: Int?) throws {
    isStream = output == "-"
    var format: String { get throws { try composition.isPicture() ? ".png" : ".mp4" } }
    if isStream {
      let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("kino-\(UUID().uuidString)")
      path = folder.appendingPathComponent(try "result" + format).path
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      return
    }
    let plain = try output ?? stem + format
    guard let index else {
      path = plain
      return
    }
    let url = URL(fileURLWithPath: plain)
    let name = url.deletingPathExtension().lastPathComponent + "-\(index + 1)."
    let folder = (plain as NSString).deletingLastPathComponent
    path = (folder as NSString).appendingPathComponent(name + url.pathExtension)
  }

  deinit {
    guard isStream else { return }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Sends the file on, if it is for standard output.
  func deliver() throws {
    guard isStream else { return }
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
      try StandardStreams.send(Array(piece))
    }
  }

  /// Throws if one of the names is this file's, or two are the same.
  func requireOthers(_ names: [String]) throws {
    let paths = ([path] + names).map { URL(fileURLWithPath: $0).standardizedFileURL.path }
    guard Set(paths).count == paths.count else {
      throw ValidationError("The result, --sheet and --preview need names of their own.")
    }
  }
}

extension ContactSheet {
  /// Finds out before any work whether a sheet can be written.
  static func check(_ path: String, _ options: WriteOptions) throws {
    try ClipWriter(path: path, size: FrameSize(16, 16), framesPerSecond: 25, options: options)
      .cancel()
  }
}
