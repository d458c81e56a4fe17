import Foundation
import Kino

/// A job as the Videos API shows it: its thirteen keys, and what Kino adds under `kino`.
struct VideoObject: Encodable {
  let job: Job
  private let progress: EventHub.Progress?

  /// - Parameters:
  ///   - job: The job.
  ///   - progress: How far it is, which counts only while it runs: it is forgotten a moment after the end.
  init(job: Job, progress: EventHub.Progress?) {
    self.job = job
    self.progress = job.status == .running ? progress : nil
  }

  enum CodingKeys: String, CodingKey {
    case id, object, model, status, progress, prompt, size, seconds, error, quality, kino
    case createdAt = "created_at"
    case completedAt = "completed_at"
    case expiresAt = "expires_at"
    case remixedFrom = "remixed_from_video_id"
  }

  private struct Fault: Encodable { let code, message: String }

  /// What Kino knows beyond the API.
  private struct Details: Encodable {
    let verb, status, format: String
    let seed: UInt64?
    let composition: Composition
    let settings: SamplingSettings
    let step, steps: Int?
    let secondsLeft: Double?
    let warnings: [String]
    let starred: Bool
    let batch: String?
    let startedAt: Int?
    let recipe: Recipe?

    enum CodingKeys: String, CodingKey {
      case verb, status, format, seed, composition, settings, step, steps, warnings, starred, batch
      case recipe
      case secondsLeft = "seconds_left"
      case startedAt = "started_at"
    }
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(job.id, forKey: .id)
    try values.encode("video", forKey: .object)
    try values.encode(job.model, forKey: .model)
    try values.encode(Self.name(job.status), forKey: .status)
    try values.encode(progress?.percent ?? job.progress, forKey: .progress)
    try values.encode(job.createdAt, forKey: .createdAt)
    // Keys without a value are there too: the API says so.
    try values.encode(job.status == .completed ? job.completedAt : nil, forKey: .completedAt)
    try values.encode(job.expiresAt, forKey: .expiresAt)
    try values.encode(job.prompt.isEmpty ? nil : job.prompt, forKey: .prompt)
    try values.encode(job.size, forKey: .size)
    try values.encode(Self.plain(job.seconds), forKey: .seconds)
    try values.encode(job.remixedFrom, forKey: .remixedFrom)
    try values.encode(fault, forKey: .error)
    try values.encode("standard", forKey: .quality)
    try values.encode(
      Details(
        verb: job.composition.verb.rawValue, status: job.status.rawValue, format: job.format,
        seed: job.settings.seed, composition: job.composition, settings: job.settings,
        step: progress?.step, steps: progress?.steps, secondsLeft: progress?.secondsLeft,
        warnings: job.warnings, starred: job.isStarred, batch: job.batch,
        startedAt: job.startedAt, recipe: job.recipe), forKey: .kino)
  }

  private var fault: Fault? {
    switch job.status {
    case .cancelled: Fault(code: "cancelled", message: "The job was cancelled.")
    case .failed: Fault(code: job.errorCode ?? "server_error", message: job.errorMessage ?? "")
    default: nil
    }
  }

  /// The API's word for a state; it has none for a job that was cancelled.
  static func name(_ status: JobStatus) -> String {
    switch status {
    case .queued: "queued"
    case .running: "in_progress"
    case .completed: "completed"
    case .failed, .cancelled: "failed"
    }
  }

  /// Seconds as a text, without needless digits.
  static func plain(_ seconds: Double) -> String {
    let rounded = (seconds * 1000).rounded() / 1000
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }
}

/// A page of a list, as the API has it.
struct ListObject<Element: Encodable>: Encodable {
  let data: [Element]
  let firstID, lastID: String?
  let hasMore: Bool

  enum CodingKeys: String, CodingKey {
    case object, data
    case firstID = "first_id"
    case lastID = "last_id"
    case hasMore = "has_more"
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode("list", forKey: .object)
    try values.encode(data, forKey: .data)
    try values.encode(firstID, forKey: .firstID)
    try values.encode(lastID, forKey: .lastID)
    try values.encode(hasMore, forKey: .hasMore)
  }
}

/// What was removed.
struct DeletedObject: Encodable {
  let id, object: String
  let deleted = true
}

/// An upload, as the API shows files.
struct FileObject: Encodable {
  let upload: Upload

  enum CodingKeys: String, CodingKey {
    case id, object, bytes, filename, width, height, seconds, kind
    case createdAt = "created_at"
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(upload.id, forKey: .id)
    try values.encode("file", forKey: .object)
    try values.encode(upload.bytes, forKey: .bytes)
    try values.encode(upload.name, forKey: .filename)
    try values.encode(upload.createdAt, forKey: .createdAt)
    try values.encode(upload.width, forKey: .width)
    try values.encode(upload.height, forKey: .height)
    try values.encode(upload.seconds, forKey: .seconds)
    try values.encode(upload.isPicture ? "picture" : "clip", forKey: .kind)
  }
}
