import Foundation
import Kino
import KinoTestSupport
import Testing

// An expander that waits for good would run into the limit. Shorter ones would measure other tests.
@Suite(.timeLimit(.minutes(4))) struct ChatExpanderTests {
  static let description =
    "A red ball rolls over wet grass at dusk, filmed from low above the ground."

  /// What an endpoint says that answers with a text.
  static func reply(_ content: String, finish: String = "stop", refusal: String? = nil) throws
    -> String
  {
    var message: [String: Any] = ["role": "assistant", "content": content]
    message["refusal"] = refusal ?? NSNull()
    let reply: [String: Any] = [
      "id": "1", "object": "chat.completion",
      "choices": [["index": 0, "message": message, "finish_reason": finish]],
    ]
    return String(decoding: try JSONSerialization.data(withJSONObject: reply), as: UTF8.self)
  }

  /// Expands "red ball" by a server that answers so.
  func expand(
    _ parts: [LoopbackServer.Part], timeout: Double = 120
  ) async throws -> (prompt: String, warning: String?) {
    let server = try LoopbackServer(answering: parts)
    let expander = try ChatExpander(
      ChatSettings(url: server.url, model: "toy", timeout: timeout), environment: [:])
    let result = await expander.expand("red ball", seed: 3)
    // A server that nobody holds ends.
    return withExtendedLifetime(server) { result }
  }

  @Test func `A description comes from the endpoint, which is asked as its interface says`()
    async throws
  {
    let server = try LoopbackServer(answering: LoopbackServer.json(Self.reply(Self.description)))
    let settings = ChatSettings(
      url: server.url, model: "toy-8b", keyVariable: "TOY_KEY", systemPrompt: "Describe!")
    let expander: any PromptExpanding = try ChatExpander(
      settings, environment: ["TOY_KEY": "secret-7\n"])
    let (prompt, warning) = await expander.expand("  a \"red\" ball ", seed: .max)
    #expect(prompt == Self.description && warning == nil)
    let request = try #require(server.requests.first)
    #expect(request.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
    #expect(request.contains("Authorization: Bearer secret-7\r\n"))
    let body = try #require(request.range(of: "\r\n\r\n")).upperBound
    let json = try JSONSerialization.jsonObject(with: Data(request[body...].utf8))
    let question = try #require(json as? [String: Any])
    #expect(question["model"] as? String == "toy-8b")
    #expect(question["stream"] as? Bool == false)
    #expect(question["seed"] as? Int == 0x7FFF_FFFF)
    let messages = try #require(question["messages"] as? [[String: String]])
    #expect(
      messages == [
        ["role": "system", "content": "Describe!"], ["role": "user", "content": "a \"red\" ball"],
      ])
  }

  @Test(arguments: [
    "  \"\(description)\"\n", "<think>The user\nwants a ball.</think>\n\n\(description)",
    description.replacingOccurrences(of: " ", with: "\n\n"), "«\(description)»",
  ])
  func `Quotation marks, thoughts and line breaks are taken off`(content: String) async throws {
    let result = try await expand(LoopbackServer.json(Self.reply(content)))
    #expect(result.prompt == Self.description && result.warning == nil)
  }

  @Test(arguments: [
    ("", "answered nothing"), (" \n ", "answered nothing"),
    ("<html><body>Sign in to the wireless network</body></html>", "no description"),
    ("{\"prompt\": \"a red ball rolls over the grass\"}", "no description"),
    ("```\na red ball\n```", "no description"), ("\u{0}\u{1}\u{2} a ball", "no description"),
    ("0.1 0.2 0.3 0.4 0.5", "no description"), ("🎈🎈🎈", "no description"),
    (String(repeating: "A red ball. ", count: 400), "longer than 2000"),
    ("I'm sorry, but I can't help with that.", "refuses"),
    ("I’m unable to describe this.", "refuses"), ("Извините, я не могу этого сделать.", "refuses"),
  ])
  func `A text that is no description is not used`(content: String, reason: String) async throws {
    let result = try await expand(LoopbackServer.json(Self.reply(content)))
    #expect(result.prompt == "red ball")
    #expect(result.warning?.contains(reason) == true, "\(result.warning ?? "none")")
  }

  @Test func `Refusals and cut texts are known by their marks too`() async throws {
    let text = Self.description
    let refused = try await expand(LoopbackServer.json(Self.reply(text, refusal: "No.")))
    #expect(refused.prompt == "red ball" && refused.warning?.contains("refuses") == true)
    let filtered = try await expand(
      LoopbackServer.json(Self.reply(text, finish: "content_filter")))
    #expect(filtered.prompt == "red ball" && filtered.warning?.contains("refuses") == true)
    let cut = try await expand(LoopbackServer.json(Self.reply(text, finish: "length")))
    #expect(cut.prompt == "red ball" && cut.warning?.contains("cut off") == true)
  }

  static let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
  static let answers: [(name: String, parts: [LoopbackServer.Part], reason: String)] = [
    ("bad status", LoopbackServer.json("{}", status: "500 Oh"), "answered 500"),
    ("no key", LoopbackServer.json("{\"error\": 1}", status: "401 No"), "answered 401"),
    (
      "redirection",
      [.text("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")],
      "answered 302"
    ),
    ("HTML", LoopbackServer.json("<!DOCTYPE html><p>Hello</p>"), "no chat reply"),
    ("no choices", LoopbackServer.json("{\"choices\": []}"), "no chat reply"),
    ("other JSON", LoopbackServer.json("[1, 2, {\"choices\": null}]"), "no chat reply"),
    (
      "deep JSON", LoopbackServer.json(String(repeating: "[", count: 200_000)), "no chat reply"
    ),
    (
      "no text", [.text(head + "Content-Length: 4\r\n\r\n"), .bytes([0xFF, 0xFE, 0, 0x80])],
      "no chat reply"
    ),
    ("half a body", [.text(head + "Content-Length: 500\r\n\r\n{\"choices\": [")], "127.0.0.1"),
    ("no HTTP", [.bytes([UInt8](repeating: 0x16, count: 300))], "cannot be reached"),
    ("an end at once", [], "cannot be reached"),
    (
      "a stated size that is huge",
      [.text(head + "Content-Length: 99999999999\r\n\r\n"), .silence],
      "larger than"
    ),
    (
      "a body without end",
      [
        .text(head + "Connection: close\r\n\r\n"),
        .forever([UInt8](repeating: 0x20, count: 1 << 16), every: 0),
      ], "larger than"
    ),
  ]

  @Test(arguments: answers.indices)
  func `Whatever a broken endpoint answers, the prompt stays, with a warning`(
    index: Int
  ) async throws {
    let (name, parts, reason) = Self.answers[index]
    let result = try await expand(parts)
    #expect(result.prompt == "red ball", "\(name)")
    let warning = try #require(result.warning)
    #expect(warning.contains(reason), "\(name): \(warning)")
    #expect(warning.hasPrefix("The prompt is used as it is: ") && warning.hasSuffix("."))
  }

  @Test(arguments: [
    [LoopbackServer.Part.silence],
    [.text(head + "Content-Length: 5000\r\n\r\n"), .forever([0x20], every: 0.05)],
    [.forever(Array("HTTP/1.1 200 OK\r\nX: y".utf8), every: 0.05)],
  ])
  func `A slow endpoint is waited for no longer than the time limit`(
    parts: [LoopbackServer.Part]
  ) async throws {
    let result = try await expand(parts, timeout: 0.6)
    #expect(result.prompt == "red ball" && result.warning != nil)
  }

  @Test func `No endpoint at all, an endless prompt and a cancelled task leave the prompt`()
    async throws
  {
    let closed = try LoopbackServer(answering: []).url
    let nobody = try ChatExpander(ChatSettings(url: closed, model: "toy"), environment: [:])
    #expect(await nobody.expand("ball", seed: 1).warning?.contains("cannot be reached") == true)
    let long = String(repeating: "ball ", count: 2000)
    let unsent = await nobody.expand(long, seed: 1)
    #expect(unsent.prompt == long && unsent.warning?.contains("longer") == true)
    let server = try LoopbackServer(answering: [.silence])
    let slow = try ChatExpander(
      ChatSettings(url: server.url, model: "toy", timeout: 600), environment: [:])
    let task = Task { await slow.expand("ball", seed: 1) }
    while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    task.cancel()
    let left = await task.value
    #expect(left.prompt == "ball" && left.warning?.contains("cancelled") == true)
  }
}

@Suite(.timeLimit(.minutes(4))) struct ClipDescriberTests {
  let clip = Clip(
    frames: (0..<9).map {
      Frame(width: 32, height: 16, color: Color(red: UInt8($0 * 20), green: 9, blue: 9))
    }, framesPerSecond: 8)

  @Test func `A vision model is shown four frames, and its caption comes back`() async throws {
    let text = "A dark red wall that slowly grows brighter."
    let server = try LoopbackServer(
      answering: LoopbackServer.json(ChatExpanderTests.reply(text)))
    let describer = try ClipDescriber(
      ChatSettings(url: server.url, model: "eye", timeout: 120), environment: [:])
    let (caption, failure) = try await describer.caption(of: clip)
    #expect(caption == text && failure == nil)
    let request = try #require(server.requests.first)
    let body = try #require(request.range(of: "\r\n\r\n")).upperBound
    let json = try JSONSerialization.jsonObject(with: Data(request[body...].utf8))
    let messages = try #require((json as? [String: Any])?["messages"] as? [[String: Any]])
    #expect(messages.first?["content"] as? String == ClipDescriber.defaultSystemPrompt)
    let parts = try #require(messages.last?["content"] as? [[String: Any]])
    #expect(
      parts.map { $0["type"] as? String } == ["text"] + Array(repeating: "image_url", count: 4))
    let address = (parts.last?["image_url"] as? [String: String])?["url"] ?? ""
    let jpeg = try #require(Data(base64Encoded: String(address.dropFirst(23))))
    #expect(address.hasPrefix("data:image/jpeg;base64,") && jpeg.prefix(2) == Data([0xFF, 0xD8]))
  }

  @Test func `An endpoint that fails gives the reason`() async throws {
    let server = try LoopbackServer(answering: [
      .text("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    ])
    let describer = try ClipDescriber(
      ChatSettings(url: server.url, model: "eye", timeout: 120), environment: [:])
    let (caption, failure) = try await describer.caption(of: clip)
    #expect(caption == nil && failure?.contains("500") == true)
  }
}
