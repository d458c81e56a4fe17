import AsyncHTTPClient
import Foundation
import Kino
import KinoMedia
import KinoTestSupport
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import KinoServer

/// A server with a tiny model in a folder of its own, on a free port of loopback.
final class TestServer: Sendable {
  let folder: TemporaryFolder
  let data: URL
  let address: String
  private let work: Task<Void, any Error>

  struct Answer {
    let status: Int
    let headers: HTTPHeaders
    let data: Data

    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: data) as? [String: Any]) ?? [:]
    }
    var error: [String: Any] { json["error"] as? [String: Any] ?? [:] }
    var id: String { json["id"] as? String ?? "" }
  }

  /// Starts a server.
  ///
  /// - Parameters:
  ///   - folder: An earlier server's, to go on with what it left.
  ///   - change: Changes the settings.
  /// - Throws: What the server throws when it starts.
  init(
    folder: TemporaryFolder? = nil, _ change: (inout ServerConfiguration) -> Void = { _ in }
  ) async throws {
    let place = try folder ?? TemporaryFolder()
    self.folder = place
    data = place["server"]
    let model = place["tiny"]
    if !FileManager.default.fileExists(atPath: model.path) { _ = try TinyModel(at: model) }
    var configuration = ServerConfiguration(folder: data)
    configuration.port = 0
    configuration.models = [ServedModel(name: "tiny", source: .folder(model))]
    change(&configuration)
    let server = try await VideoServer(
      configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let (ready, continuation) = AsyncStream.makeStream(of: URL.self)
    work = Task {
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    var addresses = ready.makeAsyncIterator()
    address = try #require(await addresses.next()).absoluteString
  }

  deinit { work.cancel() }

  /// Stops the server as Ctrl-C does.
  func stop() async throws {
    work.cancel()
    _ = await work.result
  }

  func send(
    _ method: HTTPMethod, _ path: String, json: Any? = nil, headers: [(String, String)] = [],
    body: ByteBuffer? = nil
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: address + path)
    request.method = method
    if let json {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: try JSONSerialization.data(withJSONObject: json)))
    }
    if let body { request.body = .bytes(body) }
    for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
    let response = try await HTTPClient.shared.execute(request, timeout: .minutes(4))
    let data = Data(try await response.body.collect(upTo: 1 << 28).readableBytesView)
    return Answer(status: Int(response.status.code), headers: response.headers, data: data)
  }

  /// Sends a form; a value of `Data` is a file.
  func send(
    _ method: HTTPMethod, _ path: String, form: [(String, Any)],
    headers: [(String, String)] = []
  ) async throws -> Answer {
    var body = ByteBuffer()
    for (name, value) in form {
      body.writeString("--edge\r\nContent-Disposition: form-data; name=\"\(name)\"")
      if let file = value as? Data {
        body.writeString(
          "; filename=\"\(name).bin\"\r\nContent-Type: application/octet-stream\r\n\r\n")
        body.writeBytes(file)
      } else {
        body.writeString("\r\n\r\n\(value)")
      }
      body.writeString("\r\n")
    }
    body.writeString("--edge--\r\n")
    return try await send(
      method, path,
      headers: headers + [("Content-Type", "multipart/form-data; boundary=edge")], body: body)
  }

  /// Waits until a video is done.
  func finished(_ id: String) async throws -> Answer {
    while true {
      let answer = try await send(.GET, "/v1/videos/\(id)")
      let status = answer.json["status"] as? String
      if answer.status != 200 || id.isEmpty || status == "completed" || status == "failed" {
        return answer
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// A short clip of noise as an MP4 file.
  func clip(frames: Int = 9, size: Int = 64) throws -> Data {
    let path = folder["clip-\(UUID().uuidString).mp4"].path
    var generator = SystemRandomNumberGenerator()
    let pictures = (0..<frames).map { _ in
      Frame(
        width: size, height: size,
        color: Color(red: .random(in: 0...255, using: &generator), green: 90, blue: 60))
    }
    try Clip(frames: pictures, framesPerSecond: 8).write(to: path)
    return try Data(contentsOf: URL(fileURLWithPath: path))
  }

  /// A picture as a PNG file.
  func picture(size: Int = 64) throws -> Data {
    Data(
      try Frame(width: size, height: size, color: Color(red: 200, green: 40, blue: 40)).encoded(
        as: .png))
  }
}

/// A request for a video that is soon made.
var quick: [String: Any] {
  ["prompt": "a red ball", "steps": 2, "frames": 9, "precision": "f32"]
}
/// A request for a video that is never made within a test.
var endless: [String: Any] {
  [
    "prompt": "a red ball", "steps": 1000, "seconds": 60, "size": "352x352", "precision": "f32",
  ]
}
