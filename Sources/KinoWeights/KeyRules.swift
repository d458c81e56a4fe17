/// The names others give to our layers, as a table of paths in which `*` stands for any number.
///
/// ```swift
/// let rules = KeyRules([("blocks.*.self_attn.q", "blocks.*.attn1.to_q")])
/// rules.ours(for: "blocks.7.self_attn.q.weight")  // "blocks.7.attn1.to_q.weight"
/// ```
/// A path covers every key below it; of several that fit, the longest counts.
public struct KeyRules: Sendable {
  private struct Rule: Sendable {
    let foreign: [String]
    let ours: [String]
  }

  private let rules: [Rule]

  /// Makes rules of a table.
  ///
  /// Traps if the two paths of a row have different numbers of `*`.
  public init(_ table: [(foreign: String, ours: String)]) {
    rules = table.map { row in
      let rule = Rule(foreign: Self.parts(row.foreign), ours: Self.parts(row.ours))
      let counts = [rule.foreign, rule.ours].map { parts in parts.count { $0 == "*" } }
      precondition(counts[0] == counts[1], "KeyRules: \(row.foreign) and \(row.ours) do not match")
      return rule
    }
  }

  /// Returns our key for a foreign one, or nil if no path covers it.
  public func ours(for key: String) -> String? { translated(key, from: \.foreign, to: \.ours) }

  /// Returns the foreign key for one of ours, or nil if no path covers it.
  public func foreign(for key: String) -> String? { translated(key, from: \.ours, to: \.foreign) }

  private func translated(
    _ key: String, from source: KeyPath<Rule, [String]>, to target: KeyPath<Rule, [String]>
  ) -> String? {
    let parts = Self.parts(key)
    var best: (length: Int, parts: [String])?
    for rule in rules {
      let pattern = rule[keyPath: source]
      guard pattern.count <= parts.count, pattern.count > best?.length ?? 0,
        let numbers = Self.numbers(of: parts, matching: pattern)
      else { continue }
      var rest = numbers[...]
      let path = rule[keyPath: target].map { $0 == "*" ? rest.popFirst() ?? $0 : $0 }
      best = (pattern.count, path + parts.dropFirst(pattern.count))
    }
    return best?.parts.joined(separator: ".")
  }

  /// Returns what stands for each `*`, or nil if the path does not fit.
  private static func numbers(of parts: [String], matching pattern: [String]) -> [String]? {
    var numbers: [String] = []
    for (part, expected) in zip(parts, pattern) {
      if expected == "*" {
        guard !part.isEmpty, part.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        numbers.append(part)
      } else if part != expected {
        return nil
      }
    }
    return numbers
  }

  private static func parts(_ path: String) -> [String] {
    path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
  }
}
