import Foundation
import HTTPTypes
import Kino
import KinoMedia

/// What a request asks for: one or several jobs.
struct VideoRequest {
  var composition: Composition
  var settings: SamplingSettings
  /// The name of a model here.
  var model: String
  /// The extension of the result.
  var format: String
  /// Jobs with seeds in a row.
  var count: Int
  /// Whether only the plan is wanted.
  var isDryRun: Bool
  var remixedFrom: String?

  /// Fields that every request for a video has beside its own.
  static let common = SamplingSettings.fieldNames.union([
    "model", "size", "fps", "fit", "negative_prompt", "sound", "n", "format", "dry_run",
  ])

  init(_ composition: Composition, _ fields: Fields, shelf: ModelShelf) throws {
    var composition = composition
    if let text = try fields.text("size"), composition.size == nil {
      composition.size = try Self.size(text)
    }
    if let rate = try fields.text("fps") {
      guard let rate = FrameRate(rate) else {
        throw APIError.invalid("fps", "'fps' must be frames per second, such as 24 or 30000/1001.")
      }
      composition.framesPerSecond = rate.framesPerSecond
    }
    if let fit = try fields.text("fit") {
      composition.fit = try Self.word(fit, "fit", FitMode.allCases)
    }
    composition.negativePrompt =
      try fields.text("negative_prompt", limit: Limits.promptLength)
      ?? composition.negativePrompt
    composition.keepsSound = try fields.flag("sound") ?? composition.keepsSound
    self.composition = composition
    settings = try Self.settings(fields)
    model = try shelf.name(try fields.text("model"))
    count = try fields.integer("n") ?? 1
    guard 1...32 ~= count else { throw APIError.invalid("n", "'n' must be in 1...32.") }
    isDryRun = try fields.flag("dry_run") ?? false
    format = try Self.format(fields, of: composition)
  }

  private static func settings(_ fields: Fields) throws -> SamplingSettings {
    if case .object(let given)? = fields.root["settings"] {
      let known = SamplingSettings.fieldNames
      if let name = given.keys.sorted().first(where: { !known.contains($0) }) {
        throw APIError.invalid("settings", "'settings' has no '\(name.prefix(80))'.")
      }
    }
    var settings = try fields.value("settings", SamplingSettings.self) ?? SamplingSettings()
    settings.seed = try fields.seed("seed") ?? settings.seed
    settings.stepCount = try fields.integer("steps") ?? settings.stepCount
    settings.guidanceScale = try fields.number("guidance") ?? settings.guidanceScale
    settings.lowNoiseGuidanceScale =
      try fields.number("low_noise_guidance") ?? settings.lowNoiseGuidanceScale
    settings.historyGuidanceScale =
      try fields.number("history_guidance") ?? settings.historyGuidanceScale
    settings.shift = try fields.number("shift") ?? settings.shift
    settings.cacheThreshold = try fields.number("cache") ?? settings.cacheThreshold
    if let ends = try fields.value("guidance_range", [Double].self) {
      guard ends.count == 2, ends[0] <= ends[1] else {
        throw APIError.invalid("guidance_range", "'guidance_range' must be two rising numbers.")
      }
      settings.guidanceRange = ends[0]...ends[1]
    }
    if let sampler = try fields.text("sampler") {
      settings.sampler = try word(sampler, "sampler", SamplerKind.allCases)
    }
    if let precision = try fields.text("precision") {
      settings.precision = try word(precision, "precision", Precision.allCases)
    }
    return settings
  }

  private static func format(_ fields: Fields, of composition: Composition) throws -> String {
    let isPicture = composition.verb == .image
    let format = try fields.text("format")?.lowercased() ?? (isPicture ? "png" : "mp4")
    let allowed = isPicture ? ["png", "jpg", "webp"] : ["mp4", "mov", "gif", "webp", "png", "jpg"]
    guard allowed.contains(format) else {
      throw APIError.invalid(
        "format", "'format' must be one of \(allowed.joined(separator: ", ")).")
    }
    return format
  }

  static func size(_ text: String, _ name: String = "size") throws -> FrameSize {
    guard let size = FrameSize(parsing: text) else {
      throw APIError.invalid(name, "'\(name)' must be WIDTHxHEIGHT, such as 1280x720.")
    }
    return size
  }

  private static func word<Value: RawRepresentable>(
    _ text: String, _ name: String, _ all: [Value]
  ) throws -> Value where Value.RawValue == String {
    guard let value = Value(rawValue: text) else {
      throw APIError.invalid(
        name, "'\(name)' must be one of \(all.map(\.rawValue).joined(separator: ", ")).")
    }
    return value
  }
}

extension Fields {
  /// The prompt of a request.
  func prompt(isRequired: Bool = true) throws -> String {
    let prompt = try text("prompt", limit: Limits.promptLength) ?? ""
    if isRequired && prompt.isEmpty {
      throw APIError(
        .badRequest, "missing_parameter", "'prompt' is missing: say what to show.",
        parameter: "prompt")
    }
    return prompt
  }

  /// A number that a request can't do without.
  func required(_ name: String, _ words: String) throws -> Double {
    guard let value = try number(name) else {
      throw APIError(
        .badRequest, "missing_parameter", "'\(name)' is missing: \(words).", parameter: name)
    }
    return value
  }
}

/// Turns the sources of a request into ids: a file it carries, one uploaded before, a video made here, or a
/// URL.
struct SourceFields {
  let fields: Fields
  let owner: String
  let shelf: SourceShelf
  let remote: RemoteFile

  /// The id of a source.
  ///
  /// - Parameters:
  ///   - name: The field: a file, an id, or an object with one of `id`, `file_id`, `image_url`, `url`.
  ///   - needsPicture: Whether it must be a picture.
  /// - Returns: `nil` if there is no such field.
  /// - Throws: ``APIError`` that names the field.
  func source(_ name: String, needsPicture: Bool = false) async throws -> String? {
    guard let field = fields.root[name] else { return nil }
    let id = try await id(field, name)
    let place = try await shelf.place(of: id, owner: owner)
    if needsPicture, try !MediaInfo.probe(place.path).isStill {
      throw APIError.invalid(
        name, "'\(name)' must be a picture; to go on from a clip, use /v1/videos/extensions.")
    }
    return id
  }

  func required(_ name: String) async throws -> String {
    if let id = try await source(name) { return id }
    throw APIError(
      .badRequest, "missing_parameter",
      "'\(name)' is missing: send a file, or {\"id\": ...} of a video or file.", parameter: name)
  }

  private func id(_ field: Field, _ name: String) async throws -> String {
    switch field {
    case .file(let file):
      return try await shelf.add(file, owner: owner, field: name).id
    case .text(let id) where !id.hasPrefix("data:") && !id.contains("/"): return id
    case .text(let url): return try await fetched(url, name)
    case .object(let parts):
      let given = parts.filter { if case .null = $0.value { false } else { true } }
      guard given.count == 1, let (key, value) = given.first, case .text(let text) = value else {
        // A file within an object, as forms nest them.
        if given.count == 1, case .file(let file)? = given.first?.value {
          return try await shelf.add(file, owner: owner, field: name).id
        }
        throw APIError.invalid(
          name, "'\(name)' must have exactly one of id, file_id, image_url and url.")
      }
      switch key {
      case "id", "file_id": return text
      case "image_url", "url": return try await fetched(text, name)
      default: throw APIError.invalid("\(name).\(key)", "'\(name)' has no '\(key.prefix(40))'.")
      }
    default: throw APIError.invalid(name, "'\(name)' must be a file or an object with an id.")
    }
  }

  private func fetched(_ url: String, _ name: String) async throws -> String {
    let file: ReceivedFile
    if url.hasPrefix("data:") {
      guard let comma = url.firstIndex(of: ","), url[..<comma].hasSuffix(";base64"),
        let data = Data(base64Encoded: String(url[url.index(after: comma)...]))
      else { throw APIError.invalid(name, "'\(name)' is no data URL in base64.") }
      let target = shelf.folder.incoming()
      try data.write(to: target)
      file = ReceivedFile(url: target, name: "", bytes: data.count)
    } else {
      file = try await remote.fetch(url, field: name, into: shelf.folder)
    }
    return try await shelf.add(file, owner: owner, field: name).id
  }
}
