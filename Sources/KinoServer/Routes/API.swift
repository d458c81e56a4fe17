import Foundation
import HTTPTypes
import Hummingbird
import Kino
import Logging
import NIOCore

/// Everything that routes use.
struct API: Sendable {
  let store: JobStore
  let folder: DataFolder
  let sources: SourceShelf
  let shelf: ModelShelf
  let hub: EventHub
  let runner: JobRunner
  let metrics: Metrics
  let keys: KeyRing
  let configuration: ServerConfiguration
  var remote = RemoteFile()
  let answers = AnswerCache()

  var limits: ServerLimits { configuration.limits }

  /// The routes of the server.
  func router(needsKey: Bool) -> Router<ServerContext> {
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    router.addMiddleware {
      SafetyHeaders(metrics: metrics)
      OriginCheck(isLoopback: !needsKey)
    }
    addOpenRoutes(to: router)
    let closed = router.group("v1")
      .add(middleware: Authentication(keys: keys, needsKey: needsKey))
    addVideoRoutes(to: closed)
    addQueueRoutes(to: closed)
    addFileRoutes(to: closed)
    return router
  }

  /// What anyone may see: whether the server works, and the studio's own files.
  private func addOpenRoutes(to router: Router<ServerContext>) {
    router.get("health") { _, _ in try Response.json(["status": "ok"]) }
    router.get("ready") { _, _ in
      _ = try await store.setting(JobRunner.pausedSetting)
      for model in configuration.models { _ = try await shelf.planner(model.name) }
      return try Response.json(["status": "ok"])
    }
    router.get("openapi.yaml") { _, _ in
      Response.asset("openapi.yaml") ?? Response(status: .notFound)
    }
    router.get("/") { _, _ in Response.asset("index.html") ?? Response(status: .notFound) }
    router.get("studio/:file") { _, context in
      guard let response = Response.asset(try context.parameters.require("file")) else {
        throw APIError(.notFound, "not_found", "The studio has no such file.")
      }
      return response
    }
    // A browser can't send a header for pictures and clips of a page, but a cookie.
    router.post("session") { request, _ in
      let fields = try await request.fields(limits, in: folder)
      try fields.requireOnly(["key"])
      guard let key = try fields.text("key", limit: 200), try await keys.owner(of: key) != nil
      else {
        throw APIError(.unauthorized, "invalid_api_key", "The key is wrong, or was revoked.")
      }
      var response = try Response.json(["status": "ok"])
      response.headers[.setCookie] =
        "\(Authentication.cookie)=\(key); Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
      return response
    }
    router.delete("session") { _, _ in
      var response = try Response.json(["status": "ok"])
      response.headers[.setCookie] =
        "\(Authentication.cookie)=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
      return response
    }
  }

  // MARK: Jobs

  /// Takes jobs in, or plans them.
  func submit(_ request: VideoRequest, owner: String) async throws -> Response {
    let model = request.model
    let plan = try await plan(request.composition, request.settings, model: model, owner: owner)
    if request.isDryRun { return try Response.json(PlanObject(model: model, plan: plan)) }
    let isPicture = plan.frames == 1
    guard isPicture || !["png", "jpg"].contains(request.format) else {
      throw APIError.invalid(
        "format", "A clip can't be a .\(request.format); use mp4, mov, gif or webp.")
    }
    let seed = request.settings.seed ?? UInt64.random(in: 0..<1 << 32)
    let batch = request.count > 1 ? Identifier.make("batch") : nil
    let jobs = (0..<request.count).map { index in
      var settings = request.settings
      settings.seed = seed &+ UInt64(index)
      return Job(
        id: Identifier.make("video"), owner: owner, position: 0, status: .queued,
        createdAt: JobStore.now, composition: request.composition, settings: settings,
        model: model, format: isPicture && request.format == "mp4" ? "png" : request.format,
        size: plan.size, seconds: isPicture ? 0 : Double(plan.frames) / plan.framesPerSecond,
        warnings: plan.warnings, remixedFrom: request.remixedFrom, batch: batch)
    }
    let added = try await store.add(jobs, limits: limits)
    for job in added { hub.changed(job) }
    runner.wake()
    guard let first = added.first else { throw APIError(.internalServerError, "server_error", "") }
    var response = try Response.json(object(first))
    response.headers[Self.pollAfter] = "\(pollMilliseconds(first.id))"
    return response
  }

  /// Plans a composition of ids.
  func plan(
    _ composition: Composition, _ settings: SamplingSettings, model: String, owner: String
  ) async throws -> Plan {
    let (opened, names) = try await sources.opened(composition, owner: owner)
    do {
      return try await shelf.planner(model).plan(opened, settings)
    } catch {
      throw APIError(error).calling(names)
    }
  }

  /// Answers a question that is asked often: what jobs or their progress decide, and an owner.
  func answer(
    _ request: Request, _ context: ServerContext, _ value: () async throws -> some Encodable
  ) async throws -> Response {
    let version = AnswerCache.Version(jobs: store.version, progress: hub.version)
    return .json(
      try await answers.json("\(context.owner) \(request.uri)", at: version, value))
  }

  func object(_ job: Job) -> VideoObject {
    VideoObject(job: job, progress: hub.progress(of: job.id))
  }

  func job(_ id: String, _ context: ServerContext) async throws -> Job {
    guard let job = try await store.job(id, of: context.owner) else { throw APIError.notFound(id) }
    return job
  }

  /// When a client should ask again; the API's clients read it.
  static var pollAfter: HTTPField.Name {
    HTTPField.Name("openai-poll-after-ms") ?? .retryAfter
  }

  func pollMilliseconds(_ id: String) -> Int {
    guard let left = hub.progress(of: id)?.secondsLeft else { return 1000 }
    return max(250, min(10_000, Int(left * 100)))
  }
}

/// A plan in answer to a dry run.
private struct PlanObject: Encodable {
  let object = "video.plan"
  let model: String
  let plan: Plan
  var warnings: [String] { plan.warnings }

  enum CodingKeys: String, CodingKey { case object, model, plan, warnings }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(object, forKey: .object)
    try values.encode(model, forKey: .model)
    try values.encode(plan, forKey: .plan)
    try values.encode(warnings, forKey: .warnings)
  }
}
