import Foundation

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// A language model behind the chat interface of OpenAI's API.
///
/// The key goes to the endpoint only: redirections are not followed.
struct ChatEndpoint: Sendable {
  private let url: URL
  private let settings: ChatSettings
  private let key: String?

  /// The largest answer that is read, in bytes.
  static let answerLimit = 1 << 20
  /// The longest description that is used, in characters.
  static let descriptionLimit = 2000

  /// Prepares to ask; nothing is sent yet.
  ///
  /// - Parameters:
  ///   - settings: Which endpoint.
  ///   - environment: The variables of the process, one of which may hold the key.
  /// - Throws: ``StudioError`` for a bad address or time limit, or a key that is missing.
  init(_ settings: ChatSettings, environment: [String: String]) throws(StudioError) {
    guard (0.1...600).contains(settings.timeout) else {
      throw StudioError(
        .invalidSetting, "expected a timeout of 0.1 to 600 seconds, found \(settings.timeout)")
    }
    if settings.model.isEmpty {
      throw StudioError(.invalidSetting, "expected the name of a model, found none")
    }
    self.settings = settings
    key = try settings.key(environment: environment)
    url = try Self.url(settings.url, isSecret: key != nil, environment)
  }

  private static func url(
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

  /// What is said to the model: its instructions, or a text with pictures.
  struct Message: Encodable {
    let role: String
    let content: [Content]

    /// Text alone is sent as such: not every server takes parts.
    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(role, forKey: .role)
      if content.count == 1, case .text(let text) = content[0] {
        try container.encode(text, forKey: .content)
      } else {
        try container.encode(content, forKey: .content)
      }
    }

    private enum CodingKeys: String, CodingKey { case role, content }
  }

  /// A part of a message.
  enum Content: Encodable {
    case text(String)
    case jpeg(Data)

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      switch self {
      case .text(let text):
        try container.encode("text", forKey: .type)
        try container.encode(text, forKey: .text)
      case .jpeg(let data):
        try container.encode("image_url", forKey: .type)
        try container.encode(
          ["url": "data:image/jpeg;base64," + data.base64EncodedString()], forKey: .imageURL)
      }
    }

    private enum CodingKeys: String, CodingKey {
      case type, text
      case imageURL = "image_url"
    }
  }

  private struct Question: Encodable {
    let model: String
    let messages: [Message]
    let seed: Int
    let stream: Bool
  }

  /// Asks for a description, with the settings' instructions.
  ///
  /// - Throws: ``ChatFailure`` if none comes within the time limit.
  func description(of content: [Content], seed: UInt64) async throws(ChatFailure) -> String {
    let host = url.host() ?? "the endpoint"
    let answer = try await LimitedTransfer.answer(
      to: request(content, seed: seed), host: host, byteLimit: Self.answerLimit,
      timeout: settings.timeout)
    if answer.status != 200 {
      throw ChatFailure("\(host) answered \(answer.status) and no description")
    }
    return try ChatReply.description(in: answer.body, of: host, limit: Self.descriptionLimit)
  }

  private func request(_ content: [Content], seed: UInt64) throws(ChatFailure) -> URLRequest {
    var request = URLRequest(url: url, timeoutInterval: settings.timeout)
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.setValue("application/json", forHTTPHeaderField: "Accept")
    if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
    let question = Question(
      model: settings.model,
      messages: [
        Message(role: "system", content: [.text(settings.systemPrompt)]),
        Message(role: "user", content: content),
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
