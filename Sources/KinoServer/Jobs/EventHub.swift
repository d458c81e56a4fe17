import Foundation
import Kino
import Synchronization

/// What is happening, for clients that watch, and what a job that runs has come to.
final class EventHub: Sendable {
  /// News about a job.
  struct News: Sendable {
    enum Kind: Sendable {
      /// Something of its making.
      case record(EventRecord)
      /// Its state, or its place in the queue, is another.
      case changed
      /// It is gone.
      case removed
      /// The queue is paused or goes on, or has another order; it is of no job and of all owners.
      case queue
    }
    let job: String
    let owner: String
    let kind: Kind
  }

  /// How far a job has come that runs.
  struct Progress: Sendable {
    var percent = 0
    var step: Int?
    var steps: Int?
    var secondsLeft: Double?
    /// What was said so far that later listeners need: the plan and warnings, and the last step.
    var records: [EventRecord] = []
    var lastStep: EventRecord?
  }

  private struct State {
    var progress: [String: Progress] = [:] { didSet { version += 1 } }
    var version = 0
    var listeners: [UUID: (owner: String, stream: AsyncStream<News>.Continuation)] = [:]
  }

  private let state = Mutex(State())

  /// News of an owner's jobs from now on; a listener that is slow misses the oldest.
  func news(of owner: String) -> AsyncStream<News> {
    let id = UUID()
    let (stream, continuation) = AsyncStream.makeStream(
      of: News.self, bufferingPolicy: .bufferingNewest(256))
    continuation.onTermination = { [weak self] _ in
      self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
    }
    state.withLock { $0.listeners[id] = (owner, continuation) }
    return stream
  }

  func progress(of job: String) -> Progress? { state.withLock { $0.progress[job] } }

  /// How often progress has changed.
  var version: Int { state.withLock { $0.version } }

  func begin(_ job: Job) {
    state.withLock { $0.progress[job.id] = Progress() }
    changed(job)
  }

  func end(_ job: Job) {
    _ = state.withLock { $0.progress.removeValue(forKey: job.id) }
    changed(job)
  }

  func changed(_ job: Job) { send(News(job: job.id, owner: job.owner, kind: .changed)) }

  func removed(_ id: String, of owner: String) {
    send(News(job: id, owner: owner, kind: .removed))
  }

  /// Says that the queue is another.
  func queueChanged() { send(News(job: "", owner: "", kind: .queue)) }

  /// Takes an event of a job that runs.
  func happened(_ record: EventRecord, to job: Job) {
    state.withLock { state in
      guard var progress = state.progress[job.id] else { return }
      progress.note(record)
      state.progress[job.id] = progress
    }
    send(News(job: job.id, owner: job.owner, kind: .record(record)))
  }

  /// Ends all streams.
  func close() {
    for listener in state.withLock({ $0.listeners.values }) { listener.stream.finish() }
  }

  private func send(_ news: News) {
    let listeners = state.withLock {
      $0.listeners.values.filter { news.owner.isEmpty || $0.owner == news.owner }
    }
    for listener in listeners { listener.stream.yield(news) }
  }
}

extension EventHub.Progress {
  mutating func note(_ record: EventRecord) {
    var share: Double?
    switch record.event {
    case "planned", "warning": records.append(record)
    case "step":
      (step, steps, secondsLeft, lastStep) = (record.step, record.steps, record.secondsLeft, record)
      if let step, let steps, steps > 0 { share = 0.9 * Double(step) / Double(steps) }
    case "decoding":
      if let frames = record.frames, let all = record.framesInAll, all > 0, step == steps {
        share = 0.9 + 0.1 * Double(frames) / Double(all)
      }
    default: break
    }
    // 100 is for what is complete.
    if let share { percent = max(percent, min(99, Int(share * 100))) }
  }
}
