import AsyncHTTPClient
import Foundation
public import Kino
import KinoMedia
internal import KinoSystem
import NIOCore
import NIOHTTP1

/// Makes compositions on another machine that runs `kino serve`: sources go up, what happens comes back, and
/// the file lands here.
public struct RemoteStudio: Sendable {
  private let base: String
  private let key: String?

  /// Names a server.
  ///
  /// - Parameters:
  ///   - address: Its address, such as `http://cellar:8787`.
  ///   - key: A key of it, if it wants one.
  /// - Throws: ``ServerError`` if the address is none.
  public init(_ address: String, key: String? = nil) throws {
    guard let url = URLComponents(string: address), let host = url.host, !host.isEmpty,
      ["http", "https"].contains(url.scheme?.lowercased())
    else {
      throw ServerError(
        .invalidConfiguration,
        "The server's address is '\(address.prefix(200))'; use one such as http://cellar:8787.")
    }
    base = address.hasSuffix("/") ? String(address.dropLast()) : address
    self.key = key
  }

  /// Makes a composition there, and writes the result here.
  ///
  /// Cancelling the task that iterates cancels the job there.
  ///
  /// - Parameters:
  ///   - composition: What to make; its sources are files of this machine.
  ///   - settings: How to sample it.
  ///   - model: The name of a model there; `nil` is its first.
  ///   - path: The file to write here.
  ///   - overwrite: Whether the file may be there already.
  /// - Returns: What happens, as `kino --json` has it; the last is `wrote`.
  public func events(
    of composition: Composition, _ settings: SamplingSettings = SamplingSettings(),
    model: String? = nil, writingTo path: String, overwrite: Bool = false
  ) -> AsyncThrowingStream<EventRecord, any Error> {
    AsyncThrowingStream { continuation in
      let work = Task {
        do {
          try await make(composition, settings, model, path, overwrite) { continuation.yield($0) }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in work.cancel() }
    }
  }

  /// Says what a composition would take there.
  public func plan(
    _ composition: Composition, _ settings: SamplingSettings = SamplingSettings(),
    model: String? = nil
  ) async throws -> Plan {
    try await HTTPClient.withHTTPClient { client in
      let remote = try await uploaded(composition, by: client)
      var body = Body(composition: remote, settings: settings, model: model, format: nil)
      body.isDryRun = true
      let data = try await send(.POST, "/v1/videos", json: body, by: client)
      var answer = try Self.decode(PlanAnswer.self, data)
      answer.plan.warnings = answer.warnings
      return answer.plan
    }
  }

  // MARK: - The exchange

  private struct Body: Encodable {
    let composition: Composition
    let settings: SamplingSettings
    let model: String?
    let format: String?
    var isDryRun = false

    enum CodingKeys: String, CodingKey {
      case composition, settings, model, format
      case isDryRun = "dry_run"
    }
  }

  private struct PlanAnswer: Decodable {
    var plan: Plan
    let warnings: [String]
  }

  private struct Video: Decodable {
    struct Fault: Decodable { let code, message: String }
    struct Details: Decodable { let recipe: Recipe? }
    let id, status: String
    let error: Fault?
    let kino: Details?
  }

  private struct Identified: Decodable { let id: String }
  private struct Refusal: Decodable {
    struct Words: Decodable { let message: String }
    let error: Words
  }

  private func make(
    _ composition: Composition, _ settings: SamplingSettings, _ model: String?, _ path: String,
    _ overwrite: Bool, _ report: @escaping @Sendable (EventRecord) -> Void
  ) async throws {
    let format = try MediaFormat(path: path)
    if !overwrite, FileManager.default.fileExists(atPath: path) {
      throw StudioError(
        .outputExists, "There is a file \(path) already; choose another name, or use --overwrite.")
    }
    // Before any work, as without a server: whether the file can be written.
    let target = try AtomicFile(path: path, overwrite: overwrite)
    try await HTTPClient.withHTTPClient { client in
      let remote = try await uploaded(composition, by: client)
      let body = Body(
        composition: remote, settings: settings, model: model,
        format: format == .jpeg ? "jpg" : format.rawValue)
      let data = try await send(.POST, "/v1/videos", json: body, by: client)
      let id = try Self.decode(Video.self, data).id
      do {
        let video = try await follow(id, by: client, report)
        try await download(id, to: target, by: client)
        var wrote = EventRecord(event: "wrote", path: path)
        (wrote.recipe, wrote.frames) = (video.kino?.recipe, video.kino?.recipe?.frames)
        report(wrote)
      } catch is CancellationError {
        // Outside the task that was cancelled, or it would not be sent.
        await Task { _ = try? await send(.POST, "/v1/videos/\(id)/cancel", by: client) }.value
        throw CancellationError()
      }
    }
  }

  /// Reports what happens to a job until it is complete. A connection that breaks is made anew.
  private func follow(
    _ id: String, by client: HTTPClient, _ report: @escaping @Sendable (EventRecord) -> Void
  ) async throws -> Video {
    var failures = 0
    var seen: Set<EventRecord> = []
    while true {
      do {
        var request = request(.GET, "/v1/videos/\(id)/events")
        request.headers.add(name: "Accept", value: "text/event-stream")
        let response = try await client.execute(request, deadline: .distantFuture)
        guard response.status == .ok else {
          throw try await refusal(response)
        }
        var stream = EventStream()
        for try await piece in response.body {
          for event in try stream.read(piece.readableBytesView) {
            failures = 0
            let data = Data(event.data.utf8)
            if event.name == "progress", let record = try? Self.decode(EventRecord.self, data) {
              // Those said before are said again after a new start.
              if seen.insert(record).inserted { report(record) }
            }
            guard event.name == "video" else { continue }
            let video = try Self.decode(Video.self, data)
            if video.status == "completed" { return video }
            if let fault = video.error { throw ServerError(.jobFailed, fault.message) }
          }
        }
      } catch let error as ServerError where error.code != .unreachable {
        throw error
      } catch {
        try Task.checkCancellation()
        if failures >= 20 { throw unreachable }
      }
      try Task.checkCancellation()
      failures += 1
      try await Task.sleep(for: .seconds(min(30, failures)))
    }
  }

  /// The composition with its sources uploaded, and their ids in place of paths.
  private func uploaded(
    _ composition: Composition, by client: HTTPClient
  ) async throws -> Composition {
    var ids: [String: String] = [:]
    for path in Set(composition.sourcePaths).sorted() {
      // The same words for a file that is missing or no media as without a server.
      _ = try MediaInfo.probe(path)
      ids[path] = try await upload(path, by: client)
    }
    return composition.replacingPaths { ids[$0] ?? $0 }
  }

  private func upload(_ path: String, by client: HTTPClient) async throws -> String {
    let url = URL(fileURLWithPath: path)
    let size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
    let boundary = "kino-\(Identifier.random(16))"
    let name = url.lastPathComponent.replacingOccurrences(of: "\"", with: "%22")
    let head = """
      --\(boundary)\r
      Content-Disposition: form-data; name="file"; filename="\(name)"\r
      Content-Type: application/octet-stream\r
      \r

      """
    let tail = "\r\n--\(boundary)--\r\n"
    let handle = try FileHandle(forReadingFrom: url)
    let pieces = AsyncStream<ByteBuffer>(unfolding: Self.pieces(head, handle, tail))
    var request = request(.POST, "/v1/files")
    request.headers.add(name: "Content-Type", value: "multipart/form-data; boundary=\(boundary)")
    request.body = .stream(
      pieces, length: .known(Int64(head.utf8.count + size + tail.utf8.count)))
    let data = try await answer(to: request, by: client)
    return try Self.decode(Identified.self, data).id
  }

  /// A form with one file, piece by piece.
  private static func pieces(
    _ head: String, _ handle: FileHandle, _ tail: String
  ) -> @Sendable () async -> ByteBuffer? {
    let place = Place()
    return {
      switch place.next {
      case .head:
        place.next = .file
        return ByteBuffer(string: head)
      case .file:
        if let data = try? handle.read(upToCount: 1 << 18), !data.isEmpty {
          return ByteBuffer(bytes: data)
        }
        place.next = .end
        return ByteBuffer(string: tail)
      case .end: return nil
      }
    }
  }

  /// Read by one task at a time, which the stream sees to.
  private final class Place: @unchecked Sendable {
    enum Step { case head, file, end }
    var next = Step.head
  }

  private func download(
    _ id: String, to target: AtomicFile, by client: HTTPClient
  ) async throws {
    let response = try await execute(request(.GET, "/v1/videos/\(id)/content"), by: client)
    guard response.status == .ok else { throw try await refusal(response) }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: target.temporaryPath))
    for try await piece in response.body {
      try handle.write(contentsOf: Data(piece.readableBytesView))
    }
    try handle.close()
    try target.publish()
  }

  // MARK: - Requests

  private func request(_ method: HTTPMethod, _ path: String) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: base + path)
    request.method = method
    request.headers.add(name: "User-Agent", value: "kino/\(kinoVersion)")
    if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
    return request
  }

  private func send(
    _ method: HTTPMethod, _ path: String, json: (any Encodable)? = nil, by client: HTTPClient
  ) async throws -> Data {
    var request = request(method, path)
    if let json {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(json)))
    }
    return try await answer(to: request, by: client)
  }

  private func answer(to request: HTTPClientRequest, by client: HTTPClient) async throws -> Data {
    let response = try await execute(request, by: client)
    guard 200..<300 ~= response.status.code else { throw try await refusal(response) }
    return Data(try await response.body.collect(upTo: 64 << 20).readableBytesView)
  }

  private func execute(
    _ request: HTTPClientRequest, by client: HTTPClient
  ) async throws -> HTTPClientResponse {
    do {
      return try await client.execute(request, timeout: .hours(1))
    } catch {
      try Task.checkCancellation()
      throw unreachable
    }
  }

  private var unreachable: ServerError {
    ServerError(
      .unreachable, "The server \(base) can't be reached; is kino serve running there?")
  }

  /// The server's own words.
  private func refusal(_ response: HTTPClientResponse) async throws -> ServerError {
    let data = Data(try await response.body.collect(upTo: 1 << 20).readableBytesView)
    let words = (try? JSONDecoder().decode(Refusal.self, from: data))?.error.message
    return ServerError(
      .refused, words ?? "The server \(base) answers \(response.status.code); is it kino serve?")
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ data: Data) throws -> Value {
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch {
      throw ServerError(
        .refused, "The server's answer can't be read; is it of this version of Kino?")
    }
  }
}
