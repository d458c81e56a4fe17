import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import NIOCore

extension API {
  /// Uploads and characters.
  func addFileRoutes(to router: RouterGroup<ServerContext>) {
    router.post("files") { request, context in
      let fields = try await request.fields(limits, in: folder)
      // `purpose` is of OpenAI's Files API; here all are for videos.
      try fields.requireOnly(["file", "purpose"])
      guard case .file(let file)? = fields.root["file"] else {
        throw APIError(
          .badRequest, "missing_parameter", "'file' is missing: send a picture or clip in a form.",
          parameter: "file")
      }
      return try Response.json(
        FileObject(upload: try await sources.add(file, owner: context.owner, field: "file")))
    }
    router.get("files") { _, context in
      let uploads = try await store.database.read {
        try Upload.filter(Column("owner") == context.owner)
          .order(Column("createdAt").desc, Column.rowID.desc).limit(1000).fetchAll($0)
      }
      return try Response.json(
        ListObject(
          data: uploads.map { FileObject(upload: $0) }, firstID: uploads.first?.id,
          lastID: uploads.last?.id, hasMore: false))
    }
    router.get("files/:id") { _, context in
      try Response.json(FileObject(upload: try await upload(context)))
    }
    router.get("files/:id/content") { request, context in
      let upload = try await upload(context)
      let url = folder.uploads.appendingPathComponent(upload.file)
      return try await Response.file(
        url, type: Response.mediaTypes[url.pathExtension] ?? "application/octet-stream",
        name: upload.file, request, context)
    }
    router.delete("files/:id") { _, context in
      let upload = try await upload(context)
      guard try await remove(upload) else {
        throw APIError(
          .conflict, "in_use", "A video or character reads this file; delete that first.")
      }
      return try Response.json(DeletedObject(id: upload.id, object: "file"))
    }
    router.group("videos").post("characters") { request, context in
      try await createCharacter(request, context)
    }
    router.group("videos").get("characters/:id") { _, context in
      let id = try context.parameters.require("id")
      let character = try await store.database.read {
        try Character.filter(key: id).filter(Column("owner") == context.owner).fetchOne($0)
      }
      guard let character else { throw APIError.notFound(id) }
      return try Response.json(CharacterObject(character))
    }
  }

  private struct CharacterObject: Encodable {
    let id, name: String
    let createdAt: Int

    enum CodingKeys: String, CodingKey {
      case id, name
      case createdAt = "created_at"
    }

    init(_ character: Character) {
      (id, name, createdAt) = (character.id, character.name, character.createdAt)
    }
  }

  private func createCharacter(
    _ request: Request, _ context: ServerContext
  ) async throws -> Response {
    let fields = try await request.fields(limits, in: folder)
    try fields.requireOnly(["name", "video"])
    guard let name = try fields.text("name"), 1...80 ~= name.count else {
      throw APIError.invalid("name", "'name' must have 1 to 80 characters.")
    }
    guard case .file(let file)? = fields.root["video"] else {
      throw APIError(
        .badRequest, "missing_parameter", "'video' is missing: send a clip in a form.",
        parameter: "video")
    }
    let upload = try await sources.add(file, owner: context.owner, field: "video")
    let character = Character(
      id: Identifier.make("char"), owner: context.owner, name: name, upload: upload.id,
      createdAt: JobStore.now)
    try await store.database.write { try character.insert($0) }
    return try Response.json(CharacterObject(character))
  }

  private func upload(_ context: ServerContext) async throws -> Upload {
    let id = try context.parameters.require("id")
    let upload = try await store.database.read {
      try Upload.filter(key: id).filter(Column("owner") == context.owner).fetchOne($0)
    }
    guard let upload else { throw APIError.notFound(id) }
    return upload
  }

  /// Removes an upload that nothing reads; whether it is gone.
  private func remove(_ upload: Upload) async throws -> Bool {
    let isGone = try await store.database.write { database in
      let sql = """
        DELETE FROM upload WHERE id = ?
        AND NOT EXISTS (SELECT 1 FROM jobSource WHERE source = upload.id)
        AND NOT EXISTS (SELECT 1 FROM character WHERE upload = upload.id)
        """
      try database.execute(sql: sql, arguments: [upload.id])
      return database.changesCount > 0
    }
    if isGone {
      try? FileManager.default.removeItem(at: folder.uploads.appendingPathComponent(upload.file))
    }
    return isGone
  }
}
