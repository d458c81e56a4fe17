import Foundation
import Kino
import KinoTraining

/// Shows how work goes on: a bar on a terminal, plain lines elsewhere, or lines of JSON.
struct ProgressDisplay: Sendable {
  private enum Style { case bar, lines, json, quiet }
  private let style: Style
  /// A picture to keep up to date with what is being sampled.
  private let preview: String?
  private let terminal: TerminalPicture?

  init(_ options: DisplayOptions, preview: String? = nil) {
    self.preview = preview
    if options.json {
      style = .json
    } else if options.quiet {
      style = .quiet
    } else {
      style = isatty(STDERR_FILENO) == 1 ? .bar : .lines
    }
    terminal =
      style == .bar ? TerminalPicture(environment: ProcessInfo.processInfo.environment) : nil
  }

  /// Whether previews of what is being sampled go anywhere.
  var showsPreviews: Bool { preview != nil || terminal != nil }

  /// Shows events until the last; gives the file that was written.
  ///
  /// - Parameters:
  ///   - events: What happens.
  ///   - isShown: Whether the file is named at the end.
  /// - Returns: The file.
  /// - Throws: What the work throws.
  func follow(_ events: GenerationEvents, isShown: Bool = true) async throws -> GeneratedFile? {
    var file: GeneratedFile?
    do {
      for try await event in events {
        if case .step(let step) = event, let clip = step.preview { show(preview: clip) }
        if case .wrote(let written) = event {
          file = written
          if !isShown {
            endBar()
            continue
          }
        }
        show(event)
      }
    } catch {
      endBar()
      throw error
    }
    return file
  }

  /// Shows what a server does, until its last event; gives how the file was made.
  func follow(
    _ events: AsyncThrowingStream<EventRecord, any Error>, isShown: Bool
  ) async throws -> Recipe? {
    var recipe: Recipe?
    do {
      for try await record in events {
        if record.event == "wrote" {
          recipe = record.recipe
          if !isShown { continue }
        }
        if let data = record.preview.flatMap({ Data(base64Encoded: $0) }) {
          try show(preview: data)
        }
        if style == .json { output(record.json) } else { show(record) }
      }
      // A stream that is cancelled just ends.
      try Task.checkCancellation()
    } catch {
      endBar()
      throw error
    }
    endBar()
    return recipe
  }

  private func show(_ record: EventRecord) {
    let name = ["copying": "copied", "encoding": "encoded", "decoding": "frame"][record.event]
    if let plan = record.plan, style != .quiet { note(plan.summary) }
    if record.event == "warning", let text = record.message { note("warning: \(text)") }
    if let step = record.step, let steps = record.steps {
      let windows = record.windows ?? 1
      let window = windows > 1 ? " window \(record.window ?? 1)/\(windows)" : ""
      progress("step\(window)", step, of: steps, secondsLeft: record.secondsLeft)
    }
    if let name, let done = record.frames, let count = record.framesInAll {
      progress(name, done, of: count)
    }
    if record.event == "wrote", let path = record.path {
      let isSampled = record.recipe?.composition.shots.isEmpty == false
      wrote(path, seed: isSampled ? record.recipe?.settings.seed : nil)
    }
  }

  /// Takes the picture of a preview, frames side by side, as a server sends it.
  private func show(preview png: Data) throws {
    guard showsPreviews else { return }
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-\(UUID().uuidString).png")
    defer { try? FileManager.default.removeItem(at: file) }
    try png.write(to: file)
    let frame = try Frame.read(file.path)
    show(preview: Clip(frames: [frame], framesPerSecond: 1))
  }

  private func show(_ event: GenerationEvent) {
    if style == .json { return output(EventRecord(event).json) }
    switch event {
    case .planned(let plan): if style != .quiet { note(plan.summary) }
    case .warning(let text): note("warning: \(text)")
    case .step(let progress):
      let window =
        progress.windowCount > 1 ? " window \(progress.window)/\(progress.windowCount)" : ""
      self.progress(
        "step\(window)", progress.index, of: progress.count, secondsLeft: progress.secondsLeft)
    case .copying(let done, let count): progress("copied", done, of: count)
    case .encoding(let done, let count): progress("encoded", done, of: count)
    case .decoding(let done, let count): progress("frame", done, of: count)
    case .finished: break
    case .wrote(let file):
      let isSampled = !file.recipe.composition.shots.isEmpty
      wrote(file.path, seed: isSampled ? file.recipe.settings.seed : nil)
    }
  }

  /// Draws the frames of a preview side by side, into its file and on terminals that show pictures.
  private func show(preview clip: Clip) {
    let side = max(64, 384 / max(1, min(6, clip.frameCount)))
    let scale = max(1, side / max(clip.width, clip.height))
    let sheet = ContactSheet(
      rows: [.init(clip)], columnCount: min(6, clip.frameCount),
      tileSize: FrameSize(clip.width * scale, clip.height * scale), spacing: 2)
    guard let picture = try? sheet.render() else { return }
    // A preview that can't be written is no reason to stop.
    if let preview { try? picture.write(to: preview, WriteOptions(overwrite: true)) }
    if let terminal, let text = terminal.text(picture) { write("\r\u{1B}[K" + text) }
  }

  /// Shows how many of some things are done.
  func progress(_ name: String, _ done: Int, of count: Int, secondsLeft: Double? = nil) {
    let left = secondsLeft.map { ", \(Self.time($0)) left" } ?? ""
    switch style {
    case .json: output(EventRecord.counted(name, done, of: count).json)
    case .quiet: break
    case .lines: note("\(name) \(done)/\(count)\(left)")
    case .bar:
      let filled = 24 * done / max(1, count)
      let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 24 - filled)
      write("\r\u{1B}[K[\(bar)] \(name) \(done)/\(count)\(left)")
    }
  }

  /// Removes a bar, if one is shown, before something else is printed.
  func endProgress() { endBar() }

  /// Names a finished file.
  func wrote(_ path: String, seed: UInt64? = nil) {
    endBar()
    switch style {
    case .json: output(EventRecord(event: "wrote", path: path).json)
    case .quiet: break
    case .bar, .lines: output(seed.map { "\(path) (seed \($0))" } ?? path)
    }
  }

  /// Shows what is possible and probably not what is wanted.
  func warn(_ text: String) { show(GenerationEvent.warning(text)) }

  /// Shows a plan that nothing follows.
  func show(_ plan: Plan) {
    var record = EventRecord(event: "planned")
    record.plan = plan
    output(style == .json ? record.json : plan.details)
    for warning in plan.warnings { warn(warning) }
  }

  /// Tells what became of a folder of footage.
  func summarize(_ report: PreparationReport) {
    endBar()
    if style == .json {
      output(EventRecord(event: "prepared", message: report.summary).json)
    } else if style != .quiet {
      note(report.summary)
    }
  }

  /// Shows what happens in training.
  func show(_ event: TrainingEvent) {
    func figures(_ values: [String: Double]) -> String {
      values.filter { $0.key != "seconds_left" }.sorted { $0.key < $1.key }
        .map { "\($0.key) \(String(format: "%.5g", $0.value))" }.joined(separator: "  ")
    }
    func left(_ values: [String: Double]) -> String {
      values["seconds_left"].map { $0 > 0 ? "  \(Self.time($0)) left" : "" } ?? ""
    }
    switch event {
    case .waiting(let rank, let count, let place):
      line(
        "waiting", step: nil,
        text: "process \(rank) of \(count) waits for the others at \(place)"
      )
    case .resumed(let step): line("resumed", step: step, text: "going on from step \(step)")
    case .step(let step, let count, let values):
      line("step", step: step, text: "step \(step)/\(count)\(left(values))  \(figures(values))")
    case .heldOut(let step, let values):
      line("held_out", step: step, text: "held out at step \(step)  \(figures(values))")
    case .warning(let text): warn(text)
    case .wrote(let url): if style != .quiet { line("wrote", step: nil, text: url.path) }
    }
  }

  // MARK: - Internal

  private func line(_ event: String, step: Int?, text: String) {
    if style != .json { return style == .quiet ? () : note(text) }
    var record = EventRecord(event: event, message: text)
    record.step = step
    output(record.json)
  }

  /// Prints a line of results, in order with all else that is shown.
  func output(_ text: String) {
    // Unbuffered, so that a reader of a pipe sees each line at once.
    StandardStreams.output(text + "\n")
  }

  private func note(_ text: String) { write(text + "\n") }

  private func endBar() { if style == .bar { write("\r\u{1B}[K") } }

  private func write(_ text: String) { StandardStreams.note(text) }

  static func time(_ seconds: Double) -> String {
    if seconds < 90 { return "\(Int(seconds.rounded(.up))) s" }
    if seconds < 5400 { return "\(Int((seconds / 60).rounded())) min" }
    return "\((seconds / 360).rounded() / 10) h"
  }
}

extension EventRecord {
  /// Describes how many of some things are done.
  static func counted(_ name: String, _ done: Int, of count: Int) -> EventRecord {
    var record = EventRecord(event: name)
    (record.frames, record.framesInAll) = (done, count)
    return record
  }
}

extension Plan {
  private static func gigabytes(_ bytes: Int) -> String {
    bytes < 100_000_000
      ? "\(max(1, bytes / 1_000_000)) MB" : "\((Double(bytes) / 1e8).rounded() / 10) GB"
  }

  private var timeRange: String {
    if slowestSeconds < 1 { return "under a second" }
    return "\(ProgressDisplay.time(fastestSeconds)) to \(ProgressDisplay.time(slowestSeconds))"
      + (isTimeMeasured ? "" : " (a guess: nothing long was made here yet)")
  }

  /// One line.
  var summary: String {
    "\(canvasFrames) frame\(canvasFrames == 1 ? "" : "s") of \(canvasSize): \(tokenCount) tokens, about "
      + "\(Self.gigabytes(peakBytes)), \(timeRange)"
  }

  /// All of it.
  var details: String {
    var lines = [
      "canvas: \(canvasFrames) frames of \(canvasSize)",
      "tokens: \(tokenCount) in \(windowCount) window\(windowCount == 1 ? "" : "s")",
      "operations: \(Self.tera(samplingOperations)) sampling, \(Self.tera(decodingOperations)) decoding",
      "memory: about \(Self.gigabytes(peakBytes)) with the program (weights \(Self.gigabytes(weightBytes)), sampling "
        + "\(Self.gigabytes(activationBytes)), decoding \(Self.gigabytes(decodingBytes)), frames "
        + "\(Self.gigabytes(outputBytes)))",
    ]
    if let availableBytes { lines.append("available: \(Self.gigabytes(availableBytes))") }
    lines.append("time: \(timeRange)")
    return lines.joined(separator: "\n")
  }

  private static func tera(_ operations: Double) -> String {
    "\((operations / 1e10).rounded() / 100) TFLOP"
  }
}
