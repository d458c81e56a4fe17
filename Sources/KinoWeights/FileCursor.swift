/// Reads little-endian values one after another from a part of a file that is not trusted.
///
/// Reads through `pread` in large pieces, so that a file cut short meanwhile is an error.
struct FileCursor {
  let file: MappedFile
  /// Where the next value starts, from the start of the file.
  private(set) var position: Int
  private let limit: Int
  private var piece: [UInt8] = []
  private var pieceStart: Int

  private static let pieceLength = 1 << 16

  /// Reads from `position` on; nothing at or after `limit`.
  init(_ file: MappedFile, from position: Int, to limit: Int) {
    self.file = file
    self.position = position
    self.limit = min(limit, file.byteCount)
    pieceStart = position
  }

  /// Reads some bytes.
  mutating func bytes(_ count: Int, _ what: @autoclosure () -> String) throws(WeightsError)
    -> ArraySlice<UInt8>
  {
    guard count >= 0, count <= limit - position else {
      throw WeightsError(
        .truncatedHeader, at: file.path,
        expected: "\(count) bytes of \(what()) at byte \(position)",
        found: "\(max(0, limit - position))",
        advice: "The file is cut short or damaged: fetch or export it again.")
    }
    if position + count > pieceStart + piece.count {
      let end = min(limit, position + max(count, Self.pieceLength))
      piece = try file.read(position..<end)
      pieceStart = position
    }
    defer { position += count }
    return piece[position - pieceStart..<position - pieceStart + count]
  }

  /// Passes over some bytes.
  mutating func skip(_ count: Int, _ what: @autoclosure () -> String) throws(WeightsError) {
    guard count >= 0, count <= limit - position else {
      _ = try bytes(count, what())
      return
    }
    position += count
    // The next read starts a new piece.
    if position > pieceStart + piece.count { (piece, pieceStart) = ([], position) }
  }

  /// Reads a whole number.
  mutating func integer<Value: FixedWidthInteger>(
    _ type: Value.Type = Value.self, _ what: @autoclosure () -> String
  ) throws(WeightsError) -> Value {
    let bytes = try bytes(Value.bitWidth / 8, what())
    return Value(
      truncatingIfNeeded: bytes.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
  }

  /// Reads a 64-bit count that must fit an `Int` and be at most `maximum`.
  mutating func count(
    atMost maximum: Int, _ what: @autoclosure () -> String
  ) throws(WeightsError) -> Int {
    let value = try integer(UInt64.self, what())
    guard value <= UInt64(maximum) else {
      throw WeightsError(
        .badNumber, at: file.path, expected: "at most \(maximum) for \(what())", found: "\(value)")
    }
    return Int(value)
  }

  /// Reads UTF-8 text.
  mutating func text(_ count: Int, _ what: @autoclosure () -> String) throws(WeightsError) -> String
  {
    let bytes = try bytes(count, what())
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw WeightsError(
        .notUTF8, at: file.path, expected: "UTF-8 in \(what()) at byte \(position - count)",
        found: "other bytes")
    }
    return text
  }
}
