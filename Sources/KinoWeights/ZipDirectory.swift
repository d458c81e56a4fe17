/// The files inside a zip file, without reading them (APPNOTE 6.3.10 by PKWARE, with 64-bit sizes).
///
/// Only files stored as they are count: `torch.save` compresses nothing.
struct ZipDirectory {
  /// Where the bytes of each file lie, by name.
  private(set) var ranges: [String: Range<Int>] = [:]

  private static let maximumByteCount = 64_000_000
  private static let end = "the end of the zip file"

  init(_ file: MappedFile) throws(WeightsError) {
    let place = try Self.find(in: file)
    var cursor = FileCursor(file, from: place.lowerBound, to: place.upperBound)
    while cursor.position < place.upperBound { try readEntry(&cursor) }
  }

  // MARK: - Finding the directory

  /// Returns where the central directory lies.
  private static func find(in file: MappedFile) throws(WeightsError) -> Range<Int> {
    // The last record may have a comment of up to 64 kB behind it.
    let start = max(0, file.byteCount - 22 - 0xFFFF)
    let tail = try file.read(start..<file.byteCount)
    let offsets = stride(from: tail.count - 22, through: 0, by: -1)
    guard let offset = offsets.first(where: { tail[$0...].starts(with: [0x50, 0x4B, 5, 6]) }) else {
      throw WeightsError(
        .truncatedHeader, at: file.path, expected: "the directory at the end of a zip file",
        found: "none", advice: "The file is cut short: fetch it again.")
    }
    var cursor = FileCursor(file, from: start + offset + 12, to: file.byteCount)
    var length = Int(try cursor.integer(UInt32.self, end))
    var position = Int(try cursor.integer(UInt32.self, end))
    if length == 0xFFFF_FFFF || position == 0xFFFF_FFFF {
      (length, position) = try find64(before: start + offset, in: file)
    }
    guard length <= maximumByteCount, position <= start + offset,
      length <= start + offset - position
    else {
      throw WeightsError(
        .outOfRange, at: file.path, expected: "the zip file's directory inside the file",
        found: "\(length) bytes at \(position)")
    }
    return position..<position + length
  }

  private static func find64(
    before end: Int, in file: MappedFile
  ) throws(WeightsError) -> (length: Int, position: Int) {
    let what = "the 64-bit end of the zip file"
    var locator = FileCursor(file, from: max(0, end - 20), to: end)
    try expect(0x0706_4B50, &locator, what)
    try locator.skip(4, what)
    let place = try locator.count(atMost: file.byteCount, what)
    var record = FileCursor(file, from: place, to: end)
    try expect(0x0606_4B50, &record, what)
    try record.skip(36, what)
    let length = try record.count(atMost: file.byteCount, what)
    return (length, try record.count(atMost: file.byteCount, what))
  }

  private static func expect(
    _ signature: UInt32, _ cursor: inout FileCursor, _ what: String
  ) throws(WeightsError) {
    let position = cursor.position
    guard try cursor.integer(UInt32.self, what) == signature else {
      throw WeightsError(
        .badEntry, at: cursor.file.path, expected: "\(what) at byte \(position)",
        found: "another signature")
    }
  }

  // MARK: - Entries

  private mutating func readEntry(_ cursor: inout FileCursor) throws(WeightsError) {
    let what = "an entry of the zip file"
    try Self.expect(0x0201_4B50, &cursor, what)
    try cursor.skip(4, what)
    let flags = try cursor.integer(UInt16.self, what)
    let method = try cursor.integer(UInt16.self, what)
    try cursor.skip(8, what)
    let compressed = try cursor.integer(UInt32.self, what)
    let size = try cursor.integer(UInt32.self, what)
    let nameLength = Int(try cursor.integer(UInt16.self, what))
    let extraLength = Int(try cursor.integer(UInt16.self, what))
    let commentLength = Int(try cursor.integer(UInt16.self, what))
    try cursor.skip(8, what)
    let offset = try cursor.integer(UInt32.self, what)
    let name = try cursor.text(nameLength, "a name in the zip file")
    let extra = Array(try cursor.bytes(extraLength, what))
    try cursor.skip(commentLength, what)
    guard method == 0, flags & 1 == 0 else {
      throw WeightsError(
        .unsupportedFormat, at: cursor.file.path,
        expected: "files stored without compression, as torch.save writes them",
        found: "\(quoted(name)) compressed or encrypted",
        advice: "Unpack the archive if it is one, or save the weights again with torch.save.")
    }
    let wide = Self.wide([size, compressed, offset], extra: extra)
    guard let wide, wide[0] == wide[1] else {
      throw WeightsError(
        .badEntry, at: cursor.file.path, expected: "the size of \(quoted(name))", found: "none")
    }
    let range = try Self.data(of: name, headerAt: wide[2], size: wide[0], cursor.file)
    guard ranges.updateValue(range, forKey: name) == nil else {
      throw WeightsError(
        .duplicateKey, at: cursor.file.path, expected: "each name once in the zip file",
        found: "\(quoted(name)) twice")
    }
  }

  /// Takes fields that do not fit 32 bits from the extra field 1, where they stand in order.
  private static func wide(_ fields: [UInt32], extra: [UInt8]) -> [Int]? {
    func value(_ offset: Int, _ count: Int) -> UInt64? {
      guard offset + count <= extra.count else { return nil }
      return extra[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    var field = 0
    while let kind = value(field, 2), let length = value(field + 2, 2), kind != 1 {
      field += 4 + Int(length)
    }
    field += 4
    var result: [Int] = []
    for narrow in fields {
      guard narrow == .max else { result.append(Int(narrow)); continue }
      guard let wide = value(field, 8), let number = Int(exactly: wide) else { return nil }
      result.append(number)
      field += 8
    }
    return result
  }

  /// Returns where a file's bytes lie, behind a header of its own whose length differs.
  private static func data(
    of name: String, headerAt offset: Int, size: Int, _ file: MappedFile
  ) throws(WeightsError) -> Range<Int> {
    let what = "the header of \(quoted(name))"
    var cursor = FileCursor(file, from: min(offset, file.byteCount), to: file.byteCount)
    try expect(0x0403_4B50, &cursor, what)
    try cursor.skip(22, what)
    let nameLength = Int(try cursor.integer(UInt16.self, what))
    let extraLength = Int(try cursor.integer(UInt16.self, what))
    try cursor.skip(nameLength + extraLength, what)
    guard size <= file.byteCount - cursor.position else {
      throw WeightsError(
        .outOfRange, at: file.path, expected: "\(size) bytes for \(quoted(name))",
        found: "\(file.byteCount - cursor.position)",
        advice: "The file is cut short or damaged: fetch it again.")
    }
    return cursor.position..<cursor.position + size
  }
}
