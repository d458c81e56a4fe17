import AsyncHTTPClient
import Foundation
import GRDB
internal import KinoSystem
import Logging
import NIOCore
import NIOHTTP1

/// Tells a program about jobs that ended, until it has heard.
actor WebhookSender {
  private let store: JobStore
  private let url: URL
  private let signer: WebhookSigner
  private let logger: Logger
  private let (wakes, waker) = AsyncStream.makeStream(
    of: Void.self, bufferingPolicy: .bufferingNewest(1))

  /// Seconds between tries: at once, then longer and longer, some two days in all.
  static let delays: [Double] = [5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600]

  private struct Event: Encodable {
    struct Content: Encodable { let id: String }
    let id: String
    let object = "event"
    let type: String
    let createdAt: Int
    let data: Content

    enum CodingKeys: String, CodingKey {
      case id, object, type, data
      case createdAt = "created_at"
    }
  }

  init(store: JobStore, url: URL, signer: WebhookSigner, logger: Logger) {
    self.store = store
    self.url = url
    self.signer = signer
    self.logger = logger
  }

  /// Notes that a job ended; the message goes out by ``run()``.
  func tell(of job: Job) async {
    let id = Identifier.make("evt")
    let event = Event(
      id: id, type: "video.\(job.status.rawValue)", createdAt: JobStore.now,
      data: .init(id: job.id))
    do {
      let body = String(decoding: try event.sortedJSON, as: UTF8.self)
      let delivery = Delivery(
        id: id, body: body, createdAt: JobStore.now, nextAttempt: Date().timeIntervalSince1970)
      try await store.database.write { try delivery.insert($0) }
      waker.yield()
    } catch {
      logger.error("webhook of \(job.id) can't be noted: \(error)")
    }
  }

  /// Sends what is due until the task is cancelled.
  func run() async throws {
    var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
    configuration.timeout = .init(connect: .seconds(10), read: .seconds(15))
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    let clock = Task { [waker] in
      while !Task.isCancelled {
        waker.yield()
        try await Task.sleep(for: .seconds(1))
      }
    }
    defer { clock.cancel() }
    for await _ in wakes {
      for delivery in (try? await due()) ?? [] { await send(delivery, by: client) }
    }
    try? await client.shutdown()
  }

  private func due() async throws -> [Delivery] {
    try await store.database.read {
      try Delivery.filter(Column("nextAttempt") <= Date().timeIntervalSince1970)
        .order(Column("nextAttempt")).limit(16).fetchAll($0)
    }
  }

  private func send(_ delivery: Delivery, by client: HTTPClient) async {
    var request = HTTPClientRequest(url: url.absoluteString)
    request.method = .POST
    request.headers.add(name: "Content-Type", value: "application/json")
    request.headers.add(name: "User-Agent", value: "kino")
    for (name, value) in signer.headers(
      id: delivery.id, timestamp: JobStore.now, body: delivery.body)
    {
      request.headers.add(name: name, value: value)
    }
    request.body = .bytes(ByteBuffer(string: delivery.body))
    let status = try? await client.execute(request, timeout: .seconds(30)).status.code
    let isHeard = status.map { 200..<300 ~= $0 } ?? false
    try? await store.database.write { [self] database in
      if isHeard || delivery.attempts >= Self.delays.count {
        if !isHeard { logger.error("webhook \(delivery.id) is given up") }
        _ = try delivery.delete(database)
        return
      }
      var later = delivery
      later.nextAttempt = Date().timeIntervalSince1970 + Self.delays[delivery.attempts]
      later.attempts += 1
      try later.update(database)
    }
  }
}
