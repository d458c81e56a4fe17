/// Stores and finds a text in the bytes of a picture file.
///
/// PNG: an `iTXt` chunk with keyword `Comment`; JPEG: `COM` segments; GIF: a comment extension;
/// WebP: the description in an XMP packet.
enum PictureComment {
  /// Returns the file with the text in it; without a text, the file as it is.
  static func inserted(_ text: String?, into file: [UInt8], of format: MediaFormat) -> [UInt8] {
    guard let text else { return file }
    switch format {
    case .png: return insertedIntoPNG(Array(text.utf8), file)
    case .jpeg: return insertedIntoJPEG(Array(text.utf8), file)
    case .gif: return insertedIntoGIF(Array(text.utf8), file)
    case .webp: return insertedIntoWebP(text, file)
    case .mp4, .mov: return file
    }
  }

  /// Returns the text of a PNG, JPEG, GIF or WebP; `nil` if there is none or the file is another.
  static func read(from source: FileSource) -> String? {
    let head = source.bytes(at: 0, count: 12)
    guard head.count == 12 else { return nil }
    if head.starts(with: [0x89, 0x50, 0x4e, 0x47]) { return readPNG(source) }
    if head.starts(with: [0xff, 0xd8, 0xff]) { return readJPEG(source) }
    if head.starts(with: Array("GIF8".utf8)) { return readGIF(source) }
    if head.starts(with: Array("RIFF".utf8)), head[8...].elementsEqual("WEBP".utf8) {
      return readWebP(source)
    }
    return nil
  }

  /// Longer texts are not ours; reading them would only cost memory.
  private static let longest = 16 << 20

  private static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func little(_ value: Int, _ count: Int) -> [UInt8] { big(value, count).reversed() }
}

// MARK: - PNG

extension PictureComment {
  private static let pngKeyword = Array("Comment".utf8)

  private static func insertedIntoPNG(_ text: [UInt8], _ file: [UInt8]) -> [UInt8] {
    // Keyword, not compressed, no language, no translated keyword.
    let data = Array("iTXt".utf8) + pngKeyword + [0, 0, 0, 0, 0] + text
    let chunk = big(data.count - 4, 4) + data + big(Int(checksum(data)), 4)
    // After the signature and the header chunk.
    let place = 8 + 25
    guard file.count > place else { return file }
    return file[..<place] + chunk + file[place...]
  }

  private static func readPNG(_ source: FileSource) -> String? {
    var offset = 8
    while true {
      let head = source.bytes(at: offset, count: 8)
      guard head.count == 8 else { return nil }
      let count = PictureHeader.big(head, 0, 4)
      if head[4...].elementsEqual("iTXt".utf8), count <= longest {
        let data = source.bytes(at: offset + 8, count: count)
        if let text = internationalText(data) { return text }
      }
      offset += count + 12
    }
  }

  /// The text of an `iTXt` chunk, if it is a plain comment.
  private static func internationalText(_ data: [UInt8]) -> String? {
    var parts = data[...]
    func take() -> ArraySlice<UInt8>? {
      guard let end = parts.firstIndex(of: 0) else { return nil }
      defer { parts = parts[(end + 1)...] }
      return parts[..<end]
    }
    guard let keyword = take(), keyword.elementsEqual(pngKeyword), parts.count >= 2,
      parts.first == 0
    else { return nil }
    parts = parts.dropFirst(2)
    guard take() != nil, take() != nil else { return nil }
    return String(decoding: parts, as: UTF8.self)
  }

  /// The CRC-32 of PNG chunks.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

// MARK: - JPEG

extension PictureComment {
  private static func insertedIntoJPEG(_ text: [UInt8], _ file: [UInt8]) -> [UInt8] {
    var place = 2
    // JFIF wants its segment to be the first.
    if file.count > 6, file[2] == 0xff, file[3] == 0xe0 {
      place += 2 + PictureHeader.big(file, 4, 2)
    }
    guard file.count > place else { return file }
    var segments: [UInt8] = []
    for start in stride(from: 0, to: text.count, by: 65_533) {
      let part = text[start..<min(text.count, start + 65_533)]
      segments += [0xff, 0xfe] + big(part.count + 2, 2) + part
    }
    return file[..<place] + segments + file[place...]
  }

  private static func readJPEG(_ source: FileSource) -> String? {
    var offset = 2
    var text: [UInt8] = []
    while text.count <= longest {
      let head = source.bytes(at: offset, count: 4)
      guard head.count == 4, head[0] == 0xff, head[1] != 0xda else { break }
      if head[1] == 0xff {
        offset += 1
        continue
      }
      let count = PictureHeader.big(head, 2, 2)
      if head[1] == 0xfe { text += source.bytes(at: offset + 4, count: max(0, count - 2)) }
      offset += 2 + count
    }
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }
}

// MARK: - GIF

extension PictureComment {
  private static func insertedIntoGIF(_ text: [UInt8], _ file: [UInt8]) -> [UInt8] {
    guard file.last == 0x3b else { return file }
    var block: [UInt8] = [0x21, 0xfe]
    for start in stride(from: 0, to: text.count, by: 255) {
      let part = text[start..<min(text.count, start + 255)]
      block += [UInt8(part.count)] + part
    }
    return file.dropLast() + block + [0, 0x3b]
  }

  private static func readGIF(_ source: FileSource) -> String? {
    var text: [UInt8] = []
    GIFBlocks.walk(source) { label, data in
      if label == GIFBlocks.comment { text += data }
      return text.count <= longest
    }
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }
}

// MARK: - WebP

extension PictureComment {
  private static func insertedIntoWebP(_ text: String, _ file: [UInt8]) -> [UInt8] {
    guard file.count >= 30 else { return file }
    var body = Array(file[12...])
    if body.starts(with: Array("VP8X".utf8)) {
      body[8] |= 4
    } else if let size = PictureHeader.webP(file) {
      let header = little(size.width - 1, 3) + little(size.height - 1, 3)
      body = Array("VP8X".utf8) + little(10, 4) + [4, 0, 0, 0] + header + body
    }
    let packet = Array(xmpStart.utf8) + Array(escaped(text).utf8) + Array(xmpEnd.utf8)
    body += Array("XMP ".utf8) + little(packet.count, 4) + packet
    if packet.count % 2 == 1 { body.append(0) }
    return Array("RIFF".utf8) + little(body.count + 4, 4) + Array("WEBP".utf8) + body
  }

  private static func readWebP(_ source: FileSource) -> String? {
    var offset = 12
    while true {
      let head = source.bytes(at: offset, count: 8)
      guard head.count == 8 else { return nil }
      let count = PictureHeader.little(head, 4, 4)
      if head.starts(with: Array("XMP ".utf8)), count <= longest {
        return description(inPacket: source.bytes(at: offset + 8, count: count))
      }
      offset += 8 + count + count % 2
    }
  }

  private static let xmpStart = """
    <?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">\
    <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
    <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">\
    <dc:description><rdf:Alt><rdf:li xml:lang="x-default">
    """
  private static let xmpEnd = """
    </rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>\
    <?xpacket end="r"?>
    """
  private static let entities = [
    ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&"),
  ]

  private static func escaped(_ text: String) -> String {
    entities.reversed().reduce(text) { $0.replacing($1.1, with: $1.0) }
  }

  private static func description(inPacket packet: [UInt8]) -> String? {
    let text = String(decoding: packet, as: UTF8.self)
    guard let field = text.firstRange(of: "<dc:description"),
      let item = text[field.upperBound...].firstRange(of: "<rdf:li"),
      let start = text[item.upperBound...].firstIndex(of: ">"),
      let end = text[start...].firstRange(of: "</rdf:li>")
    else { return nil }
    let content = String(text[text.index(after: start)..<end.lowerBound])
    return entities.reduce(content) { $0.replacing($1.0, with: $1.1) }
  }
}
