internal import Foundation

/// Figures of a run: JSON lines for programs, TensorBoard events, and a chart to look at.
///
/// Lines past the step resumed from are dropped.
struct MetricsLog {
  private let url: URL
  private let events: EventFile
  private let folder: URL

  init(folder: URL, step: Int) throws {
    self.folder = folder
    url = folder.appendingPathComponent("metrics.jsonl")
    events = try EventFile(folder: folder)
    let kept = Self.lines(url).filter { $0.step <= step }
    try Self.text(kept).write(to: url, atomically: true, encoding: .utf8)
  }

  private struct Line: Codable {
    var step: Int
    var time: Double
    var figures: [String: Double]
  }

  mutating func append(step: Int, figures: [String: Double]) throws {
    let line = Line(
      step: step, time: Date().timeIntervalSince1970, figures: figures.filter { $0.value.isFinite })
    let handle = try FileHandle(forWritingTo: url)
    defer { try? handle.close() }
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(Self.text([line]).utf8))
    try events.append(step: step, time: line.time, figures: line.figures)
  }

  /// Draws every figure's curve into `curves.png`.
  func drawChart() throws {
    var series: [String: [(x: Double, y: Double)]] = [:]
    for line in Self.lines(url) {
      for (name, value) in line.figures {
        series[name, default: []].append((Double(line.step), value))
      }
    }
    try Chart(series: series).write(to: folder.appendingPathComponent("curves.png"))
  }

  private static func lines(_ url: URL) -> [Line] {
    guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
    let decoder = JSONDecoder()
    return text.split(separator: "\n").compactMap {
      try? decoder.decode(Line.self, from: Data($0.utf8))
    }
  }

  private static func text(_ lines: [Line]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return try lines.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }.joined()
  }
}
