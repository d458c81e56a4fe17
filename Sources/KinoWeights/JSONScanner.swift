/// Reads untrusted JSON strictly, token by token, in constant depth.
///
/// Foundation's decoder swallows duplicate keys, which in a checkpoint means two meanings for the
/// same bytes, and builds a tree of a header that may be 100 MB long. Here callers see every
/// member in turn and refuse duplicates themselves. Faults are named by their byte, which Foundation
/// on Linux leaves out.
struct JSONScanner {
  private let bytes: [UInt8]
  private var position = 0
  let path: String

  init(_ bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  // MARK: - Values

  /// Reads an object; `member` reads each value after its key.
  mutating func object(
    _ member: (inout JSONScanner, String) throws(WeightsError) -> Void
  ) throws(WeightsError) {
    try expect("{")
    skipSpace()
    if consume("}") { return }
    while true {
      skipSpace()
      let key = try string()
      skipSpace()
      try expect(":")
      skipSpace()
      try member(&self, key)
      skipSpace()
      if consume("}") { return }
      try expect(",")
    }
  }

  /// Reads an array; `element` reads each value.
  mutating func array(
    _ element: (inout JSONScanner) throws(WeightsError) -> Void
  ) throws(WeightsError) {
    try expect("[")
    skipSpace()
    if consume("]") { return }
    while true {
      skipSpace()
      try element(&self)
      skipSpace()
      if consume("]") { return }
      try expect(",")
    }
  }

  /// Reads a whole number of 0 or more that fits an `Int`.
  mutating func unsigned() throws(WeightsError) -> Int {
    let start = position
    var value = 0
    while let digit = peek, Self.isDigit(digit) {
      let (scaled, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (next, over) = scaled.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
      guard !tooLarge, !over else { throw badNumber("a number beyond 64 bits", at: start) }
      value = next
      position += 1
    }
    switch peek {
    case UInt8(ascii: "-") where position == start:
      throw badNumber("a negative number", at: start)
    case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
      guard position > start else { throw unexpected("a number") }
      throw badNumber("a number with a fraction or an exponent", at: start)
    default:
      break
    }
    guard position > start else { throw unexpected("a number") }
    guard position == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      throw badNumber("a number with a leading zero", at: start)
    }
    return value
  }

  /// Checks that `bytes` are one JSON value without duplicate keys, nested at most 32 deep.
  static func check(_ bytes: [UInt8], path: String) throws(WeightsError) {
    var scanner = JSONScanner(bytes, path: path)
    scanner.skipSpace()
    try scanner.skipValue()
    try scanner.end()
  }

  /// Reads and forgets a value of any kind, nested at most `depth` deep.
  mutating func skipValue(depth: Int = 32) throws(WeightsError) {
    guard depth > 0 else { throw unexpected("values nested at most 32 deep") }
    switch peek {
    case UInt8(ascii: "{"):
      var seen: Set<String> = []
      try object { (scanner, key) throws(WeightsError) in
        guard seen.insert(key).inserted else { throw scanner.duplicate(key) }
        try scanner.skipValue(depth: depth - 1)
      }
    case UInt8(ascii: "["):
      try array { (scanner) throws(WeightsError) in try scanner.skipValue(depth: depth - 1) }
    case UInt8(ascii: "\""):
      _ = try string()
    default:
      try skipScalar()
    }
  }

  /// Checks that only white space is left.
  mutating func end() throws(WeightsError) {
    skipSpace()
    guard position == bytes.count else { throw unexpected("the end of the JSON text") }
  }

  // MARK: - Strings

  /// Reads a string; its text must be valid UTF-8 without raw control characters.
  mutating func string() throws(WeightsError) -> String {
    try expect("\"")
    let start = position
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        let text = try validated(bytes[start..<position], at: start)
        position += 1
        return text
      case UInt8(ascii: "\\"):
        return try escapedString(from: start)
      case 0..<0x20:
        throw unexpected("a string without raw control characters")
      default:
        position += 1
      }
    }
    throw unexpected("the end of a string")
  }

  private mutating func escapedString(from start: Int) throws(WeightsError) -> String {
    var text = Array(bytes[start..<position])
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try validated(text[...], at: start)
      case UInt8(ascii: "\\"):
        position += 1
        text += UTF8.encode(try escape()).map(Array.init) ?? []
      case 0..<0x20:
        throw unexpected("a string without raw control characters")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw unexpected("the end of a string")
  }

  private mutating func escape() throws(WeightsError) -> Unicode.Scalar {
    guard let byte = peek else { throw unexpected("an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicodeEscape()
    default:
      position -= 1
      throw unexpected("one of the escapes of JSON")
    }
  }

  private mutating func unicodeEscape() throws(WeightsError) -> Unicode.Scalar {
    let first = try hexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, consume("\\"), consume("u") else {
      throw unexpected("a pair of surrogate escapes")
    }
    let second = try hexadecimal()
    guard 0xDC00..<0xE000 ~= second,
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw unexpected("a pair of surrogate escapes") }
    return scalar
  }

  private mutating func hexadecimal() throws(WeightsError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private func validated(_ slice: ArraySlice<UInt8>, at offset: Int) throws(WeightsError) -> String
  {
    guard let text = String(validating: slice, as: UTF8.self) else {
      throw WeightsError(
        .notUTF8, at: path, expected: "UTF-8 text in the JSON",
        found: "a string at byte \(offset) that is not")
    }
    return text
  }

  // MARK: - Bytes

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func consume(_ scalar: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: scalar) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ scalar: Unicode.Scalar) throws(WeightsError) {
    guard consume(scalar) else { throw unexpected("'\(scalar)'") }
  }

  private mutating func skipScalar() throws(WeightsError) {
    for word in ["true", "false", "null"] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return
    }
    _ = consume("-")
    try skipDigits()
    if consume(".") { try skipDigits() }
    if consume("e") || consume("E") {
      _ = consume("+") || consume("-")
      try skipDigits()
    }
  }

  private mutating func skipDigits() throws(WeightsError) {
    guard let first = peek, Self.isDigit(first) else { throw unexpected("a value") }
    while let byte = peek, Self.isDigit(byte) { position += 1 }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }

  // MARK: - Errors

  func duplicate(_ key: String) -> WeightsError {
    WeightsError(.duplicateKey, at: path, expected: "each key once", found: "\(quoted(key)) twice")
  }

  private func unexpected(_ expected: String) -> WeightsError {
    let found = peek.map { byte in
      0x20..<0x7F ~= byte ? "'\(Unicode.Scalar(byte))'" : "the byte \(byte)"
    }
    return WeightsError(
      .notJSON, at: path, expected: "\(expected) at byte \(position) of the JSON",
      found: found ?? "the end")
  }

  private func badNumber(_ found: String, at offset: Int) -> WeightsError {
    WeightsError(
      .badNumber, at: path, expected: "a whole number of 0 or more at byte \(offset) of the JSON",
      found: found)
  }
}
