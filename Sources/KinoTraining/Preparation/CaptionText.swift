internal import Foundation

/// The text of a caption file: UTF-8, or UTF-16 with a byte order mark.
struct CaptionText {
  /// One line; empty if the file has no text.
  let text: String
  /// What was mended, in words.
  let notes: [String]

  /// Reads at most 64 KiB; `nil` if it is not text.
  init?(contentsOf path: String) {
    guard let file = FileHandle(forReadingAtPath: path) else { return nil }
    defer { try? file.close() }
    guard let data = try? file.read(upToCount: (1 << 16) + 1) ?? Data(), data.count <= 1 << 16
    else { return nil }
    self.init(data)
  }

  /// Reads the bytes of a file; `nil` if they are not text.
  init?(_ data: Data) {
    var notes: [String] = []
    let raw: String?
    switch data.prefix(3) {
    case Data([0xEF, 0xBB, 0xBF]):
      notes.append("caption begins with a byte order mark")
      raw = String(data: data.dropFirst(3), encoding: .utf8)
    case let start where start.prefix(2) == Data([0xFF, 0xFE]):
      notes.append("caption is UTF-16")
      raw = String(data: data.dropFirst(2), encoding: .utf16LittleEndian)
    case let start where start.prefix(2) == Data([0xFE, 0xFF]):
      notes.append("caption is UTF-16")
      raw = String(data: data.dropFirst(2), encoding: .utf16BigEndian)
    default: raw = String(data: data, encoding: .utf8)
    }
    guard let raw, !raw.unicodeScalars.contains("\0") else { return nil }
    if raw.contains("\r\n") { notes.append("caption has CRLF line ends") }
    text = raw.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    self.notes = notes
  }
}
