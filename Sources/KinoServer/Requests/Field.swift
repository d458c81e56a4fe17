import Foundation
import HTTPTypes

/// A value of a request's body, whether that came as JSON or as a form.
enum Field: Sendable {
  case null
  case text(String)
  case integer(Int)
  case number(Double)
  case flag(Bool)
  case list([Field])
  case object([String: Field])
  case file(ReceivedFile)

  /// The field of an object; `nil` also for `null`.
  subscript(_ name: String) -> Field? {
    guard case .object(let fields) = self, let field = fields[name] else { return nil }
    if case .null = field { return nil }
    return field
  }

  /// Every file in it.
  var files: [ReceivedFile] {
    switch self {
    case .file(let file): [file]
    case .list(let fields): fields.flatMap(\.files)
    case .object(let fields): fields.values.flatMap(\.files)
    default: []
    }
  }

  /// Puts a value where a form's name says, such as `video[id]` or `items[]`.
  ///
  /// - Returns: Whether the name is one, and nothing else is there.
  mutating func put(_ value: Field, at name: String) -> Bool {
    guard let path = Self.path(name) else { return false }
    return put(value, at: path[...])
  }

  private mutating func put(_ value: Field, at path: ArraySlice<String>) -> Bool {
    guard let first = path.first else {
      guard case .null = self else { return false }
      self = value
      return true
    }
    if first.isEmpty {
      var items: [Field] = []
      if case .list(let list) = self {
        items = list
      } else if case .null = self {
      } else {
        return false
      }
      var item = Field.null
      guard items.count < 1000, item.put(value, at: path.dropFirst()) else { return false }
      self = .list(items + [item])
      return true
    }
    var fields: [String: Field] = [:]
    if case .object(let object) = self {
      fields = object
    } else if case .null = self {
    } else {
      return false
    }
    var field = fields[first] ?? .null
    guard fields.count < 1000, field.put(value, at: path.dropFirst()) else { return false }
    fields[first] = field
    self = .object(fields)
    return true
  }

  /// The steps of a form's name; an empty step is the next of a list.
  private static func path(_ name: String) -> [String]? {
    guard let open = name.firstIndex(of: "[") else { return name.isEmpty ? nil : [name] }
    var path = [String(name[..<open])]
    var rest = name[open...]
    while !rest.isEmpty {
      guard rest.first == "[", let close = rest.firstIndex(of: "]"), path.count < 8 else {
        return nil
      }
      path.append(String(rest[rest.index(after: rest.startIndex)..<close]))
      rest = rest[rest.index(after: close)...]
    }
    return path[0].isEmpty ? nil : path
  }
}

extension Field: Codable {
  private struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    if let values = try? decoder.container(keyedBy: Name.self) {
      var fields: [String: Field] = [:]
      for key in values.allKeys {
        fields[key.stringValue] = try values.decode(Field.self, forKey: key)
      }
      self = .object(fields)
    } else if var values = try? decoder.unkeyedContainer() {
      var items: [Field] = []
      while !values.isAtEnd { items.append(try values.decode(Field.self)) }
      self = .list(items)
    } else {
      let value = try decoder.singleValueContainer()
      if value.decodeNil() {
        self = .null
      } else if let flag = try? value.decode(Bool.self) {
        self = .flag(flag)
      } else if let integer = try? value.decode(Int.self) {
        self = .integer(integer)
      } else if let number = try? value.decode(Double.self) {
        self = .number(number)
      } else {
        self = .text(try value.decode(String.self))
      }
    }
  }

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .object(let fields):
      var values = encoder.container(keyedBy: Name.self)
      for (name, field) in fields { try values.encode(field, forKey: Name(stringValue: name)) }
    case .list(let items):
      var values = encoder.unkeyedContainer()
      for item in items { try values.encode(item) }
    default:
      var value = encoder.singleValueContainer()
      switch self {
      case .text(let text): try value.encode(text)
      case .integer(let integer): try value.encode(integer)
      case .number(let number): try value.encode(number)
      case .flag(let flag): try value.encode(flag)
      default: try value.encodeNil()
      }
    }
  }
}

/// A file of a form, on disk until the request is done.
final class ReceivedFile: Sendable {
  let url: URL
  let name: String
  let bytes: Int

  init(url: URL, name: String, bytes: Int) {
    self.url = url
    self.name = name
    self.bytes = bytes
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

/// Reads the fields of a request; a form has texts where JSON has numbers.
struct Fields {
  let root: Field

  /// Throws for fields that the request does not have: a misspelt setting must not be ignored.
  func requireOnly(_ names: Set<String>) throws {
    guard case .object(let fields) = root else {
      throw APIError(.badRequest, "invalid_body", "The body must be a JSON object or a form.")
    }
    if let name = fields.keys.sorted().first(where: { !names.contains($0) }) {
      throw APIError(
        .badRequest, "unknown_parameter",
        "There is no field '\(name.prefix(80))' here; there are \(names.sorted().joined(separator: ", ")).",
        parameter: String(name.prefix(80)))
    }
  }

  func has(_ name: String) -> Bool { root[name] != nil }

  /// Whether a field is there and `null`.
  func isNull(_ name: String) -> Bool {
    guard case .object(let fields) = root, case .null? = fields[name] else { return false }
    return true
  }

  func text(_ name: String, limit: Int = 1000) throws -> String? {
    guard let field = root[name] else { return nil }
    let text: String
    switch field {
    case .text(let value): text = value
    case .integer(let value): text = "\(value)"
    case .number(let value): text = "\(value)"
    default: throw APIError.invalid(name, "'\(name)' must be a text.")
    }
    guard text.count <= limit else {
      throw APIError.invalid(
        name, "'\(name)' has \(text.count) characters; at most \(limit) are read.")
    }
    return text
  }

  func number(_ name: String) throws -> Double? {
    switch root[name] {
    case nil: return nil
    case .integer(let value): return Double(value)
    case .number(let value): return value
    case .text(let text):
      if let value = Double(text.trimmingCharacters(in: .whitespaces)), value.isFinite {
        return value
      }
    default: break
    }
    throw APIError.invalid(name, "'\(name)' must be a number.")
  }

  func integer(_ name: String) throws -> Int? {
    switch root[name] {
    case nil: return nil
    case .integer(let value): return value
    case .number(let value): if let whole = Int(exactly: value) { return whole }
    case .text(let text):
      if let value = Int(text.trimmingCharacters(in: .whitespaces)) { return value }
    default: break
    }
    throw APIError.invalid(name, "'\(name)' must be a whole number.")
  }

  func seed(_ name: String) throws -> UInt64? {
    if case .text(let text)? = root[name], let seed = UInt64(text) { return seed }
    guard let value = try integer(name) else { return nil }
    guard let seed = UInt64(exactly: value) else {
      throw APIError.invalid(name, "'\(name)' must be 0 or more.")
    }
    return seed
  }

  func flag(_ name: String) throws -> Bool? {
    switch root[name] {
    case nil: return nil
    case .flag(let value): return value
    case .text("true"), .text("1"), .integer(1): return true
    case .text("false"), .text("0"), .integer(0): return false
    default: throw APIError.invalid(name, "'\(name)' must be true or false.")
    }
  }

  /// Decodes an object; in a form it is a text of JSON.
  func value<Value: Decodable>(_ name: String, _ type: Value.Type) throws -> Value? {
    guard let field = root[name] else { return nil }
    do {
      let data: Data
      if case .text(let text) = field {
        data = Data(text.utf8)
      } else {
        data = try JSONEncoder().encode(field)
      }
      return try JSONDecoder().decode(type, from: data)
    } catch {
      throw APIError.invalid(name, "'\(name)' can't be read: \(Self.words(error))")
    }
  }

  private static func words(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String {
      path.map(\.stringValue).joined(separator: ".")
    }
    switch error as? DecodingError {
    case .keyNotFound(let key, let context):
      return "\(place(context.codingPath + [key])) is missing."
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      return "\(place(context.codingPath)): \(context.debugDescription)"
    default: return "it is no JSON of that form."
    }
  }
}
