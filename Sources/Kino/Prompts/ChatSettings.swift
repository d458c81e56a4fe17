public import Foundation
internal import Yams

/// Which chat endpoint describes prompts, and how it is asked: the content of
/// `~/.config/kino/expand.yaml`.
///
/// ```yaml
/// url: http://127.0.0.1:8080/v1
/// model: qwen3-8b
/// key_variable: LLM_KEY   # or key_file: ~/.config/kino/key
/// timeout: 20
/// ```
public struct ChatSettings: Codable, Hashable, Sendable {
  /// The endpoint, as OpenAI's API has it: with or without `/chat/completions`.
  public var url: String
  /// The model that is asked.
  public var model: String
  /// A file that holds the key and nothing else; `~` is the home folder.
  public var keyFile: String?
  /// The environment variable that holds the key; exclusive with ``keyFile``.
  public var keyVariable: String?
  /// What the model is told to do.
  public var systemPrompt: String
  /// Seconds until an answer must be there in full, 0.1...600.
  public var timeout: Double

  /// What the model is told unless the settings say otherwise.
  public static let defaultSystemPrompt = """
    You turn a short idea for a video clip into a description for a video generator: one paragraph \
    of at most 120 words that tells the subjects and their look, what they do, the place, the light \
    and the camera. Keep all that the idea says. Describe only what can be seen. Write in the \
    language of the idea. Answer with the paragraph and nothing else.
    """

  /// Chooses an endpoint; nothing is checked before ``ChatExpander/init(_:environment:)``.
  public init(
    url: String, model: String, keyFile: String? = nil, keyVariable: String? = nil,
    systemPrompt: String = ChatSettings.defaultSystemPrompt, timeout: Double = 30
  ) {
    self.url = url
    self.model = model
    self.keyFile = keyFile
    self.keyVariable = keyVariable
    self.systemPrompt = systemPrompt
    self.timeout = timeout
  }

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case url, model, timeout
    case keyFile = "key_file"
    case keyVariable = "key_variable"
    case systemPrompt = "system_prompt"
  }

  /// Reads an object with `url` and `model`; all else has a default, other keys are refused.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      url: try values.decode(String.self, forKey: .url),
      model: try values.decode(String.self, forKey: .model),
      keyFile: try values.decodeIfPresent(String.self, forKey: .keyFile),
      keyVariable: try values.decodeIfPresent(String.self, forKey: .keyVariable),
      systemPrompt: try values.decodeIfPresent(String.self, forKey: .systemPrompt)
        ?? Self.defaultSystemPrompt,
      timeout: try values.decodeIfPresent(Double.self, forKey: .timeout) ?? 30)
    let known = CodingKeys.allCases.map(\.rawValue)
    let found = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
    if let unknown = found.filter({ !known.contains($0) }).min() {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: [],
          debugDescription: "expected \(known.joined(separator: ", ")), found \"\(unknown)\""))
    }
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}

// MARK: - Files

extension ChatSettings {
  /// Where the settings are kept: `kino/expand.yaml` in an environment's `XDG_CONFIG_HOME`, or in
  /// `~/.config`.
  public static func file(environment: [String: String]) -> URL {
    let folder = environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    let base =
      folder.map { URL(filePath: $0) }
      ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".config")
    return base.appending(path: "kino/expand.yaml")
  }

  /// Reads settings from YAML or JSON of at most 64 KiB.
  ///
  /// - Throws: ``StudioError`` if there is no such file, or it holds something else.
  public init(contentsOf url: URL) throws(StudioError) {
    let text = try Self.text(of: url.path, atMost: 1 << 16)
    do {
      self = try YAMLDecoder().decode(Self.self, from: text)
    } catch {
      throw StudioError(
        .invalidSetting,
        "\(url.path): expected YAML with url and model, and maybe key_file or key_variable, "
          + "system_prompt and timeout. \(Self.reason(error))")
    }
  }

  /// The key, if the settings name one.
  func key(environment: [String: String]) throws(StudioError) -> String? {
    let key: String
    switch (keyFile, keyVariable) {
    case (nil, nil): return nil
    case (_?, _?):
      throw StudioError(
        .invalidSetting, "expected key_file or key_variable, found both; leave one out")
    case (let file?, nil):
      key = try Self.text(of: file.expandingTilde, atMost: 1 << 12)
    case (nil, let variable?):
      guard let value = environment[variable] else {
        throw StudioError(
          .invalidSetting,
          "expected a key in the environment variable \(variable), which is not set")
      }
      key = value
    }
    let trimmed = key.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !trimmed.isEmpty, trimmed.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw StudioError(
        .invalidSetting,
        "\(keyFile ?? keyVariable ?? ""): expected a key in one line of ASCII and nothing else")
    }
    return trimmed
  }

  private static func text(of path: String, atMost limit: Int) throws(StudioError) -> String {
    // Others, such as pipes, may never end.
    let resolved = URL(filePath: path).resolvingSymlinksInPath().path
    let attributes = try? FileManager.default.attributesOfItem(atPath: resolved)
    guard let attributes, attributes[.type] as? FileAttributeType == .typeRegular else {
      throw StudioError(
        .invalidSetting,
        "\(path): expected a file with `url` and `model` of a chat endpoint, found none; write one."
      )
    }
    guard let size = attributes[.size] as? Int, size <= limit,
      let text = try? String(contentsOfFile: resolved, encoding: .utf8)
    else {
      throw StudioError(
        .invalidSetting, "\(path): expected readable text of at most \(limit) bytes")
    }
    return text
  }

  private static func reason(_ error: any Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound(let key, _): "\"\(key.stringValue)\" is missing."
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")) is of the wrong kind."
    case .dataCorrupted(let context): "\(context.debugDescription)."
    default: "\(error)"
    }
  }
}
