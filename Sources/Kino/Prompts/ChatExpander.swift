import Foundation

/// Asks a language model for a description of what a short prompt means, over the chat interface of
/// OpenAI's API.
///
/// Whatever goes wrong with the endpoint, the prompt comes back as it is within the time limit. The
/// key goes to the endpoint only: redirections are not followed.
public struct ChatExpander: PromptExpanding {
  private let endpoint: ChatEndpoint

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
    endpoint = try ChatEndpoint(settings, environment: environment)
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
    return try await endpoint.description(of: [.text(text)], seed: seed)
  }
}
