import Foundation
import HTTPTypes
import Hummingbird
import Kino
import NIOCore

extension API {
  /// The Videos API, and what Kino makes beyond it.
  func addVideoRoutes(to router: RouterGroup<ServerContext>) {
    let videos = router.group("videos")
    // Each verb has an address; the first four are the API's.
    let verbs: [(RouterPath, Verb)] = [
      ("", .generate), ("edits", .edit), ("extensions", .extend), ("pictures", .image),
      ("animations", .animate), ("loops", .loop), ("connections", .connect),
      ("storyboards", .storyboard), ("reversals", .reverse), ("upscales", .upscale),
    ]
    for (path, verb) in verbs {
      videos.post(path) { request, context in try await make(verb, request, context) }
    }
    videos.post(":id/remix") { request, context in try await remix(request, context) }
    videos.get { request, context in
      try await answer(request, context) { try await list(request, context) }
    }
    videos.get(":id") { request, context in
      let id = try context.parameters.require("id")
      var response = try await answer(request, context) { object(try await job(id, context)) }
      response.headers[Self.pollAfter] = "\(pollMilliseconds(id))"
      return response
    }
    videos.delete(":id") { _, context in try await delete(context) }
    videos.get(":id/content") { request, context in try await content(request, context) }
    videos.patch(":id") { request, context in try await change(request, context) }
    videos.post(":id/cancel") { _, context in
      let id = try context.parameters.require("id")
      guard let job = try await runner.cancel(id, of: context.owner) else {
        throw APIError.notFound(id)
      }
      return try Response.json(object(job))
    }
    videos.post(":id/move") { request, context in
      let id = try context.parameters.require("id")
      let fields = try await request.fields(limits, in: folder)
      try fields.requireOnly(["before"])
      guard try await store.move(id, before: try fields.text("before"), of: context.owner) else {
        throw APIError(.conflict, "not_queued", "Only videos that wait can be moved.")
      }
      hub.queueChanged()
      return try Response.json(object(try await job(id, context)))
    }
    videos.get(":id/events") { _, context in try await events(context) }
  }

  private func make(
    _ verb: Verb, _ request: Request, _ context: ServerContext
  ) async throws -> Response {
    let fields = try await request.fields(limits, in: folder)
    let composition = try await VerbFields(
      fields: fields,
      sources: SourceFields(
        fields: fields, owner: context.owner, shelf: sources, remote: remote),
      shelf: shelf
    ).composition(verb)
    let video = try VideoRequest(composition, fields, shelf: shelf)
    return try await submit(video, owner: context.owner)
  }

  /// A finished video changed by a prompt. The API's own form has the prompt only.
  private func remix(_ request: Request, _ context: ServerContext) async throws -> Response {
    let id = try context.parameters.require("id")
    let fields = try await request.fields(limits, in: folder)
    try fields.requireOnly(VideoRequest.common.union(["prompt", "strength"]))
    let source = try await job(id, context)
    let composition = Composition.edit(
      id, try fields.prompt(), strength: try fields.number("strength") ?? 0.7)
    var video = try VideoRequest(composition, fields, shelf: shelf)
    if !fields.has("model") { video.model = try shelf.name(source.model) }
    if !fields.has("format") { video.format = source.format }
    video.remixedFrom = id
    return try await submit(video, owner: context.owner)
  }

  private func list(
    _ request: Request, _ context: ServerContext
  ) async throws -> ListObject<VideoObject> {
    let query = request.uri.queryParameters
    let limit =
      try query["limit"].map { text in
        guard let limit = Int(text), 0...100 ~= limit else {
          throw APIError.invalid("limit", "'limit' must be in 0...100.")
        }
        return limit
      } ?? 20
    let order = query["order"].map(String.init) ?? "desc"
    guard ["asc", "desc"].contains(order) else {
      throw APIError.invalid("order", "'order' must be asc or desc.")
    }
    guard
      let page = try await store.jobs(
        of: context.owner, after: query["after"].map(String.init), limit: limit,
        isAscending: order == "asc")
    else { throw APIError.invalid("after", "There is no video with the id in 'after'.") }
    return ListObject(
      data: page.jobs.map { object($0) }, firstID: page.jobs.first?.id,
      lastID: page.jobs.last?.id, hasMore: page.hasMore)
  }

  private func delete(_ context: ServerContext) async throws -> Response {
    let id = try context.parameters.require("id")
    guard try await !store.isRead(id) else {
      throw APIError(
        .conflict, "in_use", "Another video that is not done yet reads this one; cancel that first."
      )
    }
    _ = try await runner.cancel(id, of: context.owner)
    guard try await store.remove(id, of: context.owner) else {
      guard try await store.job(id, of: context.owner) != nil else { throw APIError.notFound(id) }
      throw APIError(.conflict, "not_ready", "The video is just being made; try again.")
    }
    folder.removeFiles(of: id)
    hub.removed(id, of: context.owner)
    return try Response.json(DeletedObject(id: id, object: "video.deleted"))
  }

  private func content(_ request: Request, _ context: ServerContext) async throws -> Response {
    let job = try await job(try context.parameters.require("id"), context)
    guard job.status == .completed else {
      throw APIError(
        job.status.isFinal ? .notFound : .conflict, "not_ready",
        "The video is \(VideoObject.name(job.status)); its content is there once it is completed.")
    }
    let (file, type): (URL, String) =
      switch request.uri.queryParameters["variant"].map(String.init) ?? "video" {
      case "video":
        (folder.result(job.id, job.format), Response.mediaTypes[job.format] ?? "video/mp4")
      case "thumbnail": (folder.thumbnail(job.id), "image/webp")
      case "spritesheet": (folder.sheet(job.id), "image/jpeg")
      default:
        throw APIError.invalid("variant", "'variant' must be video, thumbnail or spritesheet.")
      }
    return try await Response.file(
      file, type: type, name: "\(job.id).\(file.pathExtension)", request, context)
  }

  /// Changes what may change: the star of any video, and the request of one that waits.
  private func change(_ request: Request, _ context: ServerContext) async throws -> Response {
    let id = try context.parameters.require("id")
    let fields = try await request.fields(limits, in: folder)
    try fields.requireOnly(["starred", "prompt", "negative_prompt", "seed", "steps", "guidance"])
    let prompt = try fields.text("prompt", limit: Limits.promptLength)
    let negative = try fields.text("negative_prompt", limit: Limits.promptLength)
    let (seed, steps, guidance) = (
      try fields.seed("seed"), try fields.integer("steps"), try fields.number("guidance")
    )
    let isStarred = try fields.flag("starred")
    var wanted = try await job(id, context)
    let original = wanted
    if let prompt, !prompt.isEmpty {
      wanted.composition.updateShots { $0.prompts = [TimedPrompt(prompt)] }
    }
    wanted.composition.negativePrompt = negative ?? wanted.composition.negativePrompt
    // `null` is what a request without the field would have had.
    let anySeed = UInt64.random(in: 0..<1 << 32)
    wanted.settings.seed = fields.isNull("seed") ? anySeed : seed ?? wanted.settings.seed
    wanted.settings.stepCount =
      fields.isNull("steps") ? nil : steps ?? wanted.settings.stepCount
    wanted.settings.guidanceScale =
      fields.isNull("guidance") ? nil : guidance ?? wanted.settings.guidanceScale
    let isOther = wanted != original
    if isOther {
      wanted.warnings = try await plan(
        wanted.composition, wanted.settings, model: wanted.model, owner: context.owner
      ).warnings
    }
    let changed = wanted
    let states: Set<JobStatus> =
      isOther ? [.queued] : [.queued, .running, .completed, .failed, .cancelled]
    let job = try await store.update(id, of: context.owner, in: states) { job in
      if isOther {
        (job.composition, job.settings) = (changed.composition, changed.settings)
        job.warnings = changed.warnings
      }
      job.isStarred = isStarred ?? job.isStarred
    }
    guard let job else {
      throw APIError(.conflict, "not_queued", "Only a video that waits can be changed.")
    }
    hub.changed(job)
    return try Response.json(object(job))
  }
}
