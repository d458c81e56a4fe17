public import Foundation
internal import KinoSystem

/// A `config.json` in the ecosystem's form: a flat object with `_class_name` and
/// `_diffusers_version` beside the model's own keys.
///
/// Keys nobody decodes are kept, so reading, updating and writing loses nothing.
public struct ConfigurationFile: Hashable, Sendable {
  /// Every key of the file.
  public var values: [String: JSONValue]

  /// The Python class the ecosystem loads this into, `_class_name`.
  public var className: String? {
    get { values["_class_name"]?.stringValue }
    set { values["_class_name"] = newValue.map(JSONValue.string) }
  }

  /// The version of diffusers the keys follow, `_diffusers_version`.
  public var diffusersVersion: String? {
    get { values["_diffusers_version"]?.stringValue }
    set { values["_diffusers_version"] = newValue.map(JSONValue.string) }
  }

  /// Where the values came from, for messages.
  private var path: String

  /// Reads a file without deciding what it configures.
  public init(at url: URL) throws(WeightsError) {
    path = url.path
    values = try Self.decode([String: JSONValue].self, from: Self.data(at: url), path: path)
  }

  /// Makes a file's content from a configuration, which must encode to a JSON object.
  public init(
    encoding configuration: some Encodable, className: String? = nil,
    diffusersVersion: String? = nil
  ) throws(WeightsError) {
    (path, values) = ("configuration", [:])
    try update(with: configuration)
    if let className { self.className = className }
    if let diffusersVersion { self.diffusersVersion = diffusersVersion }
  }

  /// Reads one configuration; a missing key is an error, an unknown one is not.
  ///
  /// - Throws: ``WeightsError``: `missingKey` names the key and the file, `badConfiguration` a
  ///   value of the wrong kind.
  public static func read<Configuration: Decodable>(
    _ type: Configuration.Type = Configuration.self, at url: URL
  ) throws(WeightsError) -> Configuration {
    try decode(type, from: data(at: url), path: url.path)
  }

  /// Decodes the values as a configuration.
  public func decode<Configuration: Decodable>(
    _ type: Configuration.Type = Configuration.self
  ) throws(WeightsError) -> Configuration {
    try Self.decode(type, from: Self.encode(values, path: path), path: path)
  }

  /// Replaces the values of the configuration's keys and keeps all others.
  public mutating func update(with configuration: some Encodable) throws(WeightsError) {
    let data = try Self.encode(configuration, path: path)
    let new = try Self.decode([String: JSONValue].self, from: data, path: path)
    values.merge(new) { _, new in new }
  }

  /// Writes the file, keys sorted, replacing it only when complete.
  public func write(to url: URL) throws(WeightsError) {
    let data = try Self.encode(values, path: url.path)
    try WeightsError.writing { () throws(FileError) in try AtomicFile.write(data, to: url) }
  }

  // MARK: - Internal

  /// No configuration comes near this; tokenizers are not read this way.
  private static let maximumByteCount = 16_000_000

  static func data(at url: URL) throws(WeightsError) -> Data {
    let file = try MappedFile(path: url.path)
    guard file.byteCount <= maximumByteCount else {
      throw WeightsError(
        .badConfiguration, at: url.path, expected: "at most \(maximumByteCount) bytes of JSON",
        found: "\(file.byteCount)", advice: "This is not a configuration file.")
    }
    return Data(try file.read(0..<file.byteCount))
  }

  static func encode(_ value: some Encodable, path: String) throws(WeightsError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      return try encoder.encode(value) + Data("\n".utf8)
    } catch {
      throw WeightsError(
        .badConfiguration, at: path, expected: "values JSON can hold", found: "\(error)",
        advice: "Remove infinite and undefined numbers.")
    }
  }

  static func decode<Value: Decodable>(
    _ type: Value.Type, from data: Data, path: String
  ) throws(WeightsError) -> Value {
    try JSONScanner.check([UInt8](data), path: path)
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch let error as DecodingError {
      throw explain(error, path: path)
    } catch {
      throw bad(path, expected: "JSON for \(type)", found: "\(error)")
    }
  }

  private static func explain(_ error: DecodingError, path: String) -> WeightsError {
    switch error {
    case .keyNotFound(let key, let context):
      WeightsError(
        .missingKey, at: path, expected: "the key \(name(context.codingPath + [key]))",
        found: "none", advice: "Add the key, or fetch the configuration that came with the weights."
      )
    case .typeMismatch(let type, let context):
      bad(
        path, expected: "\(type) for \(name(context.codingPath))", found: context.debugDescription)
    case .valueNotFound(let type, let context):
      bad(path, expected: "\(type) for \(name(context.codingPath))", found: "null")
    case .dataCorrupted(let context) where context.codingPath.isEmpty:
      // The syntax is checked before, so this is a number; Foundation does not say which.
      bad(
        path, expected: "numbers that fit their keys",
        found: "a fraction where a whole number belongs, or a number too large")
    case .dataCorrupted(let context):
      bad(path, expected: "a valid \(name(context.codingPath))", found: context.debugDescription)
    @unknown default:
      bad(path, expected: "a valid configuration", found: "\(error)")
    }
  }

  private static func name(_ path: [any CodingKey]) -> String {
    path.isEmpty
      ? "the whole file"
      : quoted(path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: "."))
  }

  private static func bad(_ path: String, expected: String, found: String) -> WeightsError {
    WeightsError(
      .badConfiguration, at: path, expected: expected, found: found,
      advice: "Correct the file, or fetch the configuration that came with the weights.")
  }
}
