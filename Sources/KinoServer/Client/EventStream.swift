import Foundation

/// Reads server-sent events (HTML, section 9.2) as their bytes come in.
struct EventStream {
  struct Event: Equatable {
    let name: String
    let data: String
  }

  private var line: [UInt8] = []
  private var name = ""
  private var data: [String] = []

  /// More is no event of ours.
  private static let limit = 64 << 20

  /// Takes bytes, and gives the events that they complete.
  mutating func read(_ bytes: some Sequence<UInt8>) throws -> [Event] {
    var events: [Event] = []
    for byte in bytes {
      guard byte == 10 else {
        line.append(byte)
        guard line.count < Self.limit else {
          throw ServerError(.unreachable, "The server sends a line without end; is it kino serve?")
        }
        continue
      }
      if line.last == 13 { line.removeLast() }
      let text = String(decoding: line, as: UTF8.self)
      line = []
      if text.isEmpty {
        if !data.isEmpty {
          events.append(
            Event(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n")))
        }
        (name, data) = ("", [])
      } else if let value = Self.value("event", text) {
        name = value
      } else if let value = Self.value("data", text) {
        data.append(value)
      }
    }
    return events
  }

  private static func value(_ field: String, _ line: String) -> String? {
    guard line.hasPrefix(field + ":") else { return nil }
    let value = line.dropFirst(field.count + 1)
    return String(value.first == " " ? value.dropFirst() : value)
  }
}
