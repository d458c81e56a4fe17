import Foundation
import KinoWeights
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file that breaks one rule, and the error it must give.
struct HostileFile: CustomTestStringConvertible {
  let what: String
  let code: WeightsError.Code
  let bytes: [UInt8]

  init(_ what: String, _ code: WeightsError.Code, _ bytes: [UInt8]) {
    (self.what, self.code, self.bytes) = (what, code, bytes)
  }

  /// A file with this header and four bytes of data.
  init(_ what: String, _ code: WeightsError.Code, _ header: String, data: Int = 4) {
    self.init(what, code, safetensors(header, data: data))
  }

  var testDescription: String { what }

  static let framing: [HostileFile] = [
    .init("an empty file", .truncatedHeader, []),
    .init("seven bytes", .truncatedHeader, [1, 0, 0, 0, 0, 0, 0]),
    .init("a header longer than the file", .truncatedHeader, littleEndian(100) + [0x7B, 0x7D]),
    .init("a header of 2^63 bytes", .headerTooLarge, littleEndian(.min) + [0x7B, 0x7D]),
    .init("a header of 2^64 - 1 bytes", .headerTooLarge, littleEndian(-1) + [0x7B, 0x7D]),
    .init("a header over the limit", .headerTooLarge, littleEndian(100_000_001) + [0x7B, 0x7D]),
    .init("an empty header", .notJSON, littleEndian(0)),
    .init("a pickle", .headerTooLarge, [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20]),
    .init("data cut short", .outOfRange, "{\(entry("a"))}", data: 3),
    .init("bytes after the data", .trailingBytes, "{\(entry("a"))}", data: 5),
    .init("bytes without tensors", .trailingBytes, "{}", data: 1),
  ]

  static let text: [HostileFile] = [
    .init("a space before the object", .notJSON, " {}", data: 0),
    .init("an array", .notJSON, "[]", data: 0),
    .init("an object that does not end", .notJSON, "{", data: 0),
    .init("an entry that does not end", .notJSON, "{\"a\":{\"dtype\":\"U8\"", data: 0),
    .init("text after the object", .notJSON, "{}{}", data: 0),
    .init("zero bytes after the object", .notJSON, "{}\0\0", data: 0),
    .init("a trailing comma", .notJSON, "{\(entry("a")),}"),
    .init("no comma", .notJSON, "{\(entry("a"))\(entry("b", "U8", [0], [4, 4]))}"),
    .init("a key without quotes", .notJSON, "{a:{}}", data: 0),
    .init("a raw control character in a name", .notJSON, "{\(entry("a\u{1}b"))}"),
    .init("an unknown escape", .notJSON, "{\(entry("\\x41"))}"),
    .init("half of a surrogate pair", .notJSON, "{\(entry("\\ud800"))}"),
    .init("a surrogate pair the wrong way round", .notJSON, "{\(entry("\\udc00\\ud800"))}"),
    .init("a high surrogate before a letter", .notJSON, "{\(entry("\\ud800\\u0041"))}"),
    .init("a short escape", .notJSON, "{\(entry("\\u00"))}"),
    .init(
      "a name that is not UTF-8", .notUTF8, safetensors([0x7B, 0x22, 0xFF, 0x22, 0x3A], data: [])),
    .init(
      "an overlong UTF-8 name", .notUTF8, safetensors([0x7B, 0x22, 0xC0, 0x80, 0x22], data: [])),
    .init(
      "an invalid byte beside an escape", .notUTF8,
      safetensors([0x7B, 0x22, 0x5C, 0x6E, 0xFE, 0x22], data: [])),
    .init("a comment", .notJSON, "{/* */}", data: 0),
    .init("deep arrays", .notJSON, String(repeating: "[", count: 100_000), data: 0),
    .init("deep objects", .badEntry, String(repeating: "{\"a\":", count: 100_000), data: 0),
  ]

  static let meaning: [HostileFile] = [
    .init("a name twice", .duplicateKey, "{\(entry("a")),\(entry("a"))}"),
    .init("a name twice, once escaped", .duplicateKey, "{\(entry("a")),\(entry("\\u0061"))}"),
    .init(
      "names that look alike and compare equal", .duplicateKey,
      "{\(entry("\u{e9}")),\(entry("e\u{301}"))}"),
    .init("two metadata maps", .duplicateKey, #"{"__metadata__":{},"__metadata__":{}}"#, data: 0),
    .init("a metadata key twice", .duplicateKey, #"{"__metadata__":{"a":"b","a":"c"}}"#, data: 0),
    .init("metadata that is a list", .notJSON, #"{"__metadata__":[]}"#, data: 0),
    .init("a number in the metadata", .notJSON, #"{"__metadata__":{"a":1}}"#, data: 0),
    .init(
      "a dtype twice", .duplicateKey,
      #"{"a":{"dtype":"U8","dtype":"F32","shape":[4],"data_offsets":[0,4]}}"#),
    .init("no dtype", .badEntry, #"{"a":{"shape":[4],"data_offsets":[0,4]}}"#),
    .init("no shape", .badEntry, #"{"a":{"dtype":"U8","data_offsets":[0,4]}}"#),
    .init("no offsets", .badEntry, #"{"a":{"dtype":"U8","shape":[4]}}"#),
    .init(
      "an extra field", .badEntry,
      #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]}}"#),
    .init("an entry that is a string", .notJSON, #"{"a":"U8"}"#),
    .init("an entry that is null", .notJSON, #"{"a":null}"#),
    .init("one offset", .badEntry, "{\(entry("a", "U8", [4], [0]))}"),
    .init("three offsets", .badEntry, "{\(entry("a", "U8", [4], [0, 4, 4]))}"),
    .init("an unknown dtype", .unknownType, "{\(entry("a", "FLOAT"))}"),
    .init("a lower-case dtype", .unknownType, "{\(entry("a", "f32"))}"),
    .init("float8 of scales", .unsupportedType, "{\(entry("a", "F8_E8M0"))}"),
    .init("GGUF's blocks", .unknownType, "{\(entry("a", "Q8_0", [32], [0, 34]))}", data: 34),
    .init("uint64", .unsupportedType, "{\(entry("a", "U64", [0], [0, 0]))}"),
    .init(
      "a dtype that is a number", .notJSON, #"{"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}}"#),
  ]

  static let numbers: [HostileFile] = [
    .init("a negative extent", .badNumber, "{\(entry("a", "U8", [-4]))}"),
    .init("a negative offset", .badNumber, "{\(entry("a", "U8", [4], [-4, 0]))}"),
    .init("a fraction", .badNumber, #"{"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}"#),
    .init("an exponent", .badNumber, #"{"a":{"dtype":"U8","shape":[4e0],"data_offsets":[0,4]}}"#),
    .init("a leading zero", .badNumber, #"{"a":{"dtype":"U8","shape":[04],"data_offsets":[0,4]}}"#),
    .init(
      "2^63", .badNumber,
      #"{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]}}"#),
    .init(
      "a thousand digits", .badNumber,
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(String(repeating: "9", count: 1000))]}}"),
    .init(
      "a number in quotes", .notJSON, #"{"a":{"dtype":"U8","shape":["4"],"data_offsets":[0,4]}}"#),
    .init(
      "true for a number", .notJSON, #"{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,4]}}"#),
    .init("a nested shape", .notJSON, #"{"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}}"#),
    .init(
      "a product beyond 64 bits", .badShape, "{\(entry("a", "U8", [1 << 32, 1 << 32], [0, 0]))}"),
    .init("bytes beyond 64 bits", .badShape, "{\(entry("a", "F64", [1 << 60], [0, 0]))}"),
    .init(
      "a product that wraps round to 4", .badShape,
      "{\(entry("a", "U8", [1 << 62, 4, 4], [0, 4]))}"),
    .init("strides beyond 64 bits", .badShape, "{\(entry("a", "U8", [0, .max, .max], [0, 0]))}"),
    .init("33 axes", .badShape, "{\(entry("a", "U8", Array(repeating: 1, count: 33), [0, 1]))}"),
    .init("a size below the offsets'", .sizeMismatch, "{\(entry("a", "U8", [3]))}"),
    .init("a size above the offsets'", .sizeMismatch, "{\(entry("a", "F32", [4]))}"),
    .init("a scalar of two bytes in four", .sizeMismatch, "{\(entry("a", "F16", []))}"),
    .init("offsets back to front", .outOfRange, "{\(entry("a", "U8", [4], [4, 0]))}"),
    .init("offsets behind the data", .outOfRange, "{\(entry("a", "U8", [4], [8, 12]))}"),
    .init(
      "offsets near 2^63", .outOfRange,
      "{\(entry("a", "U8", [4], [.max - 4, .max]))}"),
    .init("an overlap", .overlap, "{\(entry("a")),\(entry("b", "U8", [4], [2, 6]))}", data: 6),
    .init("the same bytes twice", .overlap, "{\(entry("a")),\(entry("b"))}"),
    .init(
      "an empty tensor inside another", .overlap,
      "{\(entry("a")),\(entry("b", "U8", [0], [2, 2]))}"),
    .init("a gap at the start", .gap, "{\(entry("a", "U8", [2], [2, 4]))}"),
    .init(
      "a gap between", .gap, "{\(entry("a", "U8", [1], [0, 1])),\(entry("b", "U8", [1], [3, 4]))}"),
  ]
}

struct HostileFileTests {
  @Test(
    arguments: HostileFile.framing + HostileFile.text + HostileFile.meaning + HostileFile.numbers)
  func `a file that breaks a rule is refused with the reason`(file: HostileFile) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(file.bytes)
    let error = try #require(weightsError { _ = try SafetensorsFile(at: url) })
    #expect(error.code == file.code)
    #expect(error.path == url.path)
    #expect(error.description.count < 1500)
    #expect(!error.advice.isEmpty)
  }

  @Test func `names in messages are shortened and cannot steer a terminal`() throws {
    let folder = try TemporaryFolder()
    let name = "\\u001b[2J" + String(repeating: "x", count: 100_000)
    let url = try folder.write(safetensors("{\(entry(name, "F99"))}", data: 4))
    let error = try #require(weightsError { _ = try SafetensorsFile(at: url) })
    #expect(error.code == .unknownType)
    #expect(error.description.count < 1000)
    #expect(!error.description.unicodeScalars.contains("\u{1b}"))
  }

  @Test func `a missing file, a folder and a pipe are refused without waiting`() throws {
    let folder = try TemporaryFolder()
    #expect(weightsError { _ = try SafetensorsFile(at: folder["none"]) }?.code == .notFound)
    #expect(weightsError { _ = try SafetensorsFile(at: folder.url) }?.code == .cannotRead)
    try #require(mkfifo(folder["pipe"].path, 0o600) == 0)
    #expect(weightsError { _ = try SafetensorsFile(at: folder["pipe"]) }?.code == .cannotRead)
  }

  @Test func `a sparse file of a terabyte opens without reading its data`() throws {
    let folder = try TemporaryFolder()
    let count = 1 << 40
    let header = Array("{\(entry("a", "U8", [count], [0, count]))}".utf8)
    let url = try folder.write(safetensors(header, data: []))
    let handle = try FileHandle(forWritingTo: url)
    try handle.truncate(atOffset: UInt64(8 + header.count + count))
    try handle.close()
    #expect(try SafetensorsFile(at: url)["a"]?.byteCount == count)
  }
}
