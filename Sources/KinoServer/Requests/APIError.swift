import Foundation
import HTTPTypes
import Hummingbird
import Kino
import KinoMedia
internal import KinoSystem
import NIOCore

/// Why a request is refused, in the form of the OpenAI API:
/// `{"error": {"message", "type", "param", "code"}}`.
struct APIError: Error, HTTPResponseError {
  let status: HTTPResponse.Status
  let code: String
  let message: String
  /// The field at fault.
  var parameter: String?
  /// Seconds after which to try again.
  var retryAfter: Int?

  init(
    _ status: HTTPResponse.Status, _ code: String, _ message: String, parameter: String? = nil
  ) {
    self.status = status
    self.code = code
    self.message = message
    self.parameter = parameter
    if status == .tooManyRequests { retryAfter = 10 }
  }

  static func notFound(_ id: String) -> APIError {
    APIError(.notFound, "not_found", "There is nothing with the id '\(id.prefix(100))'.")
  }

  /// A field whose value can't be used.
  static func invalid(_ parameter: String, _ message: String) -> APIError {
    APIError(.badRequest, "invalid_value", message, parameter: parameter)
  }

  /// What a fault of a composition or a source is to a client.
  init(_ error: any Error) {
    switch error {
    case let error as APIError: self = error
    case let error as StudioError where error.code.isWrongUse || error.code == .modelNotFound:
      self.init(
        .badRequest, error.code.description, error.details,
        parameter: Self.parameter(of: error))
    case let error as StudioError:
      self.init(.unprocessableContent, error.code.description, error.details)
    case let error as MediaError:
      self.init(.badRequest, error.code.description, error.details, parameter: "video")
    case let error as ServerError:
      self.init(.internalServerError, error.code.description, error.details)
    default: self.init(.internalServerError, "server_error", "The server failed; its log says why.")
    }
  }

  /// The same, with sources by the names that clients know: where files lie is the server's own business.
  func calling(_ names: [String: String]) -> APIError {
    let words = names.reduce(message) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
    var other = APIError(status, code, words, parameter: parameter)
    other.retryAfter = retryAfter
    return other
  }

  private static func parameter(of error: StudioError) -> String? {
    switch error.code {
    case .invalidPrompt: "prompt"
    case .invalidSize: "size"
    case .invalidLength: error.details.hasPrefix("fps") ? "fps" : "seconds"
    case .invalidStoryboard: "storyboard"
    case .modelNotFound: "model"
    default: error.details.split(separator: " ").first.map { String($0).lowercased() }
    }
  }

  private struct Body: Encodable {
    struct Fields: Encodable {
      let message, type, code: String
      let param: String?

      enum CodingKeys: String, CodingKey { case message, type, param, code }

      func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(message, forKey: .message)
        try values.encode(type, forKey: .type)
        // The API's clients expect the key also where there is no field.
        try values.encode(param, forKey: .param)
        try values.encode(code, forKey: .code)
      }
    }
    let error: Fields
  }

  private var type: String {
    switch status {
    case .unauthorized: "authentication_error"
    case .forbidden: "permission_error"
    case .tooManyRequests: "rate_limit_error"
    case let status where status.code >= 500: "server_error"
    default: "invalid_request_error"
    }
  }

  func response(from request: Request, context: some RequestContext) throws -> Response {
    var response = try Response.json(
      Body(error: .init(message: message, type: type, code: code, param: parameter)), status: status
    )
    if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
    if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    return response
  }
}

extension Response {
  /// A value as JSON.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    .json(try ByteBuffer(bytes: value.sortedJSON), status: status)
  }

  /// What is JSON already.
  static func json(_ json: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
    var headers: HTTPFields = [.contentType: "application/json"]
    headers[.cacheControl] = "no-store"
    return Response(
      status: status, headers: headers, body: .init(byteBuffer: json))
  }
}
