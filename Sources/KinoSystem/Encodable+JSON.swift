package import Foundation

extension Encodable {
  /// The value as JSON on one line, keys in order.
  package var sortedJSON: Data {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return try encoder.encode(self)
    }
  }

  /// The same as text; an empty object for what can't be encoded, such as a number that is not finite.
  package var jsonLine: String {
    (try? sortedJSON).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
