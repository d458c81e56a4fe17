import Foundation

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// Asks a language model for a description, over the chat interface of OpenAI's API.
///
/// Whatever goes wrong with the endpoint, the prompt comes back as it is within the time limit. The
/// key goes to the endpoint only: redirections are not followed.
public struct ChatExpander: PromptExpanding {
  private let endpoint: URL
  private let settings: ChatSettings
  private let key: String?

  /// The largest answer that is read, in bytes.
  static let answerLimit = 1 << 20
  /// The longest description that is used, in characters.
  static let descriptionLimit = 2000
  /// The longest prompt that is sent, in characters.
  static let promptLimit = 8000

  /// Prepares to ask an endpoint; it is not asked yet.
  ///
  /// - Parameters:
  ///   - settings: Which endpoint.
  ///   - environment: The variables of the process, one of which may hold the key.
  /// - Throws: ``StudioError`` for a bad address or time limit, or a key that is missing.
  public init(
    _ settings: ChatSettings, environment: [String: String]
  ) throws(StudioError) {
    guard (0.1...600).contains(settings.timeout) else {
      throw StudioError(
        .invalidSetting, "expected a timeout of 0.1 to 600 seconds, found \(settings.timeout)")
    }
    if settings.model.isEmpty {
      throw StudioError(.invalidSetting, "expected the name of a model, found none")
    }
    self.settings = settings
    key = try settings.key(environment: environment)
    endpoint = try Self.endpoint(settings.url, isSecret: key != nil, environment)
  }

  private static func endpoint(
    _ text: String, isSecret: Bool, _ environment: [String: String]
  ) throws(StudioError) -> URL {
    guard let url = URL(string: text), let host = url.host(), !host.isEmpty,
      let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme)
    else {
      throw StudioError(
        .invalidSetting, "expected an address such as https://HOST/v1, found \"\(text)\"")
    }
    let isLocal = ["localhost", "127.0.0.1", "::1", "[::1]"].contains(host)
    if isSecret && scheme == "http" && !isLocal {
      throw StudioError(
        .invalidSetting,
        "expected https where a key is sent, found \(text); use https, or leave the key out")
    }
    // Foundation on Linux goes by the proxy of the environment, and can't be told otherwise.
    if isSecret && scheme == "http" && isProxied(host, environment) {
      throw StudioError(
        .invalidSetting,
        "expected a direct way for the key, found the proxy of http_proxy; "
          + "set no_proxy=\(host), or leave the key out")
    }
    return url.path().hasSuffix("/chat/completions")
      ? url : url.appending(path: "chat/completions")
  }

  private static func isProxied(_ host: String, _ environment: [String: String]) -> Bool {
    if environment["http_proxy", default: ""].isEmpty { return false }
    let exceptions = (environment["no_proxy"] ?? environment["NO_PROXY"] ?? "")
      .split { $0 == "," || $0 == " " }
    return !exceptions.contains { $0 == "*" || $0 == host }
  }

  /// Asks for a description.
  public func expand(_ prompt: String, seed: UInt64) async -> (prompt: String, warning: String?) {
    do {
      return (try await description(of: prompt, seed: seed), nil)
    } catch {
      return (prompt, "The prompt is used as it is: \(error.reason).")
    }
  }

  private func description(of prompt: String, seed: UInt64) async throws(ChatFailure) -> String {
    let text = prompt.trimmingCharacters(in: .whitespacesAndNewlines)
    if text.isEmpty { throw ChatFailure("it is empty") }
    if text.count > Self.promptLimit {
      throw ChatFailure("it is longer than \(Self.promptLimit) characters")
    }
    let host = endpoint.host() ?? "the endpoint"
    let answer = try await LimitedTransfer.answer(
      to: request(text, seed: seed), host: host, byteLimit: Self.answerLimit,
      timeout: settings.timeout)
    if answer.status != 200 {
      throw ChatFailure("\(host) answered \(answer.status) and no description")
    }
    return try ChatReply.description(in: answer.body, of: host, limit: Self.descriptionLimit)
  }

  private struct Question: Encodable {
    struct Message: Encodable {
      let role: String
      let content: String
    }
    let model: String
    let messages: [Message]
    let seed: Int
    let stream: Bool
  }

  private func request(_ prompt: String, seed: UInt64) throws(ChatFailure) -> URLRequest {
    var request = URLRequest(url: endpoint, timeoutInterval: settings.timeout)
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.setValue("application/json", forHTTPHeaderField: "Accept")
    if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
    let question = Question(
      model: settings.model,
      messages: [
        .init(role: "system", content: settings.systemPrompt), .init(role: "user", content: prompt),
      ],
      // Some servers keep seeds in 32 bits.
      seed: Int(seed & 0x7FFF_FFFF), stream: false)
    do {
      request.httpBody = try JSONEncoder().encode(question)
    } catch {
      throw ChatFailure("it cannot be sent")
    }
    return request
  }
}

/// Why there is no description: the end of a sentence.
struct ChatFailure: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}
