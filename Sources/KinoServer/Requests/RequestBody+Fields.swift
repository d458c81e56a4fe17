import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
  /// Reads the body as fields: JSON, or a form of either kind. Files go to disk as they come.
  ///
  /// - Throws: ``APIError`` for another kind, for what is malformed, too large or too slow.
  func fields(_ limits: ServerLimits, in folder: DataFolder) async throws -> Fields {
    let type = headers[.contentType] ?? ""
    let media = type.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
    let isForm = media == "multipart/form-data"
    let limit = limits.fieldBytes + (isForm ? limits.uploadBytes : 0)
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit {
      throw Self.tooLarge(limit)
    }
    do {
      return try await withDeadline(limits.bodySeconds) {
        try await self.fields(of: media, type, limits, in: folder)
      }
    } catch let error where !(error is APIError || error is CancellationError) {
      throw APIError(.badRequest, "invalid_body", "The body broke off before its end.")
    }
  }

  private func fields(
    of media: String, _ type: String, _ limits: ServerLimits, in folder: DataFolder
  ) async throws -> Fields {
    let limit = limits.fieldBytes
    switch media {
    case "multipart/form-data":
      guard let parser = MultipartParser(contentType: type) else {
        throw APIError(.badRequest, "invalid_body", "The form's type names no boundary.")
      }
      return try await FormReader(parser, limits: limits, folder: folder).read(body)
    case "application/json", "":
      let data = try await self.data(limit)
      if data.isEmpty { return Fields(root: .object([:])) }
      guard let root = try? JSONDecoder().decode(Field.self, from: data), case .object = root
      else {
        throw APIError(.badRequest, "invalid_body", "The body is no JSON object.")
      }
      return Fields(root: root)
    case "application/x-www-form-urlencoded":
      return try Self.form(String(decoding: try await self.data(limit), as: UTF8.self))
    default:
      throw APIError(
        .unsupportedMediaType, "invalid_body",
        "The body's type is \(media.prefix(80)); send application/json or multipart/form-data.")
    }
  }

  private func data(_ limit: Int) async throws -> Data {
    var data = Data()
    for try await piece in body {
      data.append(contentsOf: piece.readableBytesView)
      if data.count > limit { throw Self.tooLarge(limit) }
    }
    return data
  }

  private static func form(_ text: String) throws -> Fields {
    var root = Field.object([:])
    for pair in text.split(separator: "&") {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
        $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding
      }
      guard let name = sides[0], let value = sides.count > 1 ? sides[1] : "",
        root.put(.text(value), at: name)
      else { throw APIError(.badRequest, "invalid_body", "The form can't be read.") }
    }
    return Fields(root: root)
  }

  static func tooLarge(_ limit: Int) -> APIError {
    APIError(
      .contentTooLarge, "body_too_large",
      "The body is larger than the \(limit >> 20) MB that this request may have.")
  }
}

/// Collects the fields of a form.
private struct FormReader {
  var parser: MultipartParser
  let limits: ServerLimits
  let folder: DataFolder
  var root = Field.object([:])
  var fieldBytes = 0
  var fileBytes = 0
  var name = ""
  var fileName: String?
  var text: [UInt8] = []
  var file: (url: URL, handle: FileHandle, bytes: Int)?

  init(_ parser: MultipartParser, limits: ServerLimits, folder: DataFolder) {
    self.parser = parser
    self.limits = limits
    self.folder = folder
  }

  consuming func read(_ body: RequestBody) async throws -> Fields {
    var reader = self
    do {
      for try await piece in body {
        for event in try reader.parser.read(piece.readableBytesView) { try reader.take(event) }
      }
      guard reader.parser.isComplete else { throw MultipartParser.Fault.malformed }
    } catch {
      if let file = reader.file { try? FileManager.default.removeItem(at: file.url) }
      guard error is MultipartParser.Fault else { throw error }
      throw APIError(.badRequest, "invalid_body", "The form is cut off or malformed.")
    }
    return Fields(root: reader.root)
  }

  private mutating func take(_ event: MultipartParser.Event) throws {
    switch event {
    case .begin(let name, let fileName):
      (self.name, self.fileName, text) = (name, fileName, [])
      guard fileName != nil else { return }
      let url = folder.incoming()
      guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
        throw APIError(
          .init(code: 507, reasonPhrase: "Insufficient Storage"), "disk_full",
          "The server can't store the file.")
      }
      file = (url, try FileHandle(forWritingTo: url), 0)
    case .bytes(let bytes):
      guard var file else {
        fieldBytes += bytes.count
        guard fieldBytes <= limits.fieldBytes else { throw Request.tooLarge(limits.fieldBytes) }
        text += bytes
        return
      }
      fileBytes += bytes.count
      guard fileBytes <= limits.uploadBytes else { throw Request.tooLarge(limits.uploadBytes) }
      do {
        try file.handle.write(contentsOf: Data(bytes))
      } catch {
        throw APIError(
          .init(code: 507, reasonPhrase: "Insufficient Storage"), "disk_full",
          "The server can't store the file.")
      }
      file.bytes += bytes.count
      self.file = file
    case .end:
      let value: Field
      if let file {
        try file.handle.close()
        value = .file(ReceivedFile(url: file.url, name: fileName ?? "", bytes: file.bytes))
        self.file = nil
      } else {
        guard let text = String(validating: text, as: UTF8.self) else {
          throw APIError.invalid(String(name.prefix(80)), "'\(name.prefix(80))' is no UTF-8 text.")
        }
        value = .text(text)
      }
      guard root.put(value, at: name) else {
        throw APIError.invalid(
          String(name.prefix(80)), "'\(name.prefix(80))' comes twice, or is no name of a field.")
      }
    }
  }
}

/// Runs work, and cancels it when its time is over.
func withDeadline<Value: Sendable>(
  _ seconds: Double, _ work: @Sendable @escaping () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await work() }
    group.addTask {
      try await Task.sleep(for: .seconds(seconds))
      return nil
    }
    defer { group.cancelAll() }
    guard let first = try await group.next(), let value = first else {
      throw APIError(.requestTimeout, "timeout", "The request took longer than \(Int(seconds)) s.")
    }
    return value
  }
}
