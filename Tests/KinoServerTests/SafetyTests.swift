import AsyncHTTPClient
import Crypto
import Foundation
import Kino
import KinoMedia
import KinoTestSupport
import NIOCore
import NIOHTTP1
import Testing

@testable import KinoServer

@Suite struct SafetyTests {
  @Test func `Without loopback there must be keys, and each sees its own videos only`() async throws
  {
    await #expect(throws: ServerError.self) { _ = try await TestServer { $0.host = "0.0.0.0" } }
    let place = try await TestServer()
    try await place.stop()
    let ring = try KeyRing(folder: place.data)
    let (ann, bob) = (try await ring.add("Ann"), try await ring.add("Bob"))
    let server = try await TestServer(folder: place.folder) { $0.host = "0.0.0.0" }
    let address = server.address.replacingOccurrences(of: "0.0.0.0", with: "127.0.0.1")
    func send(_ key: String?, _ path: String) async throws -> Int {
      var request = HTTPClientRequest(url: address + path)
      if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
      return Int(try await HTTPClient.shared.execute(request, timeout: .seconds(60)).status.code)
    }
    for key in [nil, "", "x", "kino_a_b", ann + "0", String(ann.dropLast()), ann.uppercased()] {
      #expect(try await send(key, "/v1/videos") == 401, "\(key ?? "none")")
    }
    #expect(try await send(ann, "/v1/videos") == 200)
    let made = try await server.send(
      .POST, "/v1/videos", json: quick, headers: [("Authorization", "Bearer \(ann)")])
    #expect(made.status == 200)
    #expect(try await send(ann, "/v1/videos/\(made.id)") == 200)
    for path in ["", "/content", "/events"] {
      #expect(try await send(bob, "/v1/videos/\(made.id)\(path)") == 404)
    }
    for (path, body) in [
      ("cancel", [:]), ("remix", ["prompt": "x"]), ("move", [:]),
    ] as [(String, [String: String])] {
      let answer = try await server.send(
        .POST, "/v1/videos/\(made.id)/\(path)", json: body,
        headers: [("Authorization", "Bearer \(bob)")])
      #expect(answer.status == 404 || answer.status == 409, "\(path) \(answer.status)")
    }
    let stolen = try await server.send(
      .POST, "/v1/videos/reversals", json: ["video": ["id": made.id]],
      headers: [("Authorization", "Bearer \(bob)")])
    #expect(stolen.status == 404)
    #expect(try await ring.revoke("Ann") == 1)
    #expect(try await send(ann, "/v1/videos") == 401)
    let entries = try await ring.entries()
    #expect(entries.map(\.name) == ["Ann", "Bob"] && entries[0].revokedAt != nil)
    try await server.stop()
  }

  @Test func `Other sites' pages and names that are pointed here are refused`() async throws {
    let server = try await TestServer()
    let foreign = try await server.send(
      .POST, "/v1/videos", json: quick, headers: [("Origin", "https://evil.example")])
    #expect(foreign.status == 403)
    let own = try await server.send(
      .POST, "/v1/queue", json: ["paused": false], headers: [("Origin", server.address)])
    #expect(own.status == 200)
    let renamed = try await server.send(.GET, "/v1/videos", headers: [("Host", "evil.example")])
    #expect(renamed.status == 403)
    let page = try await server.send(.GET, "/")
    #expect(page.headers.first(name: "x-frame-options") == "DENY")
    #expect(page.headers.first(name: "x-content-type-options") == "nosniff")
    #expect(
      page.headers.first(name: "content-security-policy")?.contains("default-src 'none'") == true)
    try await server.stop()
  }

  @Test func `What is no request gets an answer of the right kind, and nothing stays`() async throws
  {
    let server = try await TestServer {
      $0.limits.uploadBytes = 1 << 20
      $0.limits.fieldBytes = 1 << 20
    }
    let form = ("Content-Type", "multipart/form-data; boundary=edge")
    func post(_ body: String, _ header: (String, String)) async throws -> Int {
      try await server.send(
        .POST, "/v1/videos", headers: [header], body: ByteBuffer(string: body)
      ).status
    }
    let json = ("Content-Type", "application/json")
    #expect(try await post("{", json) == 400)
    #expect(try await post("[1]", json) == 400)
    #expect(try await post("\u{FEFF}{\"prompt\": 1", json) == 400)
    #expect(try await post(String(repeating: "[", count: 100_000), json) == 400)
    #expect(try await post("x", ("Content-Type", "text/plain")) == 415)
    #expect(try await post("x", ("Content-Type", "multipart/form-data")) == 400)
    #expect(try await post("no form", form) == 400)
    #expect(
      try await post("--edge\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx", form)
        == 400)
    #expect(
      try await post(
        "--edge\r\nContent-Disposition: form-data; name=\"a[b\"\r\n\r\nx\r\n--edge--\r\n", form)
        == 400)
    #expect(
      try await post(
        String(
          repeating: "--edge\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n",
          count: 2)
          + "--edge--\r\n", form) == 400)
    #expect(try await post(String(repeating: "x", count: 3 << 20), json) == 413)
    let large = try await server.send(
      .POST, "/v1/files", form: [("file", Data(repeating: 7, count: 2 << 20))])
    #expect(large.status == 413)
    for junk in [
      Data(), Data([0xFF, 0xD8, 0xFF]), Data("#EXTM3U\nfile:///etc/passwd\n".utf8),
      Data("ffconcat version 1.0\nfile /etc/passwd\n".utf8),
    ] {
      let refused = try await server.send(.POST, "/v1/files", form: [("file", junk)])
      #expect(refused.status == 400, "\(refused.json)")
      #expect(!String(decoding: refused.data, as: UTF8.self).contains(server.folder.url.path))
    }
    for path in [
      "/studio/..%2f..%2fetc%2fpasswd", "/studio/x.js", "/v1/videos/..", "/v1/nothing", "/x",
    ] {
      #expect(try await server.send(.GET, path).status == 404, "\(path)")
    }
    for id in ["file_x", "../server.sqlite", "/etc/passwd", "video_x", "char_x", ""] {
      let answer = try await server.send(
        .POST, "/v1/videos/reversals", json: ["video": ["id": id]])
      #expect((400...404).contains(answer.status), "\(id) \(answer.json)")
      let path =
        [
          "verb": "reverse", "timeline": [["media": ["path": id, "start": 0, "reversed": true]]],
          "size": NSNull(), "fit": "crop", "negative_prompt": "", "sound": true,
        ] as [String: Any]
      let raw = try await server.send(.POST, "/v1/videos", json: ["composition": path])
      #expect((400...404).contains(raw.status), "\(id) \(raw.json)")
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: server.data.path + "/uploads")
    #expect(left.isEmpty, "\(left)")
    try await server.stop()
  }

  @Test func `Only addresses of the open internet are asked`() throws {
    let closed = [
      "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1",
      "172.31.255.255", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.9",
      "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
      "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ]
    for text in closed { #expect(try !#require(InternetAddress(text)).isPublic, "\(text)") }
    for text in [
      "1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8",
    ] {
      #expect(try #require(InternetAddress(text)).isPublic, "\(text)")
    }
    for text in ["", "localhost", "1.2.3", "1.2.3.4.5", "0x7f.1"] {
      #expect(InternetAddress(text) == nil)
    }
  }

  @Test func `A file of a URL is fetched with bounds, and redirections are checked`() async throws {
    let server = try await TestServer()
    let made = try await server.send(.POST, "/v1/files", form: [("file", try server.picture())])
    let folder = try DataFolder(server.folder["other"])
    let url = server.address + "/v1/files/\(made.id)/content"
    var remote = RemoteFile()
    await #expect(throws: APIError.self) {
      _ = try await remote.fetch(url, field: "x", into: folder)
    }
    remote.allows = { _ in true }
    let file = try await remote.fetch(url, field: "x", into: folder)
    #expect(try Data(contentsOf: file.url) == server.picture())
    remote.limit = 10
    await #expect(throws: APIError.self) {
      _ = try await remote.fetch(url, field: "x", into: folder)
    }
    await #expect(throws: APIError.self) {
      _ = try await remote.fetch(server.address + "/nothing", field: "x", into: folder)
    }
    try await server.stop()
  }

  @Test func `Webhooks are signed as Standard Webhooks has it`() throws {
    // The example of the specification's own libraries.
    let signer = try #require(WebhookSigner(secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    let headers = signer.headers(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: "{\"test\": 2432232314}")
    let signature = headers.first { $0.0 == "webhook-signature" }?.1
    #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    #expect(WebhookSigner(secret: "secret") == nil && WebhookSigner(secret: "whsec_AAAA") == nil)
    #expect(WebhookSigner(secret: WebhookSigner.makeSecret()) != nil)
  }

  @Test(arguments: 1...40) func `A form is read the same however it is cut`(size: Int) throws {
    let text =
      "preamble\r\n--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--edg\r\n--edge\r\n"
      + "Content-Disposition: form-data; name=\"f\"; filename=\"x \\\"y\\\".png\"\r\nContent-Type: a/b\r\n\r\n"
      + "\r\n--edge--\r\nafter"
    var parser = try #require(
      MultipartParser(contentType: "multipart/form-data; boundary=\"edge\""))
    var events: [MultipartParser.Event] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: size) {
      events += try parser.read(bytes[start..<min(start + size, bytes.count)])
    }
    #expect(parser.isComplete)
    var parts: [(String, String?, String)] = []
    for event in events {
      switch event {
      case .begin(let name, let file): parts.append((name, file, ""))
      case .bytes(let bytes): parts[parts.count - 1].2 += String(decoding: bytes, as: UTF8.self)
      case .end: break
      }
    }
    #expect(parts.map(\.0) == ["a", "f"])
    #expect(parts.map(\.1) == [nil, "x \"y\".png"])
    #expect(parts.map(\.2) == ["\r\n--edg", ""])
  }
}
