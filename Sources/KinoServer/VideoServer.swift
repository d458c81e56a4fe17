public import Foundation
import GRDB
import Hummingbird
import HummingbirdCore
import Kino
public import Logging
import NIOCore
import NIOPosix

/// Serves videos to other programs and to people: the Videos API of OpenAI, what Kino can do beyond it, and a
/// studio for browsers.
///
/// Jobs are made one after the other. All that clients were told lasts: after a crash, jobs that waited still
/// wait in their order, and the one being made goes on from its saved latents.
public struct VideoServer: Sendable {
  private let configuration: ServerConfiguration
  private let logger: Logger
  private let folder: DataFolder
  private let store: JobStore
  private let api: API
  private let webhooks: WebhookSender?
  private let needsKey: Bool

  /// Opens the folder and checks everything that can be checked before listening.
  ///
  /// - Throws: ``ServerError`` if the folder is in use or the settings can't be; `StudioError` if a model
  ///   can't be.
  public init(_ configuration: ServerConfiguration, logger: Logger) async throws {
    self.configuration = configuration
    self.logger = logger
    guard 0...65_535 ~= configuration.port else {
      throw ServerError(
        .invalidConfiguration, "The port is \(configuration.port); use a number in 0...65535.")
    }
    if let hours = configuration.hoursKept, !(hours > 0 && hours < 1e6) {
      throw ServerError(
        .invalidConfiguration, "Results are kept \(hours) hours; use a number above 0.")
    }
    folder = try DataFolder(configuration.folder)
    store = try JobStore(at: folder.database)
    let keys = KeyRing(store)
    needsKey = !configuration.isLoopback
    if needsKey, try await keys.isEmpty() {
      throw ServerError(
        .invalidConfiguration,
        "On \(configuration.host) the server needs a key, and there is none: make one with kino keys add NAME."
      )
    }
    let shelf = ModelShelf(configuration)
    for model in configuration.models { _ = try await shelf.planner(model.name) }
    webhooks = try await Self.webhooks(configuration, store, logger)
    let sources = SourceShelf(store: store, folder: folder, limits: configuration.limits)
    let (hub, metrics) = (EventHub(), Metrics())
    let runner = JobRunner(
      store: store, folder: folder, sources: sources, shelf: shelf, hub: hub, metrics: metrics,
      webhooks: webhooks, hoursKept: configuration.hoursKept,
      signer: configuration.signer, logger: logger)
    api = API(
      store: store, folder: folder, sources: sources, shelf: shelf, hub: hub, runner: runner,
      metrics: metrics, keys: keys, configuration: configuration)
  }

  /// Serves until the task is cancelled; the job being made then waits for the next start.
  ///
  /// - Parameter whenReady: Takes the address once connections are accepted.
  /// - Throws: ``ServerError`` if the address can't be listened on.
  public func run(whenReady: @escaping @Sendable (URL) -> Void = { _ in }) async throws {
    try await recover()
    let router = api.router(needsKey: needsKey)
    var server = HTTP1Channel.Configuration()
    server.idleTimeout = .milliseconds(Int64(configuration.limits.idleSeconds * 1000))
    let host = configuration.host
    // Connections that a stop ends are no faults.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .critical)
    let app = Application(
      router: router, server: .http1(configuration: server),
      configuration: .init(
        address: .hostname(host, port: configuration.port),
        availableConnectionsDelegate: MaximumAvailableConnections(configuration.limits.connections)),
      onServerRunning: { channel in
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        if let port = channel.localAddress?.port, let url = URL(string: "http://\(name):\(port)") {
          whenReady(url)
        }
      }, logger: quiet)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await app.run() }
        group.addTask { try await api.runner.run() }
        group.addTask { try await sweep() }
        if let webhooks { group.addTask { try await webhooks.run() } }
        defer {
          group.cancelAll()
          api.hub.close()
        }
        try await group.next()
      }
    } catch let error as IOError {
      throw ServerError(
        .addressUnusable,
        "Can't listen on \(host):\(configuration.port): \(error). Choose another with --host and --port."
      )
    }
    try Task.checkCancellation()
  }

  private static func webhooks(
    _ configuration: ServerConfiguration, _ store: JobStore, _ logger: Logger
  ) async throws -> WebhookSender? {
    guard let url = configuration.webhook else { return nil }
    guard ["http", "https"].contains(url.scheme?.lowercased()), url.host != nil else {
      throw ServerError(
        .invalidConfiguration, "The webhook \(url) is no address; use http:// or https://.")
    }
    let name = "webhook_secret"
    var secret = configuration.webhookSecret
    if secret == nil { secret = try await store.setting(name) }
    let chosen = secret ?? WebhookSigner.makeSecret()
    guard let signer = WebhookSigner(secret: chosen) else {
      throw ServerError(
        .invalidConfiguration,
        "The webhook's secret must be whsec_ and the base64 of 24 to 64 bytes.")
    }
    if secret == nil {
      try await store.set(name, to: chosen)
      logger.notice("webhooks are signed with \(chosen)")
    }
    return WebhookSender(store: store, url: url, signer: signer, logger: logger)
  }

  // MARK: Order

  /// Mends what a server left that ended in the middle of things.
  private func recover() async throws {
    let again = try await store.requeueRunning()
    for id in again { logger.notice("job \(id) goes on") }
    let statuses = try await store.statuses()
    removeFiles(in: folder.videos) { name in
      let id = name.drop { $0 == "." }.prefix { $0 != "." }
      guard let status = statuses[String(id)] else { return false }
      // What waits may have latents that it goes on from.
      return status == .completed || status == .queued
    }
    let uploads = try await store.database.read { try Upload.fetchAll($0) }
    let files = Set(uploads.map(\.file))
    removeFiles(in: folder.uploads) { files.contains($0) }
  }

  private func removeFiles(in folder: URL, except isKept: (String) -> Bool) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names where !isKept(name) {
      logger.notice("removes \(name), which nothing refers to")
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
  }

  /// Removes what has had its time, every minute.
  private func sweep() async throws {
    while true {
      try await expire()
      try await Task.sleep(for: .seconds(60))
    }
  }

  private func expire() async throws {
    let now = JobStore.now
    let expired = try await store.database.read {
      try Job.filter(Job.Columns.expiresAt <= now).fetchAll($0)
    }
    for job in expired {
      guard try await !store.isRead(job.id), try await store.remove(job.id, of: nil) else {
        continue
      }
      folder.removeFiles(of: job.id)
      api.hub.removed(job.id, of: job.owner)
    }
    let oldest = now - Int(configuration.limits.uploadHours * 3600)
    let unused = try await store.database.write { database in
      let filter = """
        createdAt < ? AND NOT EXISTS (SELECT 1 FROM jobSource WHERE source = upload.id)
        AND NOT EXISTS (SELECT 1 FROM character WHERE upload = upload.id)
        """
      let uploads = try Upload.filter(sql: filter, arguments: [oldest]).fetchAll(database)
      for upload in uploads { _ = try upload.delete(database) }
      return uploads
    }
    for upload in unused {
      try? FileManager.default.removeItem(at: folder.uploads.appendingPathComponent(upload.file))
    }
  }
}
