import Foundation
import HTTPTypes
import Hummingbird
import Kino
internal import KinoSystem
import NIOCore

extension API {
  /// The queue, models, and what happens.
  func addQueueRoutes(to router: RouterGroup<ServerContext>) {
    router.get("queue") { request, context in
      try await answer(request, context) { try await queueObject(context.owner) }
    }
    router.post("queue") { request, context in
      let fields = try await request.fields(limits, in: folder)
      try fields.requireOnly(["paused"])
      guard let isPaused = try fields.flag("paused") else {
        throw APIError(
          .badRequest, "missing_parameter", "'paused' is missing: true or false.",
          parameter: "paused")
      }
      try await store.set(JobRunner.pausedSetting, to: isPaused ? "true" : "false")
      runner.wake()
      hub.queueChanged()
      return try Response.json(try await queueObject(context.owner))
    }
    router.get("models") { _, _ in
      var models: [ModelObject] = []
      for served in configuration.models {
        models.append(ModelObject(served.name, try await shelf.planner(served.name).model))
      }
      return try Response.json(
        ListObject(
          data: models, firstID: models.first?.id, lastID: models.last?.id, hasMore: false))
    }
    router.get("models/:id") { _, context in
      let id = try context.parameters.require("id")
      guard configuration.models.contains(where: { $0.name == id }) else {
        throw APIError.notFound(id)
      }
      return try Response.json(ModelObject(id, try await shelf.planner(id).model))
    }
    router.get("events") { _, context in allEvents(context) }
    router.get("metrics") { _, _ in
      let jobs = try await store.queue()
      let running = jobs.filter { $0.status == .running }.count
      let text = metrics.text(queued: jobs.count - running, running: running)
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: .init(byteBuffer: ByteBuffer(string: text)))
    }
  }

  private struct ModelObject: Encodable {
    let id: String
    let object = "model"
    let created = 0
    let ownedBy = "kino"
    /// What the model makes where a request leaves it open.
    let defaults: Defaults

    struct Defaults: Encodable {
      let size: String
      let frames, steps: Int
      let framesPerSecond, guidance: Double

      enum CodingKeys: String, CodingKey {
        case size, frames, steps, guidance
        case framesPerSecond = "frames_per_second"
      }
    }

    enum CodingKeys: String, CodingKey {
      case id, object, created, defaults
      case ownedBy = "owned_by"
    }

    init(_ name: String, _ model: Model) {
      id = name
      let own = model.defaults
      defaults = Defaults(
        size: "\(own.size)", frames: own.frames, steps: own.steps,
        framesPerSecond: own.framesPerSecond, guidance: own.guidance)
    }
  }

  private struct QueueObject: Encodable {
    let object = "queue"
    let paused: Bool
    /// Jobs of all keys that wait or run.
    let length: Int
    /// The key's own.
    let data: [VideoObject]
  }

  private func queueObject(_ owner: String) async throws -> QueueObject {
    let jobs = try await store.queue()
    return QueueObject(
      paused: try await store.setting(JobRunner.pausedSetting) == "true", length: jobs.count,
      data: jobs.filter { $0.owner == owner }.map { object($0) })
  }

  // MARK: Server-sent events

  /// What happens to one video, from its beginning, until it ends: each event is one of `kino --json`.
  func events(_ context: ServerContext) async throws -> Response {
    let id = try context.parameters.require("id")
    // Listening begins before looking, so that nothing falls in between.
    let news = hub.news(of: context.owner)
    let first = try await job(id, context)
    let said = hub.progress(of: id)
    return .stream { send in
      try await send("video", object(first))
      for record in (said?.records ?? []) + (said?.lastStep.map { [$0] } ?? []) {
        try await send("progress", record)
      }
      if first.status.isFinal { return }
      for await item in Self.timed(news) {
        guard let item else {
          try await send(nil, "")
          continue
        }
        guard item.job == id else { continue }
        switch item.kind {
        case .record(let record): try await send("progress", record)
        case .removed: return
        case .queue: continue
        case .changed:
          guard let job = try await store.job(id, of: first.owner) else { return }
          try await send("video", object(job))
          if job.status.isFinal { return }
        }
      }
    }
  }

  private struct Removed: Encodable { let id: String }
  private struct Step: Encodable {
    let id: String
    let record: EventRecord
    let progress: Int
  }

  /// What happens to all videos of a key, from now on.
  private func allEvents(_ context: ServerContext) -> Response {
    let news = hub.news(of: context.owner)
    let owner = context.owner
    return .stream { send in
      try await send(nil, "")
      for await item in Self.timed(news) {
        guard let item else {
          try await send(nil, "")
          continue
        }
        switch item.kind {
        case .record(let record):
          let percent = hub.progress(of: item.job)?.percent ?? 0
          try await send("progress", Step(id: item.job, record: record, progress: percent))
        case .removed: try await send("removed", Removed(id: item.job))
        case .queue: try await send("queue", try await queueObject(owner))
        case .changed:
          if let job = try await store.job(item.job, of: owner) {
            try await send("video", object(job))
          }
        }
      }
    }
  }

  /// News, and `nil` now and then, which shows a connection that is gone.
  private static func timed(_ news: AsyncStream<EventHub.News>) -> AsyncStream<EventHub.News?> {
    // What a client is too slow to read is left out, the oldest first.
    AsyncStream(bufferingPolicy: .bufferingNewest(256)) { continuation in
      let listener = Task {
        for await item in news { continuation.yield(item) }
        continuation.finish()
      }
      let clock = Task {
        while !Task.isCancelled {
          try await Task.sleep(for: .seconds(10))
          continuation.yield(nil)
        }
      }
      continuation.onTermination = { _ in
        listener.cancel()
        clock.cancel()
      }
    }
  }
}

extension Response {
  typealias Send = (_ event: String?, _ value: any Encodable) async throws -> Void

  /// A stream of server-sent events (HTML, section 9.2); without a name, a comment that keeps it open. An event
  /// waits until the client has read those before.
  static func stream(_ body: @escaping @Sendable (Send) async throws -> Void) -> Response {
    var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
    // Proxies must not collect events.
    if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
    return Response(
      status: .ok, headers: headers,
      body: .init { writer in
        try await body { event, value in
          guard let event else { return try await writer.write(ByteBuffer(string: ": \n\n")) }
          let json = String(decoding: try value.sortedJSON, as: UTF8.self)
          try await writer.write(ByteBuffer(string: "event: \(event)\ndata: \(json)\n\n"))
        }
        try await writer.finish(nil)
      })
  }
}
