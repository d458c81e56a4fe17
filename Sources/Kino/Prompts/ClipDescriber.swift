import Foundation
public import KinoMedia

/// Asks a vision model what a clip shows, over the chat interface of OpenAI's API.
///
/// A few frames go to the endpoint as JPEG pictures; the caption comes back. The key goes to the
/// endpoint only: redirections are not followed.
public struct ClipDescriber: Sendable {
  private let endpoint: ChatEndpoint

  /// How many frames of a clip are shown, and the longer side at which.
  static let frameCount = 4
  static let side = 512

  /// What the model is told unless the settings say otherwise.
  public static let defaultSystemPrompt = """
    You write captions for training a video generator. You see frames of one clip in order of time. \
    Write one paragraph of at most 80 words that tells the subjects and their look, what they do, \
    the place, the light and the camera. Say only what can be seen. Don't write "the clip", "the \
    video" or "the frames". Answer with the paragraph and nothing else.
    """

  /// Prepares to ask an endpoint; it is not asked yet.
  ///
  /// - Parameters:
  ///   - settings: Which endpoint. Where its instructions are those for prompts, as in settings that
  ///     name none, ``defaultSystemPrompt`` takes their place.
  ///   - environment: The variables of the process, one of which may hold the key.
  /// - Throws: ``StudioError`` for a bad address or time limit, or a key that is missing.
  public init(
    _ settings: ChatSettings, environment: [String: String]
  ) throws(StudioError) {
    var settings = settings
    if settings.systemPrompt == ChatSettings.defaultSystemPrompt {
      settings.systemPrompt = Self.defaultSystemPrompt
    }
    endpoint = try ChatEndpoint(settings, environment: environment)
  }

  /// Asks what a clip shows.
  ///
  /// - Parameter clip: At least one frame.
  /// - Returns: One line of text, or why there is none: the end of a sentence.
  /// - Throws: `MediaError` if no JPEG can be made.
  public func caption(of clip: Clip) async throws -> (caption: String?, failure: String?) {
    var content: [ChatEndpoint.Content] = [.text("What do these frames show?")]
    for place in 0..<min(Self.frameCount, clip.frameCount) {
      let index = ContactSheet.index(
        place, of: min(Self.frameCount, clip.frameCount), in: clip.frameCount)
      content.append(.jpeg(try Self.jpeg(clip[index])))
    }
    do {
      return (try await endpoint.description(of: content, seed: 0), nil)
    } catch {
      return (nil, error.reason)
    }
  }

  private static func jpeg(_ frame: Frame) throws -> Data {
    let size = frame.size.reduced(toLongerSide: side)
    return Data(try frame.resized(to: size).encoded(as: .jpeg))
  }
}
