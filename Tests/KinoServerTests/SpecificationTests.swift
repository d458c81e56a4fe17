import Foundation
import KinoTestSupport
import NIOHTTP1
import Testing

@testable import KinoServer

/// OpenAI's Videos API, row by row: what each route and field takes, gives and refuses.
@Suite(.timeLimit(.minutes(10))) struct SpecificationTests {
  /// A server whose queue is paused: videos are accepted and not made.
  private func paused() async throws -> TestServer {
    let server = try await TestServer()
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    return server
  }

  /// The keys of a video that the specification requires, with what their values are.
  private static let keys: [String: @Sendable (Any) -> Bool] = [
    "id": { ($0 as? String)?.isEmpty == false },
    "object": { $0 as? String == "video" },
    "model": { ($0 as? String)?.isEmpty == false },
    "status": {
      ["queued", "in_progress", "completed", "failed"].contains($0 as? String)
    },
    "progress": { 0...100 ~= ($0 as? Int ?? -1) },
    "created_at": { ($0 as? Int ?? 0) > 1_700_000_000 },
    "completed_at": { $0 is Int || $0 is NSNull },
    "expires_at": { $0 is Int || $0 is NSNull },
    "prompt": { $0 is String || $0 is NSNull },
    "size": { ($0 as? String)?.split(separator: "x").compactMap { Int($0) }.count == 2 },
    "seconds": { ($0 as? String).flatMap(Double.init) != nil },
    "remixed_from_video_id": { $0 is String || $0 is NSNull },
    "error": { $0 is NSNull || ($0 as? [String: Any])?["code"] is String },
  ]

  private func expectVideo(_ answer: TestServer.Answer, _ what: String) {
    #expect(answer.status == 200, "\(what) \(answer.json)")
    for (key, isRight) in Self.keys {
      #expect(answer.json[key].map(isRight) == true, "\(what): \(key) of \(answer.json)")
    }
  }

  private func expectRefusal(_ answer: TestServer.Answer, _ parameter: String, _ what: String) {
    #expect(answer.status == 400, "\(what) \(answer.json)")
    #expect(answer.error["param"] as? String == parameter, "\(what) \(answer.json)")
    #expect(answer.error["type"] as? String == "invalid_request_error", "\(what)")
    for key in ["message", "code"] {
      #expect((answer.error[key] as? String)?.isEmpty == false, "\(what): \(key)")
    }
  }

  @Test func `POST videos takes prompts of 1 to 32,000 characters`() async throws {
    let server = try await paused()
    for length in [1, 32_000] {
      let prompt = String(repeating: "я", count: length)
      let answer = try await server.send(.POST, "/v1/videos", json: ["prompt": prompt])
      expectVideo(answer, "\(length) characters")
      #expect(answer.json["prompt"] as? String == prompt)
    }
    for prompt in ["", String(repeating: "a", count: 32_001)] {
      let answer = try await server.send(.POST, "/v1/videos", json: ["prompt": prompt])
      expectRefusal(answer, "prompt", "\(prompt.count) characters")
    }
    expectRefusal(try await server.send(.POST, "/v1/videos", json: [:]), "prompt", "no prompt")
    try await server.stop()
  }

  @Test func `POST videos takes every typed length and size, and the service's later ones`()
    async throws
  {
    let server = try await paused()
    let sizes = [
      "720x1280", "1280x720", "1024x1792", "1792x1024", "1920x1080", "1080x1920",
    ]
    for seconds in ["4", "8", "12", "16", "20"] {
      let answer = try await server.send(
        .POST, "/v1/videos", json: ["prompt": "x", "seconds": seconds])
      expectVideo(answer, seconds)
      #expect(answer.json["seconds"] as? String == seconds)
      let form = try await server.send(
        .POST, "/v1/videos", form: [("prompt", "x"), ("seconds", seconds)])
      #expect(form.json["seconds"] as? String == seconds)
    }
    for size in sizes {
      let answer = try await server.send(
        .POST, "/v1/videos", json: ["prompt": "x", "size": size, "seconds": "4"])
      expectVideo(answer, size)
      #expect(answer.json["size"] as? String == size)
    }
    try await server.stop()
  }

  @Test func `POST videos knows models by their names, and OpenAI's by an alias`() async throws {
    let server = try await paused()
    for model in ["tiny", "sora-2", "sora-2-pro", "sora-2-2025-10-06"] {
      let answer = try await server.send(
        .POST, "/v1/videos", json: ["prompt": "x", "model": model])
      expectVideo(answer, model)
      #expect(answer.json["model"] as? String == "tiny")
    }
    let other = try await server.send(
      .POST, "/v1/videos", json: ["prompt": "x", "model": "gpt-5"])
    expectRefusal(other, "model", "another's")
    try await server.stop()
  }

  @Test func `POST videos takes a reference as file, id, data URL, and exactly one`()
    async throws
  {
    let server = try await paused()
    let picture = try server.picture()
    let uploaded = try await server.send(.POST, "/v1/files", form: [("file", picture)]).id
    let url = "data:image/png;base64," + picture.base64EncodedString()
    for reference in [["file_id": uploaded], ["image_url": url]] {
      let answer = try await server.send(
        .POST, "/v1/videos", json: ["prompt": "x", "input_reference": reference])
      expectVideo(answer, "\(reference.keys)")
    }
    for form in [("input_reference", picture), ("input_reference[file_id]", uploaded)]
      as [(String, Any)]
    {
      expectVideo(
        try await server.send(.POST, "/v1/videos", form: [("prompt", "x"), form]), form.0)
    }
    for wrong in [
      ["file_id": uploaded, "image_url": url], [:], ["file_id": "file_none"],
      ["image_url": "http://169.254.169.254/"], ["image_url": "data:image/png;base64,!"],
    ] {
      let answer = try await server.send(
        .POST, "/v1/videos", json: ["prompt": "x", "input_reference": wrong])
      #expect([400, 404].contains(answer.status), "\(wrong) \(answer.json)")
    }
    let characters = try await server.send(
      .POST, "/v1/videos", json: ["prompt": "x", "characters": [["id": "char_1"]]])
    expectRefusal(characters, "characters", "characters")
    try await server.stop()
  }

  @Test func `Edits, extensions and remixes need what the specification says they need`()
    async throws
  {
    let server = try await TestServer()
    let first = try await server.send(.POST, "/v1/videos", json: quick).id
    #expect(try await server.finished(first).json["status"] as? String == "completed")
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    let video: [String: Any] = ["id": first]
    let edit = try await server.send(
      .POST, "/v1/videos/edits", json: ["prompt": "x", "video": video])
    expectVideo(edit, "edit")
    let upload = try await server.send(
      .POST, "/v1/videos/edits", form: [("prompt", "x"), ("video", try server.clip())])
    expectVideo(upload, "edit of a file")
    let extended = try await server.send(
      .POST, "/v1/videos/extensions",
      form: [("prompt", "x"), ("seconds", "4"), ("video[id]", first)])
    expectVideo(extended, "extension")
    // The whole, not what is new: 9 frames at 8 a second are there.
    #expect(extended.json["seconds"] as? String == "5.125")
    for form in [false, true] {
      let path = "/v1/videos/\(first)/remix"
      let remix =
        form
        ? try await server.send(.POST, path, form: [("prompt", "x")])
        : try await server.send(.POST, path, json: ["prompt": "x"])
      expectVideo(remix, "remix")
      #expect(remix.json["remixed_from_video_id"] as? String == first)
    }
    let lacking: [(String, [String: Any], String)] = [
      ("edits", ["video": video], "prompt"), ("edits", ["prompt": "x"], "video"),
      ("extensions", ["prompt": "x", "video": video], "seconds"),
      ("extensions", ["prompt": "x", "seconds": "4"], "video"), ("\(first)/remix", [:], "prompt"),
    ]
    for (path, fields, parameter) in lacking {
      let answer = try await server.send(.POST, "/v1/videos/" + path, json: fields)
      expectRefusal(answer, parameter, path)
    }
    let unknown = try await server.send(
      .POST, "/v1/videos/video_none/remix", json: ["prompt": "x"])
    #expect(unknown.status == 404)
    try await server.stop()
  }

  @Test func `Retrieve, delete and content answer as specified, also for what is not there`()
    async throws
  {
    let server = try await paused()
    let id = try await server.send(.POST, "/v1/videos", json: ["prompt": "x"]).id
    expectVideo(try await server.send(.GET, "/v1/videos/\(id)"), "retrieve")
    let poll = try await server.send(
      .GET, "/v1/videos/\(id)", headers: [("X-Stainless-Poll-Helper", "true")])
    #expect(Int(poll.headers.first(name: "openai-poll-after-ms") ?? "") != nil)
    let early = try await server.send(
      .GET, "/v1/videos/\(id)/content", headers: [("Accept", "application/binary")])
    #expect([400, 404, 409].contains(early.status) && early.error["message"] is String)
    let gone = try await server.send(.DELETE, "/v1/videos/\(id)")
    #expect(gone.json["id"] as? String == id && gone.json["deleted"] as? Bool == true)
    #expect(gone.json["object"] as? String == "video.deleted")
    for (method, path) in [
      (.GET, id), (.DELETE, id), (.GET, id + "/content"), (.GET, "characters/char_none"),
    ] as [(HTTPMethod, String)] {
      let answer = try await server.send(method, "/v1/videos/" + path)
      #expect(answer.status == 404 && answer.error["message"] is String, "\(method) \(path)")
      #expect(answer.json["error"] != nil && answer.error.keys.contains("param"))
    }
    try await server.stop()
  }

  @Test func `Lists have all five keys, and bounds of 0 to 100`() async throws {
    let server = try await paused()
    let empty = try await server.send(.GET, "/v1/videos").json
    #expect(Set(empty.keys).isSuperset(of: ["object", "data", "first_id", "last_id", "has_more"]))
    #expect(empty["object"] as? String == "list" && empty["has_more"] as? Bool == false)
    for _ in 0..<2 { _ = try await server.send(.POST, "/v1/videos", json: ["prompt": "x"]) }
    for limit in [0, 1, 100] {
      let data = try await server.send(.GET, "/v1/videos?limit=\(limit)").json["data"] as? [Any]
      #expect(data?.count == min(2, limit))
    }
    for wrong in ["limit=-1", "limit=101", "order=newest"] {
      let answer = try await server.send(.GET, "/v1/videos?" + wrong)
      expectRefusal(answer, wrong.hasPrefix("limit") ? "limit" : "order", wrong)
    }
    try await server.stop()
  }

  @Test func `Characters have names of 1 to 80 characters and a clip`() async throws {
    let server = try await TestServer()
    let clip = try server.clip()
    for name in ["a", String(repeating: "n", count: 80)] {
      let made = try await server.send(
        .POST, "/v1/videos/characters", form: [("name", name), ("video", clip)])
      #expect(made.status == 200 && made.json["name"] as? String == name, "\(made.json)")
      #expect(made.json["created_at"] is Int && !made.id.isEmpty)
    }
    for name in ["", String(repeating: "n", count: 81)] {
      let refused = try await server.send(
        .POST, "/v1/videos/characters", form: [("name", name), ("video", clip)])
      expectRefusal(refused, "name", "\(name.count) characters")
    }
    let bodiless = try await server.send(.POST, "/v1/videos/characters", form: [("name", "a")])
    expectRefusal(bodiless, "video", "no clip")
    try await server.stop()
  }
}
