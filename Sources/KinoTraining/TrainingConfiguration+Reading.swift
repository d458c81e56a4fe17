public import Foundation
internal import Kino
internal import KinoWorld
internal import Yams

extension TrainingConfiguration {
  /// Reads a run's configuration. One that starts from a model may leave out what `StartDefaults` knows.
  ///
  /// - Throws: ``TrainingError`` naming the key for a missing, unknown or impossible value.
  public init(contentsOf url: URL) throws {
    let text: String
    do {
      text = try String(contentsOf: url, encoding: .utf8)
    } catch {
      throw TrainingError(
        .invalidConfiguration,
        "\(url.path): expected a readable YAML file in UTF-8; check the path.")
    }
    if let alias = YAMLAlias(firstIn: text) {
      throw TrainingError(.invalidConfiguration, "\(url.path): \(alias)")
    }
    do {
      guard let given = try Yams.compose(yaml: text) else {
        throw TrainingError(
          .invalidConfiguration, "\(url.path): expected settings, found an empty file.")
      }
      guard given.mapping != nil else {
        throw TrainingError(
          .invalidConfiguration,
          "\(url.path): expected settings, such as `output: folder`, found other text.")
      }
      let node = try StartDefaults(given)?.completed() ?? given
      self = try YAMLDecoder().decode(Self.self, from: node)
      try Self.refuseUnknownKeys(in: text, known: try YAMLEncoder().encode(self), path: url.path)
    } catch let error as DecodingError {
      throw TrainingError(.invalidConfiguration, "\(url.path): \(error.explanation)")
    } catch let error as YamlError {
      throw TrainingError(.invalidConfiguration, "\(url.path): not valid YAML. \(error)")
    }
    try validate()
  }

  /// A misspelt key would otherwise be a setting silently left out.
  private static func refuseUnknownKeys(in text: String, known: String, path: String) throws {
    func keys(_ node: Node?, _ prefix: String) -> Set<String> {
      guard let mapping = node?.mapping else {
        return (node?.sequence).map {
          $0.reduce(into: []) { $0.formUnion(keys($1, prefix + "[].")) }
        } ?? []
      }
      return mapping.reduce(into: []) { found, pair in
        let key = prefix + (pair.key.string ?? "?")
        found.insert(key)
        found.formUnion(keys(pair.value, key + "."))
      }
    }
    let unknown = keys(try Yams.compose(yaml: text), "").subtracting(
      keys(try Yams.compose(yaml: known), ""))
    if let first = unknown.sorted().first {
      throw TrainingError(
        .invalidConfiguration,
        "\(path): unknown setting `\(first)`. See docs/training.md for the settings.")
    }
  }
}

extension DecodingError {
  /// Names the key and what is wrong with it.
  var explanation: String {
    func place(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
      (context.codingPath + (last.map { [$0] } ?? [])).reduce(into: "") { path, key in
        if let index = key.intValue {
          path += "[\(index)]"
        } else {
          path += (path.isEmpty ? "" : ".") + key.stringValue
        }
      }
    }
    func name(_ type: Any.Type) -> String {
      switch type {
      case is any FloatingPoint.Type: "a number"
      case is any UnsignedInteger.Type: "a whole number, not negative"
      case is any FixedWidthInteger.Type: "a whole number"
      case is Bool.Type: "true or false"
      case is String.Type: "text"
      case is Node.Sequence.Type, is any RangeReplaceableCollection.Type: "a list"
      default: "settings in braces or lines of their own"
      }
    }
    switch self {
    case .keyNotFound(let key, let context):
      return "the setting `\(place(context, key))` is missing."
    case .typeMismatch(let type, let context): return "`\(place(context))`: expected \(name(type))."
    case .valueNotFound(let type, let context):
      return "`\(place(context))`: expected \(name(type)), found nothing."
    case .dataCorrupted(let context):
      return "`\(place(context))`: \(context.choice ?? context.debugDescription)"
    @unknown default: return "\(self)"
    }
  }
}

extension DecodingError.Context {
  /// What may stand in the place of a word that is none of a list; `nil` if that is not what is wrong.
  fileprivate var choice: String? {
    let lists: [(Any.Type, [String])] = [
      (
        TrainingConfiguration.Precision.self,
        TrainingConfiguration.Precision.allCases.map(\.rawValue)
      ),
      (ComputeDevice.self, ComputeDevice.allCases.map(\.rawValue)),
      (CaptionLength.self, CaptionLength.allCases.map(\.rawValue)),
    ]
    let words = lists.first { debugDescription.hasPrefix("Cannot initialize \($0.0) from") }?.1
    return words.map { "expected \($0.formatted(.list(type: .or))), found another word." }
  }
}
