import Synchronization

/// Counts for Prometheus.
final class Metrics: Sendable {
  private struct Counts {
    var answers: [Int: Int] = [:]
    var seconds = 0.0
    var finished: [String: Int] = [:]
    var renderSeconds = 0.0
  }

  private let counts = Mutex(Counts())

  func count(status: Int, seconds: Double) {
    counts.withLock {
      $0.answers[status, default: 0] += 1
      $0.seconds += seconds
    }
  }

  func count(finished status: JobStatus, seconds: Double) {
    counts.withLock {
      $0.finished[status.rawValue, default: 0] += 1
      $0.renderSeconds += seconds
    }
  }

  /// The text form of Prometheus, version 0.0.4.
  func text(queued: Int, running: Int) -> String {
    let counts = counts.withLock { $0 }
    var lines: [String] = []
    func add(_ name: String, _ type: String, _ help: String, _ values: [(String, String)]) {
      lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
      lines += values.map { "\(name)\($0.0) \($0.1)" }
    }
    add("kino_jobs_queued", "gauge", "Jobs that wait.", [("", "\(queued)")])
    add("kino_jobs_running", "gauge", "Jobs being made.", [("", "\(running)")])
    add(
      "kino_jobs_finished_total", "counter", "Jobs that ended, by how.",
      ["completed", "failed", "cancelled"].map { status in
        ("{status=\"\(status)\"}", "\(counts.finished[status] ?? 0)")
      })
    add(
      "kino_render_seconds_total", "counter", "Seconds spent on jobs.",
      [("", "\(counts.renderSeconds)")])
    add(
      "kino_http_requests_total", "counter", "Answers, by status.",
      counts.answers.sorted { $0.key < $1.key }.map { ("{code=\"\($0.key)\"}", "\($0.value)") })
    add(
      "kino_http_seconds_total", "counter", "Seconds until answers began.",
      [("", "\(counts.seconds)")])
    return lines.joined(separator: "\n") + "\n"
  }
}
