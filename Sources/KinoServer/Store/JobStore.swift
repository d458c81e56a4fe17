import Foundation
import GRDB
import HTTPTypes
import Kino
import Synchronization

/// The records of a server, in SQLite: a job that was accepted survives the server.
final class JobStore: Sendable {
  let database: DatabasePool
  private let changes = Atomic(0)

  init(at url: URL) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = true
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { database in
      // A job that was accepted is on the disk before its client hears of it.
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    do {
      database = try DatabasePool(path: url.path, configuration: configuration)
      try Self.migrator.migrate(database)
    } catch {
      throw ServerError(
        .folderUnusable,
        "\(url.path) is not a database that this version can use: \(error). Move it away, or choose another folder with --data."
      )
    }
  }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      try database.create(table: "key") { table in
        table.primaryKey("id", .text)
        table.column("name", .text).notNull()
        table.column("hash", .blob).notNull()
        table.column("createdAt", .integer).notNull()
        table.column("revokedAt", .integer)
      }
      try database.create(table: "job") { table in
        table.primaryKey("id", .text)
        table.column("owner", .text).notNull()
        table.column("position", .double).notNull()
        table.column("status", .text).notNull()
        table.column("createdAt", .integer).notNull()
        table.column("startedAt", .integer)
        table.column("completedAt", .integer)
        table.column("expiresAt", .integer)
        table.column("composition", .text).notNull()
        table.column("settings", .text).notNull()
        table.column("model", .text).notNull()
        table.column("format", .text).notNull()
        table.column("size", .text).notNull()
        table.column("seconds", .double).notNull()
        table.column("progress", .integer).notNull()
        table.column("errorCode", .text)
        table.column("errorMessage", .text)
        table.column("warnings", .text).notNull()
        table.column("remixedFrom", .text)
        table.column("batch", .text)
        table.column("isStarred", .boolean).notNull()
        table.column("recipe", .text)
        table.column("attempts", .integer).notNull()
      }
      try database.create(
        index: "job_order", on: "job", columns: ["owner", "createdAt", "id"])
      try database.create(index: "job_queue", on: "job", columns: ["status", "position"])
      try database.create(table: "upload") { table in
        table.primaryKey("id", .text)
        table.column("owner", .text).notNull()
        table.column("name", .text).notNull()
        table.column("file", .text).notNull()
        table.column("bytes", .integer).notNull()
        table.column("createdAt", .integer).notNull()
        table.column("width", .integer).notNull()
        table.column("height", .integer).notNull()
        table.column("seconds", .double).notNull()
      }
      // What a job reads stays until the job is gone.
      try database.create(table: "jobSource") { table in
        table.column("job", .text).notNull().references("job", onDelete: .cascade)
        table.column("source", .text).notNull()
        table.primaryKey(["job", "source"])
      }
      try database.create(index: "job_source", on: "jobSource", columns: ["source"])
      try database.create(table: "character") { table in
        table.primaryKey("id", .text)
        table.column("owner", .text).notNull()
        table.column("name", .text).notNull()
        table.column("upload", .text).notNull().references("upload", onDelete: .restrict)
        table.column("createdAt", .integer).notNull()
      }
      try database.create(table: "delivery") { table in
        table.primaryKey("id", .text)
        table.column("body", .text).notNull()
        table.column("createdAt", .integer).notNull()
        table.column("attempts", .integer).notNull()
        table.column("nextAttempt", .double).notNull()
      }
      try database.create(table: "setting") { table in
        table.primaryKey("name", .text)
        table.column("value", .text).notNull()
      }
    }
    return migrator
  }

  /// How often jobs and settings were written: what is read at a number is no older than it.
  var version: Int { changes.load(ordering: .acquiring) }

  private func write<Result: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Result
  ) async throws -> Result {
    defer { changes.add(1, ordering: .acquiringAndReleasing) }
    return try await database.write(body)
  }

  static var now: Int { Int(Date().timeIntervalSince1970) }

  // MARK: Settings

  /// A setting that lasts, such as whether the queue is paused.
  func setting(_ name: String) async throws -> String? {
    try await database.read {
      try String.fetchOne($0, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name])
    }
  }

  func set(_ name: String, to value: String) async throws {
    try await write {
      try $0.execute(
        sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        arguments: [name, value])
    }
  }

  // MARK: Jobs

  /// Takes jobs in, at the end of the queue.
  ///
  /// - Throws: ``APIError`` if the queue is full.
  func add(_ jobs: [Job], limits: ServerLimits) async throws -> [Job] {
    try await write { database in
      let waiting = Job.filter(
        [JobStatus.queued, .running].map(\.rawValue).contains(Job.Columns.status))
      guard try waiting.fetchCount(database) + jobs.count <= limits.queued else {
        throw APIError(
          .tooManyRequests, "queue_full",
          "The queue holds at most \(limits.queued) jobs; try again when some are done.")
      }
      let owner = jobs.first?.owner ?? ""
      let own = try waiting.filter(Job.Columns.owner == owner).fetchCount(database)
      guard own + jobs.count <= limits.queuedPerKey else {
        throw APIError(
          .tooManyRequests, "queue_full",
          "A key may have at most \(limits.queuedPerKey) jobs waiting; try again when some are done."
        )
      }
      var last = try Double.fetchOne(database, sql: "SELECT MAX(position) FROM job") ?? 0
      return try jobs.map { job in
        var job = job
        last += 1
        job.position = last
        try job.insert(database)
        for source in job.sources {
          try database.execute(
            sql: "INSERT INTO jobSource VALUES (?, ?)", arguments: [job.id, source])
        }
        return job
      }
    }
  }

  func job(_ id: String, of owner: String) async throws -> Job? {
    try await database.read {
      try Job.filter(Job.Columns.id == id && Job.Columns.owner == owner).fetchOne($0)
    }
  }

  /// A page of jobs in the order they were asked for.
  ///
  /// - Returns: The jobs, and whether there are more; `nil` if there is no job `after`.
  func jobs(
    of owner: String, after: String?, limit: Int, isAscending: Bool
  ) async throws -> (jobs: [Job], hasMore: Bool)? {
    try await database.read { database in
      var request = Job.filter(Job.Columns.owner == owner)
      let order = [Job.Columns.createdAt, Column.rowID]
      request = request.order(order.map { isAscending ? $0.asc : $0.desc })
      if let after {
        guard
          let row = try Row.fetchOne(
            database, sql: "SELECT createdAt, rowid FROM job WHERE id = ? AND owner = ?",
            arguments: [after, owner])
        else { return nil }
        let (time, number): (Int, Int64) = (row[0], row[1])
        request = request.filter(
          sql: "(createdAt, rowid) \(isAscending ? ">" : "<") (?, ?)", arguments: [time, number])
      }
      let jobs = try request.limit(limit + 1).fetchAll(database)
      return (Array(jobs.prefix(limit)), jobs.count > limit)
    }
  }

  /// Where every job stands, by its id.
  func statuses() async throws -> [String: JobStatus] {
    let rows = try await database.read {
      try Row.fetchAll($0, sql: "SELECT id, status FROM job").map { row in
        (row["id"] as String, JobStatus(rawValue: row["status"]))
      }
    }
    return Dictionary(
      uniqueKeysWithValues: rows.compactMap { id, status in
        status.map { (id, $0) }
      })
  }

  /// The jobs that wait or run, in their order.
  func queue() async throws -> [Job] {
    try await database.read {
      try Job.filter([JobStatus.queued, .running].map(\.rawValue).contains(Job.Columns.status))
        .order(Job.Columns.status.desc, Job.Columns.position).fetchAll($0)
    }
  }

  /// Starts the first job of the queue.
  func takeNext() async throws -> Job? {
    try await write { database in
      guard
        var job = try Job.filter(Job.Columns.status == JobStatus.queued.rawValue)
          .order(Job.Columns.position).fetchOne(database)
      else { return nil }
      job.status = .running
      job.startedAt = Self.now
      job.attempts += 1
      try job.update(database)
      return job
    }
  }

  /// Changes a job if it is in one of some states; the job as it is then, `nil` if it is not.
  func update(
    _ id: String, of owner: String? = nil, in states: Set<JobStatus>,
    _ change: @Sendable @escaping (inout Job) throws -> Void
  ) async throws -> Job? {
    try await write { database in
      guard var job = try Job.fetchOne(database, key: id), states.contains(job.status),
        owner == nil || job.owner == owner
      else { return nil }
      try change(&job)
      try job.update(database)
      return job
    }
  }

  /// Moves a job that waits to before another, or to the end; whether both wait.
  func move(_ id: String, before other: String?, of owner: String) async throws -> Bool {
    try await write { database in
      var queue = try Job.filter(Job.Columns.status == JobStatus.queued.rawValue)
        .order(Job.Columns.position).fetchAll(database)
      let positions = queue.map(\.position)
      guard let index = queue.firstIndex(where: { $0.id == id && $0.owner == owner }) else {
        return false
      }
      let job = queue.remove(at: index)
      let target = other.map { other in queue.firstIndex { $0.id == other } } ?? queue.count
      guard let target else { return false }
      queue.insert(job, at: target)
      for (var job, position) in zip(queue, positions) where job.position != position {
        job.position = position
        try job.update(database)
      }
      return true
    }
  }

  /// Removes a job that is not running; whether it was there.
  func remove(_ id: String, of owner: String?) async throws -> Bool {
    try await write { database in
      try Job.filter(Job.Columns.id == id && Job.Columns.status != JobStatus.running.rawValue)
        .filter(owner == nil || Job.Columns.owner == (owner ?? "")).deleteAll(database) > 0
    }
  }

  /// Whether another job that is not done reads a result.
  func isRead(_ id: String) async throws -> Bool {
    try await database.read {
      try Bool.fetchOne(
        $0,
        sql: """
          SELECT EXISTS (SELECT 1 FROM jobSource JOIN job ON job.id = job
          WHERE source = ? AND status IN ('queued', 'running'))
          """, arguments: [id]) ?? false
    }
  }

  /// Puts jobs that a server left running back where they were; the ids.
  func requeueRunning() async throws -> [String] {
    try await write { database in
      let jobs = try Job.filter(Job.Columns.status == JobStatus.running.rawValue)
        .fetchAll(database)
      for var job in jobs {
        job.status = .queued
        try job.update(database)
      }
      return jobs.map(\.id)
    }
  }
}
