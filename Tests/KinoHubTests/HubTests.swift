import Crypto
import Foundation
import KinoTestSupport
import Synchronization
import Testing

@testable import KinoHub

/// Fetching from a hub on this machine, which is not always a good one.
@Suite struct HubTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let commit = String(repeating: "ab", count: 20)
  private static let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 * $0 >> 3) }
  private static let small = Array("{\"a\": 1}".utf8)

  private static func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
    digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private static func listing(
    path: String = "vae/model.safetensors", bytes: Int = large.count, hash: String? = nil
  ) -> String {
    let sha = hash ?? hexadecimal(SHA256.hash(data: Data(large)))
    let blob = hexadecimal(Insecure.SHA1.hash(data: Data("blob \(small.count)\0".utf8) + small))
    return """
      {"sha": "\(commit)", "siblings": [
        {"rfilename": "model_index.json", "size": \(small.count), "blobId": "\(blob)"},
        {"rfilename": "README.md", "size": 3, "blobId": "\(blob)"},
        {"rfilename": "\(path)", "size": \(bytes), "blobId": "\(commit)",
         "lfs": {"sha256": "\(sha)", "size": \(bytes), "pointerSize": 134}}]}
      """
  }

  private static func answer(
    _ bytes: some Sequence<UInt8>, length: Int? = nil, range: String? = nil
  ) -> [LoopbackServer.Part] {
    let body = Array(bytes)
    let head =
      range.map { "HTTP/1.1 206 Partial Content\r\nContent-Range: \($0)\r\n" }
      ?? "HTTP/1.1 200 OK\r\n"
    return [
      .text(head + "Content-Length: \(length ?? body.count)\r\nConnection: close\r\n\r\n"),
      .bytes(body),
    ]
  }

  /// A hub whose large file is sent as told; everything else is as it should be.
  private static func server(
    listing: String = listing(), large: @escaping @Sendable (String) -> [LoopbackServer.Part]
  ) throws -> LoopbackServer {
    try LoopbackServer { request in
      if request.hasPrefix("GET /api/models/") { return LoopbackServer.json(listing) }
      if request.contains("/model_index.json ") { return answer(small) }
      return large(request)
    }
  }

  private static func range(of request: String) -> Int {
    request.split(separator: "\r\n").first { $0.lowercased().hasPrefix("range: bytes=") }
      .flatMap { Int($0.dropFirst(13).dropLast()) } ?? 0
  }

  private static func rest(_ request: String) -> [LoopbackServer.Part] {
    let start = range(of: request)
    if start == 0 { return answer(large) }
    return answer(
      large[start...], range: "bytes \(start)-\(large.count - 1)/\(large.count)")
  }

  private func hub(_ server: LoopbackServer, token: String? = nil) throws -> Hub {
    var hub = try Hub(
      endpoint: "http://127.0.0.1:\(server.port)/", token: token, cache: folder.url)
    // Other tests may leave this one waiting.
    hub.patienceSeconds = 600
    return hub
  }

  private func pull(_ hub: Hub) async throws -> URL {
    let repository = try await hub.repository("some/thing")
    return try await hub.fetch(repository.needed(), of: repository)
  }

  private func content(_ place: URL, _ path: String = "vae/model.safetensors") throws -> [UInt8] {
    [UInt8](try Data(contentsOf: place.appendingPathComponent(path)))
  }

  private var blobs: URL { folder.url.appendingPathComponent("models--some--thing/blobs") }

  @Test func `Files lie as the hub's clients keep them, and are fetched once`() async throws {
    let server = try Self.server(large: Self.rest)
    let place = try await pull(hub(server))
    #expect(place.path.hasSuffix("models--some--thing/snapshots/\(Self.commit)"))
    #expect(try content(place) == Self.large && content(place, "model_index.json") == Self.small)
    #expect(!FileManager.default.fileExists(atPath: place.appendingPathComponent("README.md").path))
    let reference = folder.url.appendingPathComponent("models--some--thing/refs/main")
    #expect(try String(contentsOf: reference, encoding: .utf8) == Self.commit)
    #expect(
      try FileManager.default.destinationOfSymbolicLink(
        atPath: place.appendingPathComponent("vae/model.safetensors").path
      ).hasPrefix("../../../blobs/"))
    let count = server.requests.count
    #expect(try await pull(hub(server)) == place)
    #expect(server.requests.count == count + 1)
  }

  @Test func `Where a transfer breaks off, the next goes on`() async throws {
    let starts = Mutex<[Int]>([])
    let server = try Self.server { request in
      let start = Self.range(of: request)
      starts.withLock { $0.append(start) }
      let end = min(start + 90_000, Self.large.count)
      return Self.answer(
        Self.large[start..<end], length: Self.large.count - start,
        range: start == 0 ? nil : "bytes \(start)-\(Self.large.count - 1)/\(Self.large.count)")
    }
    #expect(try await content(pull(hub(server))) == Self.large)
    #expect(starts.withLock { $0.count } >= 4 && starts.withLock { $0.first } == 0)
  }

  @Test func `A hub that stands still is left, and what came is taken up later`() async throws {
    let server = try Self.server { request in
      let start = Self.range(of: request)
      if start > 0 { return [] }
      return Self.answer(Self.large[..<100_000], length: Self.large.count)
    }
    let error = await #expect(throws: HubError.self) { try await pull(hub(server)) }
    #expect(error?.code == .unreachable && server.requests.count < 12)
    let parts = try FileManager.default.contentsOfDirectory(atPath: blobs.path)
      .filter { $0.hasSuffix(".incomplete") }
    #expect(parts.count == 1)
    let starts = Mutex<[Int]>([])
    let good = try Self.server { request in
      starts.withLock { $0.append(Self.range(of: request)) }
      return Self.rest(request)
    }
    #expect(try await content(pull(hub(good))) == Self.large)
    #expect(starts.withLock { $0.first } ?? 0 > 0)
  }

  @Test func `Sizes and contents that are not the listed ones are refused`() async throws {
    let other = Self.large.map { $0 &+ 1 }
    let cases: [(String, @Sendable (String) -> [LoopbackServer.Part], HubError.Code)] = [
      (Self.listing(), { _ in Self.answer(Self.large.dropLast()) }, .badAnswer),
      (Self.listing(), { _ in Self.answer(Self.large + [1]) }, .badAnswer),
      (Self.listing(bytes: 1000), { _ in Self.answer(Self.large) }, .badAnswer),
      (Self.listing(), { _ in Self.answer(other) }, .damaged),
      (
        Self.listing(),
        { _ in
          [.text("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), .bytes(Self.large + Self.large)]
        }, .badAnswer
      ),
      (Self.listing(path: "../../evil.json"), { _ in [] }, .badAnswer),
      (Self.listing(hash: "../../../evil"), { _ in [] }, .badAnswer),
      ("[]", { _ in [] }, .badAnswer),
    ]
    for (listing, large, code) in cases {
      let server = try Self.server(listing: listing, large: large)
      let error = await #expect(throws: HubError.self) { try await pull(hub(server)) }
      #expect(error?.code == code)
      let place = folder.url.appendingPathComponent(
        "models--some--thing/snapshots/\(Self.commit)/vae/model.safetensors")
      #expect(!FileManager.default.fileExists(atPath: place.path))
    }
  }

  @Test func `Another host gets the request, and not the token`() async throws {
    let store = try LoopbackServer { Self.rest($0) }
    let server = try Self.server { _ in
      [
        .text(
          "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:\(store.port)/x?sign=1\r\n"
            + "Content-Length: 0\r\nConnection: close\r\n\r\n")
      ]
    }
    #expect(try await content(pull(hub(server, token: "secret"))) == Self.large)
    #expect(server.requests.allSatisfy { $0.contains("Bearer secret") })
    #expect(store.requests.count == 1 && store.requests.allSatisfy { !$0.contains("secret") })
    // Round and round.
    let circle = try Self.server { _ in
      [
        .text(
          "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      ]
    }
    let other = try TemporaryFolder()
    let hub = try Hub(endpoint: "http://127.0.0.1:\(circle.port)", cache: other.url)
    let error = await #expect(throws: HubError.self) { try await pull(hub) }
    #expect(error?.code == .badAnswer && circle.requests.count < 12)
  }

  @Test(arguments: [("401 Unauthorized", "HF_TOKEN"), ("404 Not Found", "check the name")])
  func `A refusal says what to do`(status: String, words: String) async throws {
    let server = try LoopbackServer(answering: LoopbackServer.json("{}", status: status))
    let error = await #expect(throws: HubError.self) { try await pull(hub(server)) }
    #expect(error?.code == .notFound && error?.details.contains(words) == true)
  }

  @Test(arguments: ["", "a", "a/b/c", "../x", "a/.b", "a b/c", "a/b?c"])
  func `What is no repository is refused before any request`(name: String) async throws {
    let server = try Self.server { _ in [] }
    let error = await #expect(throws: HubError.self) {
      try await hub(server).repository(name)
    }
    #expect(error?.code == .invalidRequest && server.requests.isEmpty)
    #expect(throws: HubError.self) { try Hub(endpoint: "ftp://x", cache: folder.url) }
  }

  @Test func `A form's own files are chosen, and of a choice one is asked for`() throws {
    func repository(_ paths: String...) throws -> HubRepository {
      let siblings = paths.map {
        #"{"rfilename": "\#($0)", "size": 1, "blobId": "\#(Self.commit)"}"#
      }
      let text = #"{"sha": "\#(Self.commit)", "siblings": [\#(siblings.joined(separator: ","))]}"#
      let listing = try JSONDecoder().decode(HubRepository.Listing.self, from: Data(text.utf8))
      return try #require(HubRepository("a/b", revision: "main", listing))
    }
    let original = try repository(
      "config.json", "Wan2.1_VAE.pth", "models_t5.pth", "google/umt5-xxl/spiece.model",
      "google/umt5-xxl/tokenizer.json", "xlm-roberta-large/sentencepiece.bpe.model", "README.md",
      "assets/a.png")
    #expect(
      try original.needed().map(\.path) == [
        "Wan2.1_VAE.pth", "config.json", "google/umt5-xxl/spiece.model", "models_t5.pth",
      ])
    let choice = try repository("HighNoise/a-Q4_0.gguf", "HighNoise/a-Q8_0.gguf")
    var error = #expect(throws: HubError.self) { try choice.needed() }
    #expect(error?.code == .ambiguous && error?.details.contains("a/b:FILE") == true)
    #expect(try choice.needed("HighNoise/a-Q8_0.gguf").count == 1)
    error = #expect(throws: HubError.self) { try choice.needed("b.gguf") }
    #expect(error?.code == .notFound && error?.details.contains("a-Q4_0.gguf") == true)
  }
}
