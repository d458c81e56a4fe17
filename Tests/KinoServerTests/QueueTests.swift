import Foundation
import Kino
import KinoMedia
import KinoTestSupport
import NIOHTTP1
import Testing

@testable import KinoServer

@Suite struct QueueTests {
  @Test(.timeLimit(.minutes(5)))
  func `A video that is being made can be cancelled, and the next is made`()
    async throws
  {
    let server = try await TestServer()
    let long = try await server.send(.POST, "/v1/videos", json: endless)
    let short = try await server.send(.POST, "/v1/videos", json: quick)
    while try await server.send(.GET, "/v1/videos/\(long.id)").json["status"] as? String == "queued"
    {
      try await Task.sleep(for: .milliseconds(20))
    }
    let stopped = try await server.send(.POST, "/v1/videos/\(long.id)/cancel")
    #expect(stopped.json["status"] as? String == "failed", "\(stopped.json)")
    #expect((stopped.json["error"] as? [String: Any])?["code"] as? String == "cancelled")
    let again = try await server.send(.POST, "/v1/videos/\(long.id)/cancel")
    #expect(again.status == 200)
    #expect(try await server.finished(short.id).json["status"] as? String == "completed")
    let left = try FileManager.default.contentsOfDirectory(atPath: server.data.path + "/videos")
    #expect(left.allSatisfy { $0.hasPrefix(short.id) }, "\(left)")
    try await server.stop()
  }

  @Test(.timeLimit(.minutes(5)))
  func `A video is cancelled at any moment, twice, and the next is made`()
    async throws
  {
    let server = try await TestServer()
    var kept: Set<String> = []
    // From before the first step, over steps, decoding and writing, to after the end.
    for delay in stride(from: 0, to: 400, by: 25) {
      let id = try await server.send(.POST, "/v1/videos", json: quick).id
      try await Task.sleep(for: .milliseconds(delay))
      async let first = server.send(.POST, "/v1/videos/\(id)/cancel")
      async let second = server.send(.POST, "/v1/videos/\(id)/cancel")
      #expect(try await [first.status, second.status] == [200, 200])
      let ended = try await server.finished(id)
      let isCompleted = ended.json["status"] as? String == "completed"
      if isCompleted { kept.insert(id) }
      let code = (ended.json["error"] as? [String: Any])?["code"] as? String
      #expect(isCompleted || code == "cancelled", "\(delay) ms: \(ended.json)")
    }
    let last = try await server.send(.POST, "/v1/videos", json: quick).id
    #expect(try await server.finished(last).json["status"] as? String == "completed")
    let files = try FileManager.default.contentsOfDirectory(atPath: server.data.path + "/videos")
    #expect(Set(files.map { String($0.prefix { $0 != "." }) }) == kept.union([last]))
    #expect(files.count == 3 * (kept.count + 1), "\(files)")
    try await server.stop()
  }

  @Test func `What waits can be moved, changed and removed; a paused queue holds`() async throws {
    let server = try await TestServer()
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    var ids: [String] = []
    for _ in 0..<4 { ids.append(try await server.send(.POST, "/v1/videos", json: quick).id) }
    func order() async throws -> [String] {
      let queue = try await server.send(.GET, "/v1/queue").json
      return (queue["data"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }
    _ = try await server.send(.POST, "/v1/videos/\(ids[3])/move", json: ["before": ids[1]])
    #expect(try await order() == [ids[0], ids[3], ids[1], ids[2]])
    _ = try await server.send(.POST, "/v1/videos/\(ids[0])/move", json: [:])
    #expect(try await order() == [ids[3], ids[1], ids[2], ids[0]])
    let changed = try await server.send(
      .PATCH, "/v1/videos/\(ids[1])", json: ["prompt": "a blue cube", "starred": true])
    #expect(changed.json["prompt"] as? String == "a blue cube", "\(changed.json)")
    #expect((changed.json["kino"] as? [String: Any])?["starred"] as? Bool == true)
    let cleared = try await server.send(
      .PATCH, "/v1/videos/\(ids[1])", json: ["steps": NSNull(), "seed": NSNull()])
    let settings = (cleared.json["kino"] as? [String: Any])?["settings"] as? [String: Any]
    #expect(settings?["steps"] == nil && settings?["seed"] is Int, "\(cleared.json)")
    let wrong = try await server.send(.PATCH, "/v1/videos/\(ids[1])", json: ["steps": 5000])
    #expect(wrong.status == 400)
    let removed = try await server.send(.DELETE, "/v1/videos/\(ids[2])")
    #expect(
      removed.json["deleted"] as? Bool == true
        && removed.json["object"] as? String == "video.deleted")
    #expect(try await server.send(.GET, "/v1/videos/\(ids[2])").status == 404)
    #expect(try await order() == [ids[3], ids[1], ids[0]])
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": false])
    for id in [ids[3], ids[1], ids[0]] {
      #expect(try await server.finished(id).json["status"] as? String == "completed")
    }
    let late = try await server.send(.POST, "/v1/videos/\(ids[0])/move", json: [:])
    #expect(late.status == 409)
    try await server.stop()
  }

  @Test(.timeLimit(.minutes(5))) func `A server that starts again goes on with what it had`()
    async throws
  {
    let first = try await TestServer()
    let done = try await first.send(.POST, "/v1/videos", json: quick).id
    _ = try await first.finished(done)
    let running = try await first.send(
      .POST, "/v1/videos", json: quick.merging(["steps": 200, "frames": 33]) { $1 }
    ).id
    let waiting = try await first.send(.POST, "/v1/videos", json: quick).id
    while try await first.send(.GET, "/v1/videos/\(running)").json["status"] as? String == "queued"
    {
      try await Task.sleep(for: .milliseconds(20))
    }
    try await first.stop()
    try Data([1, 2]).write(to: first.data.appendingPathComponent("videos/video_orphan.mp4"))

    let second = try await TestServer(folder: first.folder)
    #expect(try await second.send(.GET, "/v1/videos/\(done)/content").status == 200)
    for id in [running, waiting] {
      #expect(try await second.finished(id).json["status"] as? String == "completed")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: second.data.path + "/videos")
    #expect(files.count == 9 && !files.contains("video_orphan.mp4"), "\(files)")
    try await second.stop()
  }

  @Test func `Two servers don't share a folder`() async throws {
    let server = try await TestServer()
    await #expect(throws: ServerError.self) { _ = try await TestServer(folder: server.folder) }
    try await server.stop()
  }

  @Test func `What happens comes as events, with previews, and ends with the video`() async throws {
    let server = try await TestServer()
    let made = try await server.send(.POST, "/v1/videos", json: quick)
    let answer = try await server.send(.GET, "/v1/videos/\(made.id)/events")
    #expect(answer.headers.first(name: "content-type") == "text/event-stream")
    var stream = EventStream()
    let events = try stream.read(answer.data)
    let last = try #require(events.last)
    #expect(last.name == "video" && last.data.contains("\"completed\""))
    let records = events.filter { $0.name == "progress" }.compactMap {
      try? JSONDecoder().decode(EventRecord.self, from: Data($0.data.utf8))
    }
    #expect(records.first?.event == "planned" && records.contains { $0.step == 2 })
    try await server.stop()
  }

  @Test func `A queue that is full refuses, and says to wait`() async throws {
    let server = try await TestServer { $0.limits.queuedPerKey = 2 }
    _ = try await server.send(.POST, "/v1/queue", json: ["paused": true])
    for _ in 0..<2 {
      #expect(try await server.send(.POST, "/v1/videos", json: quick).status == 200)
    }
    let refused = try await server.send(.POST, "/v1/videos", json: quick)
    #expect(refused.status == 429 && refused.headers.first(name: "retry-after") != nil)
    #expect(refused.error["type"] as? String == "rate_limit_error")
    try await server.stop()
  }

  @Test func `The command line's studio makes and fetches there what it would make here`()
    async throws
  {
    let server = try await TestServer()
    let studio = try RemoteStudio(server.address)
    let source = server.folder["mine.mp4"]
    try server.clip().write(to: source)
    var settings = SamplingSettings(seed: 5, stepCount: 2)
    settings.precision = .f32
    let composition = Composition.extend(source.path, by: 1, .after, "a ball")
    let plan = try await studio.plan(composition, settings)
    #expect(plan.frames == 17)
    let target = server.folder["there.mp4"].path
    var events: [String] = []
    for try await record in studio.events(of: composition, settings, writingTo: target) {
      events.append(record.event)
    }
    #expect(events.first == "planned" && events.contains("step") && events.last == "wrote")
    let here = try await Studio(model: .folder(server.folder["tiny"]))
    let own = server.folder["here.mp4"].path
    for try await _ in here.events(of: composition, settings, writingTo: own) {}
    let (there, same) = (try Clip.read(target), try Clip.read(own))
    #expect(there == same)
    await #expect(throws: StudioError.self) {
      for try await _ in studio.events(of: composition, settings, writingTo: target) {}
    }
    try await server.stop()
    await #expect(throws: ServerError.self) { _ = try await studio.plan(composition, settings) }
  }
}
