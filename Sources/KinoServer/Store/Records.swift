import Foundation
import GRDB
import Kino

/// Where a job stands.
enum JobStatus: String, Codable {
  case queued, running, completed, failed, cancelled

  /// Whether nothing more happens to the job.
  var isFinal: Bool { self != .queued && self != .running }
}

/// A job: what is asked for, and what became of it.
struct Job: Codable, Hashable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "job"

  let id: String
  /// The key that it belongs to.
  let owner: String
  /// The order of jobs that wait.
  var position: Double
  var status: JobStatus
  let createdAt: Int
  var startedAt: Int?
  var completedAt: Int?
  var expiresAt: Int?
  /// The composition, with ids of uploads, results and characters as paths: no path of a client's reaches
  /// the file system.
  var composition: Composition
  var settings: SamplingSettings
  var model: String
  /// The extension of the result.
  var format: String
  /// What the result is, as planned, then as made.
  var size: String
  var seconds: Double
  /// Percent, 0...100.
  var progress = 0
  var errorCode: String?
  var errorMessage: String?
  var warnings: [String] = []
  var remixedFrom: String?
  /// Jobs that one request made have one batch.
  var batch: String?
  var isStarred = false
  /// How it was made, once it is.
  var recipe: Recipe?
  /// Times that it was started; more than one if a server ended in between.
  var attempts = 0

  var prompt: String { composition.prompt }

  enum Columns {
    static let id = Column("id")
    static let owner = Column("owner")
    static let position = Column("position")
    static let status = Column("status")
    static let createdAt = Column("createdAt")
    static let expiresAt = Column("expiresAt")
    static let model = Column("model")
    static let batch = Column("batch")
  }

  /// The ids of the uploads and results that it reads.
  var sources: Set<String> { Set(composition.sourcePaths) }
}

/// A file that a client sent.
struct Upload: Codable, Hashable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "upload"

  let id: String
  let owner: String
  /// What the client calls it.
  let name: String
  /// The file's name in the folder of uploads.
  let file: String
  let bytes: Int
  let createdAt: Int
  let width, height: Int
  let seconds: Double
  var isPicture: Bool { seconds == 0 }
}

/// A clip that has a name, to be referred to.
struct Character: Codable, Hashable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "character"

  let id: String
  let owner: String
  let name: String
  let upload: String
  let createdAt: Int
}

/// A key; what the client holds is not stored, only its hash.
struct Key: Codable, Hashable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "key"

  let id: String
  let name: String
  /// SHA-256 of the whole key.
  let hash: Data
  let createdAt: Int
  var revokedAt: Int?
}

/// A message about a job on its way.
struct Delivery: Codable, Hashable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "delivery"

  let id: String
  let body: String
  let createdAt: Int
  var attempts = 0
  /// When to try next, in seconds since 1970.
  var nextAttempt: Double
}
