import Foundation
import Kino
import KinoMedia
import KinoTestSupport
import NIOHTTP1
import Testing

@testable import KinoServer

@Suite struct VideosAPITests {
  @Test func `A video that has just ended is at 100 percent, whatever was last said of its steps`()
    throws
  {
    func shown(_ status: JobStatus) throws -> [String: Any] {
      let job = Job(
        id: "video_1", owner: "me", position: 1, status: status, createdAt: 1,
        composition: .generate("a red ball"), settings: SamplingSettings(), model: "m",
        format: "mp4", size: "64x64", seconds: 1, progress: status == .completed ? 100 : 0)
      let last = EventHub.Progress(percent: 99, step: 2, steps: 2, secondsLeft: 0.4)
      let text = try JSONEncoder().encode(VideoObject(job: job, progress: last))
      return try #require(JSONSerialization.jsonObject(with: text) as? [String: Any])
    }
    #expect(try shown(.completed)["progress"] as? Int == 100)
    let details = try #require(try shown(.completed)["kino"] as? [String: Any])
    #expect(details["seconds_left"] == nil && details["step"] == nil)
    #expect(try shown(.running)["progress"] as? Int == 99)
  }

  @Test func `A video is made from words, and all that the API says of it is there`() async throws {
    let server = try await TestServer()
    let created = try await server.send(.POST, "/v1/videos", json: quick)
    #expect(created.status == 200, "\(created.json)")
    #expect(created.json["object"] as? String == "video")
    #expect(created.headers.first(name: "openai-poll-after-ms") != nil)
    for key in [
      "id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at",
      "prompt", "size", "seconds", "remixed_from_video_id", "error",
    ] {
      #expect(created.json.keys.contains(key), "\(key)")
    }
    let video = try await server.finished(created.id)
    #expect(video.json["status"] as? String == "completed", "\(video.json)")
    #expect(video.json["progress"] as? Int == 100)
    #expect(video.json["seconds"] as? String == "1.125")
    #expect(video.json["completed_at"] is Int)

    let content = try await server.send(.GET, "/v1/videos/\(created.id)/content")
    #expect(content.headers.first(name: "content-type") == "video/mp4")
    let file = server.folder["result.mp4"]
    try content.data.write(to: file)
    let clip = try Clip.read(file.path)
    #expect(clip.frameCount == 9 && clip.size == FrameSize(64, 64))
    for (variant, type) in [("thumbnail", "image/webp"), ("spritesheet", "image/jpeg")] {
      let picture = try await server.send(
        .GET, "/v1/videos/\(created.id)/content?variant=\(variant)")
      #expect(picture.headers.first(name: "content-type") == type && picture.data.count > 50)
    }
    let wrong = try await server.send(.GET, "/v1/videos/\(created.id)/content?variant=x")
    #expect(wrong.status == 400 && wrong.error["param"] as? String == "variant")
    try await server.stop()
  }

  @Test func `Players read parts of a file`() async throws {
    let server = try await TestServer()
    let id = try await server.send(.POST, "/v1/videos", json: quick).id
    _ = try await server.finished(id)
    let path = "/v1/videos/\(id)/content"
    let whole = try await server.send(.GET, path).data
    let part = try await server.send(.GET, path, headers: [("Range", "bytes=10-19")])
    #expect(part.status == 206 && part.data == whole[10..<20])
    #expect(part.headers.first(name: "content-range") == "bytes 10-19/\(whole.count)")
    let tail = try await server.send(.GET, path, headers: [("Range", "bytes=-5")])
    #expect(tail.data == whole.suffix(5))
    let beyond = try await server.send(.GET, path, headers: [("Range", "bytes=\(whole.count)-")])
    #expect(beyond.status == 416)
    try await server.stop()
  }

  @Test func `Lists come in pages, in both orders`() async throws {
    let server = try await TestServer()
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    var ids: [String] = []
    for _ in 0..<5 { ids.append(try await server.send(.POST, "/v1/videos", json: quick).id) }
    func page(_ query: String) async throws -> (ids: [String], hasMore: Bool) {
      let answer = try await server.send(.GET, "/v1/videos?" + query).json
      let data = answer["data"] as? [[String: Any]] ?? []
      #expect(answer["first_id"] as? String == data.first?["id"] as? String)
      #expect(answer["last_id"] as? String == data.last?["id"] as? String)
      return (data.compactMap { $0["id"] as? String }, answer["has_more"] as? Bool ?? false)
    }
    let first = try await page("limit=2&order=asc")
    #expect(first.ids == Array(ids[0..<2]) && first.hasMore)
    let second = try await page("limit=3&order=asc&after=\(ids[1])")
    #expect(second.ids == Array(ids[2..<5]) && !second.hasMore)
    let newest = try await page("")
    #expect(newest.ids == ids.reversed())
    #expect(try await page("limit=0").ids.isEmpty)
    for wrong in ["limit=101", "limit=x", "order=up", "after=video_none"] {
      #expect(try await server.send(.GET, "/v1/videos?" + wrong).status == 400, "\(wrong)")
    }
    try await server.stop()
  }

  @Test func `Every verb is served, from JSON and from forms`() async throws {
    let server = try await TestServer()
    let clip = try await server.send(.POST, "/v1/files", form: [("file", try server.clip())])
    #expect(clip.json["kind"] as? String == "clip", "\(clip.json)")
    let picture = try await server.send(.POST, "/v1/files", form: [("file", try server.picture())])
    #expect(picture.json["kind"] as? String == "picture")
    let (video, still): ([String: Any], [String: Any]) = (["id": clip.id], ["file_id": picture.id])
    let plain: [String: Any] = ["steps": 2, "precision": "f32"]
    let wanted: [(String, [String: Any])] = [
      ("/v1/videos/edits", ["prompt": "a blue ball", "video": video]),
      ("/v1/videos/extensions", ["prompt": "on", "seconds": "1", "video": video]),
      ("/v1/videos/extensions", ["seconds": 1, "video": video, "side": "before"]),
      ("/v1/videos/pictures", ["prompt": "a red ball"]),
      ("/v1/videos/animations", ["input_reference": still, "seconds": 1]),
      ("/v1/videos/loops", ["video": video]),
      ("/v1/videos/connections", ["first": video, "second": video]),
      (
        "/v1/videos/storyboards", ["storyboard": "shots:\n  - prompt: a red ball\n    seconds: 1\n"]
      ),
      ("/v1/videos/reversals", ["video": video]),
      ("/v1/videos/upscales", ["video": video, "size": "96x96"]),
      ("/v1/videos", ["prompt": "a ball", "seconds": "2", "loop": true]),
      ("/v1/videos", ["prompt": "a ball", "seconds": 1, "last_frame": still]),
    ]
    for (path, fields) in wanted {
      let made = try await server.send(.POST, path, json: fields.merging(plain) { $1 })
      #expect(made.status == 200, "\(path) \(made.json)")
      let done = try await server.finished(made.id)
      #expect(done.json["status"] as? String == "completed", "\(path) \(done.json)")
    }
    let short = try await server.send(
      .POST, "/v1/videos/edits", json: ["prompt": "x", "video": video, "from": 99])
    #expect(short.status == 400, "\(short.json)")
    #expect(!String(decoding: short.data, as: UTF8.self).contains(server.folder.url.path))
    // As OpenAI's own client sends them: nested names in brackets.
    let extended = try await server.send(
      .POST, "/v1/videos/extensions",
      form: [("prompt", "on"), ("seconds", "1"), ("video[id]", clip.id), ("steps", "2")])
    #expect(extended.status == 200, "\(extended.json)")
    let animated = try await server.send(
      .POST, "/v1/videos",
      form: [("prompt", "a ball"), ("input_reference", try server.picture()), ("steps", "2")])
    #expect(animated.status == 200, "\(animated.json)")
    let url = "data:image/png;base64," + (try server.picture()).base64EncodedString()
    let linked = try await server.send(
      .POST, "/v1/videos",
      form: [("prompt", "a ball"), ("input_reference[image_url]", url), ("steps", "2")])
    #expect(linked.status == 200, "\(linked.json)")
    // A result is a source too.
    _ = try await server.finished(extended.id)
    let remixed = try await server.send(
      .POST, "/v1/videos/\(extended.id)/remix", json: ["prompt": "a green ball", "steps": 2])
    #expect(remixed.json["remixed_from_video_id"] as? String == extended.id, "\(remixed.json)")
    let done = try await server.finished(remixed.id)
    #expect(done.json["seconds"] as? String == "2.125")
    try await server.stop()
  }

  @Test func `A recipe of a served video names no path of the server`() async throws {
    let server = try await TestServer()
    let file = try await server.send(.POST, "/v1/files", form: [("file", try server.clip())])
    let made = try await server.send(
      .POST, "/v1/videos/reversals", json: ["video": ["id": file.id]])
    let done = try await server.finished(made.id)
    let text = String(decoding: done.data, as: UTF8.self)
    #expect(text.contains("file.bin") && !text.contains(server.folder.url.path))
    let content = try await server.send(.GET, "/v1/videos/\(made.id)/content").data
    #expect(!String(decoding: content, as: UTF8.self).contains(server.folder.url.path))
    try await server.stop()
  }

  @Test func `A dry run plans and makes nothing`() async throws {
    let server = try await TestServer()
    let plan = try await server.send(
      .POST, "/v1/videos", json: quick.merging(["dry_run": true]) { $1 })
    #expect(plan.json["object"] as? String == "video.plan", "\(plan.json)")
    #expect((plan.json["plan"] as? [String: Any])?["frames"] as? Int == 9)
    let list = try await server.send(.GET, "/v1/videos").json
    #expect((list["data"] as? [Any])?.isEmpty == true)
    try await server.stop()
  }

  @Test func `Variations are jobs with seeds in a row`() async throws {
    let server = try await TestServer()
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    _ = try await server.send(.POST, "/v1/videos", json: quick.merging(["n": 3, "seed": 7]) { $1 })
    let list = try await server.send(.GET, "/v1/videos?order=asc").json["data"] as? [[String: Any]]
    let details = list?.compactMap { $0["kino"] as? [String: Any] } ?? []
    #expect(details.compactMap { $0["seed"] as? Int } == [7, 8, 9])
    #expect(Set(details.compactMap { $0["batch"] as? String }).count == 1)
    try await server.stop()
  }

  @Test func `Characters have names, and no model pretends to know them`() async throws {
    let server = try await TestServer()
    let made = try await server.send(
      .POST, "/v1/videos/characters", form: [("name", "Bobo"), ("video", try server.clip())])
    #expect(made.json["name"] as? String == "Bobo", "\(made.json)")
    let found = try await server.send(.GET, "/v1/videos/characters/\(made.id)")
    #expect(found.id == made.id && found.json["created_at"] is Int)
    let refused = try await server.send(
      .POST, "/v1/videos", json: ["prompt": "Bobo", "characters": [["id": made.id]]])
    #expect(refused.status == 400 && refused.error["param"] as? String == "characters")
    let nameless = try await server.send(
      .POST, "/v1/videos/characters", form: [("name", ""), ("video", try server.clip())])
    #expect(nameless.status == 400 && nameless.error["param"] as? String == "name")
    try await server.stop()
  }

  @Test(
    arguments: [
      ("prompt", [:]), ("prompt", ["prompt": ""]), ("prompt", ["prompt": ["a"]]),
      ("size", ["prompt": "x", "size": "12"]), ("size", ["prompt": "x", "size": "9999x9999"]),
      ("size", ["prompt": "x", "size": "0x0"]), ("seconds", ["prompt": "x", "seconds": "long"]),
      ("seconds", ["prompt": "x", "seconds": 1e9]), ("seconds", ["prompt": "x", "seconds": -1]),
      ("steps", ["prompt": "x", "steps": 0]), ("steps", ["prompt": "x", "steps": 1.5]),
      ("guidance", ["prompt": "x", "guidance": -1]), ("seed", ["prompt": "x", "seed": -1]),
      ("n", ["prompt": "x", "n": 100]), ("model", ["prompt": "x", "model": "gpt"]),
      ("fps", ["prompt": "x", "fps": "fast"]), ("fit", ["prompt": "x", "fit": "x"]),
      ("format", ["prompt": "x", "format": "exe"]), ("sampler", ["prompt": "x", "sampler": "x"]),
      ("precision", ["prompt": "x", "precision": "f8"]), ("extra", ["prompt": "x", "extra": 1]),
      ("composition", ["composition": ["verb": "x"]]),
      ("input_reference", ["prompt": "x", "input_reference": ["a": 1, "b": 2]]),
      ("input_reference", ["prompt": "x", "input_reference": ["image_url": "file:///etc/passwd"]]),
      (
        "input_reference", ["prompt": "x", "input_reference": ["image_url": "http://127.0.0.1:1/"]]
      ),
      (
        "input_reference",
        ["prompt": "x", "input_reference": ["image_url": "data:image/png;base64,AA"]]
      ),
    ] as [(String, [String: any Sendable])])
  func `A field that can't be is refused by its name`(
    _ parameter: String, _ fields: [String: any Sendable]
  ) async throws {
    let server = try await TestServer()
    let answer = try await server.send(.POST, "/v1/videos", json: fields)
    #expect(answer.status == 400, "\(answer.json)")
    #expect(answer.error["param"] as? String == parameter, "\(answer.json)")
    #expect(answer.error["type"] as? String == "invalid_request_error")
    #expect((answer.error["message"] as? String)?.isEmpty == false)
    try await server.stop()
  }
}
