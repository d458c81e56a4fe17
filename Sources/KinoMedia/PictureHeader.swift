/// Reads the size of a picture from its first bytes, without decoding.
enum PictureHeader {
  /// Returns the size a PNG, GIF, BMP, WebP or JPEG states; `nil` for anything else.
  static func size(of source: FileSource) -> (width: Int, height: Int)? {
    let head = source.bytes(at: 0, count: 32)
    if head.count >= 24, head.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
      return (big(head, 16, 4), big(head, 20, 4))
    }
    if head.count >= 10, head.starts(with: Array("GIF8".utf8)) {
      return (little(head, 6, 2), little(head, 8, 2))
    }
    if head.count >= 26, head.starts(with: Array("BM".utf8)), little(head, 14, 4) >= 40 {
      let height = Int(Int32(truncatingIfNeeded: little(head, 22, 4)))
      return (little(head, 18, 4), height.magnitude > UInt32.max ? 0 : abs(height))
    }
    if head.count >= 30, head.starts(with: Array("RIFF".utf8)),
      head[8..<12].elementsEqual("WEBP".utf8)
    {
      return webP(head)
    }
    return head.starts(with: [0xff, 0xd8, 0xff]) ? jpeg(source) : nil
  }

  static func webP(_ head: [UInt8]) -> (width: Int, height: Int)? {
    switch String(decoding: head[12..<16], as: UTF8.self) {
    case "VP8X": return (little(head, 24, 3) + 1, little(head, 27, 3) + 1)
    case "VP8 ": return (little(head, 26, 2) & 0x3fff, little(head, 28, 2) & 0x3fff)
    case "VP8L":
      let bits = little(head, 21, 4)
      return ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
    default: return nil
    }
  }

  private static func jpeg(_ source: FileSource) -> (width: Int, height: Int)? {
    var offset = 2
    for _ in 0..<1000 {
      let head = source.bytes(at: offset, count: 9)
      guard head.count == 9, head[0] == 0xff else { return nil }
      let isStartOfFrame =
        (0xc0...0xcf).contains(head[1]) && ![0xc4, 0xc8, 0xcc].contains(head[1])
      if isStartOfFrame { return (big(head, 7, 2), big(head, 5, 2)) }
      guard head[1] != 0xda else { return nil }
      offset += head[1] == 0xff ? 1 : 2 + big(head, 2, 2)
    }
    return nil
  }

  static func big(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    bytes[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) }
  }

  static func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
