/// The names and shapes a model expects, held against what a file offers.
public struct KeyContract: Sendable {
  /// Expected shape per key.
  public let shapes: [String: [Int]]

  /// Makes a contract of the shape each key must have.
  public init(shapes: [String: [Int]]) {
    self.shapes = shapes
  }

  /// How a set of tensors breaks a contract; every list is sorted.
  public struct Mismatch: Hashable, Sendable {
    /// Keys the model has and the file lacks.
    public var missing: [String] = []
    /// Keys the file has and the model lacks.
    public var unused: [String] = []
    /// Keys both have, in different shapes.
    public var misshapen: [(key: String, expected: [Int], found: [Int])] {
      shapes.map { ($0.key, $0.expected, $0.found) }
    }

    struct Shapes: Hashable, Sendable {
      let key: String
      let expected: [Int]
      let found: [Int]
    }

    var shapes: [Shapes] = []

    /// Whether the tensors are exactly those expected.
    public var isEmpty: Bool { missing.isEmpty && unused.isEmpty && shapes.isEmpty }
  }

  /// Returns every difference between the contract and the tensors found.
  public func mismatch(with found: [String: [Int]]) -> Mismatch {
    var mismatch = Mismatch()
    for (key, expected) in shapes {
      guard let shape = found[key] else { mismatch.missing.append(key); continue }
      if shape != expected {
        mismatch.shapes.append(.init(key: key, expected: expected, found: shape))
      }
    }
    mismatch.unused = found.keys.filter { shapes[$0] == nil }.sorted()
    mismatch.missing.sort()
    mismatch.shapes.sort { $0.key < $1.key }
    return mismatch
  }

  /// Checks that the tensors found are exactly those expected.
  ///
  /// - Throws: One ``WeightsError`` (`keyMismatch`) with up to 8 samples each of missing, unused
  ///   and mis-shaped keys.
  public func check(_ found: [String: [Int]], at path: String) throws(WeightsError) {
    let mismatch = mismatch(with: found)
    guard !mismatch.isEmpty else { return }
    throw Self.error(
      missing: mismatch.missing.map(quoted), unused: mismatch.unused.map(quoted),
      misshapen: mismatch.shapes.map { "\(quoted($0.key)) \($0.found) for \($0.expected)" },
      at: path)
  }

  static func error(
    missing: [String], unused: [String], misshapen: [String], at path: String
  ) -> WeightsError {
    let parts = [
      list("missing", missing), list("not used by the model", unused),
      list("of another shape", misshapen),
    ]
    return WeightsError(
      .keyMismatch, at: path, expected: "exactly the model's tensors",
      found: parts.compactMap(\.self).joined(separator: "; "),
      advice: "Check that the weights and the config.json belong to the same model.")
  }

  private static func list(_ title: String, _ items: [String]) -> String? {
    guard !items.isEmpty else { return nil }
    let samples = items.prefix(8).joined(separator: ", ")
    return "\(items.count) \(title): \(samples)\(items.count > 8 ? ", ..." : "")"
  }
}
