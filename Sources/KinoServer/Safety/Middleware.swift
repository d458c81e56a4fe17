import Foundation
import HTTPTypes
import Hummingbird
import Kino
import Logging

/// What is known of a request beside its own content.
struct ServerContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// The key that it came with.
  var owner = ""

  init(source: ApplicationRequestContextSource) { coreContext = .init(source: source) }
}

/// Headers that keep a browser from doing with an answer what it is not for, and counts of answers.
struct SafetyHeaders: RouterMiddleware {
  typealias Context = ServerContext
  let metrics: Metrics

  /// All that the studio's pages may load: what this server has.
  static let policy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:",
    "media-src 'self' blob:", "connect-src 'self'", "form-action 'none'", "base-uri 'none'",
    "frame-ancestors 'none'", "manifest-src 'self'",
  ].joined(separator: "; ")

  func handle(
    _ request: Request, context: Context,
    next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    var response: Response
    do {
      response = try await next(request, context)
    } catch let error as any HTTPResponseError {
      response = try APIError.adapted(error).response(from: request, context: context)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      let refusal = APIError(error)
      if refusal.status.code >= 500 {
        context.logger.error("\(request.method) \(request.uri.path): \(error)")
      }
      response = try refusal.response(from: request, context: context)
    }
    for (name, value) in [
      ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
      ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
      ("Cross-Origin-Opener-Policy", "same-origin"), ("Content-Security-Policy", Self.policy),
    ] {
      if let name = HTTPField.Name(name) { response.headers[name] = value }
    }
    metrics.count(status: response.status.code, seconds: (ContinuousClock.now - start).inSeconds)
    return response
  }
}

extension APIError {
  /// A refusal of the router's in the form of the API.
  static func adapted(_ error: any HTTPResponseError) -> APIError {
    if let error = error as? APIError { return error }
    return switch error.status {
    case .notFound: APIError(.notFound, "not_found", "There is nothing at this address.")
    case .methodNotAllowed:
      APIError(.methodNotAllowed, "method_not_allowed", "This address has no such method.")
    case .contentTooLarge: APIError(.contentTooLarge, "body_too_large", "The body is too large.")
    case let status: APIError(status, "invalid_request", status.reasonPhrase)
    }
  }
}

/// Keeps other sites' pages from using a server through their reader's browser: requests must name this
/// server (against names that are pointed at it) and, where they change something, come from its own pages or
/// from no page.
struct OriginCheck: RouterMiddleware {
  typealias Context = ServerContext
  /// Whether the server answers to loopback's names only.
  let isLoopback: Bool

  func handle(
    _ request: Request, context: Context,
    next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    let authority = request.head.authority ?? ""
    if isLoopback, !ServerConfiguration.isLoopback(Self.host(authority)) {
      throw APIError(
        .forbidden, "wrong_host",
        "This server answers to localhost only, not to '\(authority.prefix(100))'.")
    }
    if let origin = request.headers[.origin], request.method != .get, request.method != .head {
      let own = origin.components(separatedBy: "://").last ?? origin
      guard own == authority else {
        throw APIError(
          .forbidden, "wrong_origin", "Pages of \(origin.prefix(100)) may not use this server.")
      }
    }
    return try await next(request, context)
  }

  static func host(_ authority: String) -> String {
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      return String(authority[authority.startIndex...end])
    }
    return String(authority.prefix { $0 != ":" })
  }
}

/// Lets requests in that come with a good key; without keys, those of this machine.
struct Authentication: RouterMiddleware {
  typealias Context = ServerContext
  /// The owner of what is made without keys.
  static let local = "local"
  static let cookie = "kino_key"

  let keys: KeyRing
  let needsKey: Bool

  func handle(
    _ request: Request, context: Context,
    next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    var context = context
    context.owner = try await owner(request)
    return try await next(request, context)
  }

  private func owner(_ request: Request) async throws -> String {
    guard needsKey else { return Self.local }
    var key: String?
    if let header = request.headers[.authorization] {
      let words = header.split(separator: " ")
      if words.count == 2, words[0].lowercased() == "bearer" { key = String(words[1]) }
    } else {
      key = Self.key(inCookies: request.headers[values: .cookie])
    }
    guard let key else {
      throw APIError(
        .unauthorized, "invalid_api_key",
        "This server needs a key: send it as 'Authorization: Bearer KEY'.")
    }
    guard let owner = try await keys.owner(of: key) else {
      throw APIError(.unauthorized, "invalid_api_key", "The key is wrong, or was revoked.")
    }
    return owner
  }

  private static func key(inCookies headers: [String]) -> String? {
    for pair in headers.flatMap({ $0.split(separator: ";") }) {
      let sides = pair.trimmingCharacters(in: .whitespaces).split(separator: "=", maxSplits: 1)
      if sides.count == 2, sides[0] == cookie { return String(sides[1]) }
    }
    return nil
  }
}
