import Foundation
import HTTPTypes
import Kino
import KinoMedia
import KinoProvenance
import Logging

/// Makes jobs one after the other, in the order of the queue.
actor JobRunner {
  private let store: JobStore
  private let folder: DataFolder
  private let sources: SourceShelf
  private let shelf: ModelShelf
  private let hub: EventHub
  private let metrics: Metrics
  private let webhooks: WebhookSender?
  private let hoursKept: Double?
  private let signer: FileSigner?
  private let logger: Logger

  /// The job being made.
  private var current: (id: String, work: Task<Void, any Error>)?
  /// Jobs to stop by a client's wish, not the server's end.
  private var cancelled: Set<String> = []
  private var waiters: [String: [CheckedContinuation<Void, Never>]] = [:]
  private let (wakes, waker) = AsyncStream.makeStream(
    of: Void.self, bufferingPolicy: .bufferingNewest(1))

  static let pausedSetting = "paused"

  init(
    store: JobStore, folder: DataFolder, sources: SourceShelf, shelf: ModelShelf, hub: EventHub,
    metrics: Metrics, webhooks: WebhookSender?, hoursKept: Double?, signer: FileSigner?,
    logger: Logger
  ) {
    self.store = store
    self.folder = folder
    self.sources = sources
    self.shelf = shelf
    self.hub = hub
    self.metrics = metrics
    self.webhooks = webhooks
    self.hoursKept = hoursKept
    self.signer = signer
    self.logger = logger
  }

  /// Says that there may be work.
  nonisolated func wake() { waker.yield() }

  /// Works until the task is cancelled; the job being made then waits for the next start.
  func run() async throws {
    wake()
    for await _ in wakes {
      while !Task.isCancelled, try await store.setting(Self.pausedSetting) != "true",
        let job = try await store.takeNext()
      {
        await perform(job)
      }
    }
  }

  // MARK: Stopping

  /// Stops a job that waits or runs; the job as it is then, `nil` if there is no such job.
  func cancel(_ id: String, of owner: String) async throws -> Job? {
    let stopped = try await store.update(id, of: owner, in: [.queued]) { job in
      job.status = .cancelled
      job.completedAt = JobStore.now
    }
    if let stopped {
      // A server that ended in the middle of it may have left some of it.
      folder.removeFiles(of: id)
      hub.changed(stopped)
      await webhooks?.tell(of: stopped)
      return stopped
    }
    guard let job = try await store.job(id, of: owner) else { return nil }
    guard job.status == .running else { return job }
    cancelled.insert(id)
    if let current, current.id == id { current.work.cancel() }
    await ended(id)
    return try await store.job(id, of: owner)
  }

  /// Waits until a job is not being made.
  private func ended(_ id: String) async {
    guard current?.id == id else { return }
    await withCheckedContinuation { waiters[id, default: []].append($0) }
  }

  // MARK: Making

  private func perform(_ job: Job) async {
    let start = ContinuousClock.now
    hub.begin(job)
    logger.info("job \(job.id) begins (\(job.composition.verb.rawValue), \(job.model))")
    let work = Task { try await self.make(job) }
    current = (job.id, work)
    if cancelled.contains(job.id) { work.cancel() }
    let result = await withTaskCancellationHandler {
      await work.result
    } onCancel: {
      work.cancel()
    }
    let ended = await settle(job, result)
    metrics.count(
      finished: ended?.status ?? .queued, seconds: (ContinuousClock.now - start).inSeconds)
    current = nil
    cancelled.remove(job.id)
    for waiter in waiters.removeValue(forKey: job.id) ?? [] { waiter.resume() }
  }

  /// Notes how a job ended.
  private func settle(_ job: Job, _ result: Result<Void, any Error>) async -> Job? {
    let isCancelled = cancelled.contains(job.id)
    let (recipe, seconds, size): (Recipe?, Double?, String?) =
      (try? result.get()) == nil ? (nil, nil, nil) : facts(of: job)
    let expiry = hoursKept.map { JobStore.now + Int($0 * 3600) }
    do {
      let ended = try await store.update(job.id, in: [.running]) { job in
        switch result {
        case .success:
          job.status = .completed
          job.progress = 100
          (job.recipe, job.expiresAt) = (recipe, expiry)
          (job.seconds, job.size) = (seconds ?? job.seconds, size ?? job.size)
        case .failure(let error) where error is CancellationError || isCancelled:
          job.status = isCancelled ? .cancelled : .queued
        case .failure(let error):
          let words = APIError(error)
          job.status = .failed
          (job.errorCode, job.errorMessage) = (words.code, words.message)
        }
        if job.status.isFinal { job.completedAt = JobStore.now }
      }
      if case .failure(let error) = result, ended?.status == .failed {
        logger.error("job \(job.id) failed: \(error)")
      }
      if let ended, ended.status != .completed, ended.status != .queued {
        folder.removeFiles(of: job.id)
      }
      guard let ended else { return nil }
      logger.info("job \(job.id) is \(ended.status.rawValue)")
      hub.end(ended)
      if ended.status.isFinal { await webhooks?.tell(of: ended) }
      return ended
    } catch {
      // The next start finds it running and makes it again.
      logger.critical("job \(job.id) can't be noted: \(error)")
      return nil
    }
  }

  /// Makes the file of a job, and its small pictures. What an earlier try left is gone on with.
  private nonisolated func make(_ job: Job) async throws {
    let (composition, names) = try await sources.opened(job.composition, owner: job.owner)
    do {
      try await make(job, composition, names)
    } catch let error where !(error is CancellationError) {
      logger.debug("job \(job.id): \(error)")
      throw APIError(error).calling(names)
    }
  }

  private nonisolated func make(
    _ job: Job, _ composition: Composition, _ names: [String: String]
  ) async throws {
    let target = folder.result(job.id, job.format)
    if !FileManager.default.fileExists(atPath: target.path) {
      let studio = try await shelf.renderer(job.model)
      do {
        try await render(composition, names, job, on: studio, resumes: job.attempts > 1)
      } catch let error as StudioError where job.attempts > 1 && error.code.isWrongUse {
        // What is left is of another version or damaged.
        try await render(composition, names, job, on: studio, resumes: false)
      }
    }
    let info = try MediaInfo.probe(target.path)
    if let signer, try !signer.hasSigned(target),
      let recipe = info.recipe.flatMap({ Recipe(json: $0) })
    {
      let sources = Set(composition.sourcePaths).sorted().map { URL(fileURLWithPath: $0) }
      try signer.sign(
        target,
        .init(title: recipe.title, version: kinoVersion, recipe: recipe.json, sources: sources))
    }
    try Poster.make(
      of: target.path, info: info, thumbnail: folder.thumbnail(job.id).path,
      sheet: folder.sheet(job.id).path)
  }

  private nonisolated func render(
    _ composition: Composition, _ names: [String: String], _ job: Job, on studio: Studio,
    resumes: Bool
  ) async throws {
    var settings = job.settings
    settings.previewInterval = 1
    let events = studio.events(
      of: composition, settings, writingTo: folder.result(job.id, job.format).path,
      WriteOptions(), resumes: resumes, naming: names)
    for try await event in events {
      if case .warning(let text) = event, !job.warnings.contains(text) {
        _ = try await store.update(job.id, in: [.running]) { $0.warnings.append(text) }
      }
      var record = EventRecord(event)
      record.path = nil
      hub.happened(record, to: job)
    }
    try Task.checkCancellation()
  }

  private nonisolated func facts(of job: Job) -> (Recipe?, Double?, String?) {
    guard let info = try? MediaInfo.probe(folder.result(job.id, job.format).path) else {
      return (nil, nil, nil)
    }
    let recipe = info.recipe.flatMap { Recipe(json: $0) }
    return (
      recipe,
      info.isStill
        ? 0
        : recipe.map {
          Double($0.frames) / ($0.composition.framesPerSecond ?? info.framesPerSecond)
        }
          ?? info.durationSeconds, "\(info.width)x\(info.height)"
    )
  }
}
