import Foundation

/// A reply of the chat interface, and what in it is no description.
struct ChatReply: Decodable {
  struct Choice: Decodable {
    struct Message: Decodable {
      let content: String?
      let refusal: String?
    }
    let message: Message
    let finishReason: String?

    enum CodingKeys: String, CodingKey {
      case message
      case finishReason = "finish_reason"
    }
  }
  let choices: [Choice]

  /// Finds the description in a reply's body.
  static func description(
    in body: Data, of host: String, limit: Int
  ) throws(ChatFailure) -> String {
    guard let reply = try? JSONDecoder().decode(ChatReply.self, from: body),
      let choice = reply.choices.first
    else {
      throw ChatFailure("the answer of \(host) is no chat reply")
    }
    let refusal = choice.message.refusal.map { !$0.isEmpty } ?? false
    if refusal || choice.finishReason == "content_filter" {
      throw ChatFailure("\(host) refuses to describe it")
    }
    if choice.finishReason == "length" {
      throw ChatFailure("the description of \(host) is cut off")
    }
    let text = plain(choice.message.content ?? "")
    if text.isEmpty { throw ChatFailure("\(host) answered nothing") }
    if text.count > limit {
      throw ChatFailure("the description of \(host) is longer than \(limit) characters")
    }
    if isRefusal(text) { throw ChatFailure("\(host) refuses to describe it") }
    guard isProse(text) else { throw ChatFailure("the answer of \(host) is no description") }
    return text
  }

  /// One line, without quotation marks around it and without the thoughts that some models put
  /// before their answers.
  private static func plain(_ content: String) -> String {
    var text = content[...]
    if let thoughts = text.range(of: "</think>", options: .backwards) {
      text = text[thoughts.upperBound...]
    }
    var line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for (open, close) in [("\"", "\""), ("“", "”"), ("«", "»"), ("'", "'")]
    where line.count > 2 && line.hasPrefix(open) && line.hasSuffix(close) {
      line = String(line.dropFirst().dropLast())
    }
    return line
  }

  /// Whether a text begins as models do that will not answer.
  private static func isRefusal(_ text: String) -> Bool {
    let start = text.prefix(60).lowercased().replacing("’", with: "'")
    let openings = [
      "i'm sorry", "i am sorry", "sorry", "i can't", "i cannot", "i can not", "i'm unable",
      "i am unable", "i'm not able", "i won't", "as an ai", "unfortunately, i", "извините",
      "простите", "к сожалению, я", "я не могу", "как языковая модель",
    ]
    return openings.contains { start.hasPrefix($0) }
  }

  /// Whether a text is words, not markup, data or code.
  private static func isProse(_ text: String) -> Bool {
    let hasControls = text.unicodeScalars.contains {
      $0.properties.generalCategory == .control || $0 == "\u{FFFD}"
    }
    let marked = ["<", "{", "[", "```", "#", "|"].contains { text.hasPrefix($0) }
    let visible = text.filter { !$0.isWhitespace }
    return !hasControls && !marked && visible.count { $0.isLetter } * 10 >= visible.count * 7
  }
}
