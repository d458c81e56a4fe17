/// A table of the names others give to our tensors, usable in both directions.
public struct KeyMap: Sendable {
  /// The table.
  public let pairs: [(foreign: String, ours: String)]
  private let oursByForeign: [String: String]
  private let foreignByOurs: [String: String]

  /// Makes a map from a table.
  ///
  /// Traps if a name stands twice on the same side.
  public init(_ pairs: [(foreign: String, ours: String)]) {
    self.pairs = pairs
    oursByForeign = Dictionary(pairs.map { ($0.foreign, $0.ours) }) { first, second in
      preconditionFailure("KeyMap: one foreign key for \(first) and \(second)")
    }
    foreignByOurs = Dictionary(pairs.map { ($0.ours, $0.foreign) }) { first, second in
      preconditionFailure("KeyMap: one of our keys for \(first) and \(second)")
    }
  }

  /// Returns our key for a foreign one, or nil if the table lacks it.
  public func ours(for foreign: String) -> String? { oursByForeign[foreign] }

  /// Returns the foreign key for one of ours, or nil if the table lacks it.
  public func foreign(for ours: String) -> String? { foreignByOurs[ours] }

  /// Renames foreign keys to ours; keys the table lacks are kept, for ``KeyContract`` to name.
  ///
  /// A kept key never displaces a mapped one.
  public func translatingToOurs<Value>(_ values: [String: Value]) -> [String: Value] {
    Self.translate(values, with: oursByForeign)
  }

  /// Renames our keys to foreign ones; keys the table lacks are kept.
  public func translatingToForeign<Value>(_ values: [String: Value]) -> [String: Value] {
    Self.translate(values, with: foreignByOurs)
  }

  /// Returns what keeps the table from being a bijection onto a model's keys: nothing, if it is.
  public func violations(ontoOurs keys: some Sequence<String>) -> [String] {
    let keys = Set(keys)
    let unmapped = keys.subtracting(foreignByOurs.keys).sorted().map { "\($0) has no foreign key" }
    let unknown = Set(foreignByOurs.keys).subtracting(keys).sorted().map {
      "\($0) is not a key of the model"
    }
    return unmapped + unknown
  }

  private static func translate<Value>(
    _ values: [String: Value], with names: [String: String]
  ) -> [String: Value] {
    var result: [String: Value] = [:]
    result.reserveCapacity(values.count)
    for (key, value) in values where names[key] == nil { result[key] = value }
    for (key, value) in values {
      if let name = names[key] { result[name] = value }
    }
    return result
  }
}
