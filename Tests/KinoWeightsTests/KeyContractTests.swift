import KinoWeights
import Testing

struct KeyContractTests {
  private let contract = KeyContract(shapes: ["a": [2, 3], "b": [4], "c": []])

  @Test func `the same keys and shapes pass`() throws {
    try contract.check(["c": [], "b": [4], "a": [2, 3]], at: "x")
    #expect(contract.mismatch(with: contract.shapes).isEmpty)
  }

  @Test func `every difference is in one error`() throws {
    let error = try #require(
      weightsError { try contract.check(["a": [3, 2], "b": [4], "d": [1]], at: "x") })
    #expect(error.code == .keyMismatch)
    #expect(error.details.contains("1 missing: 'c'"))
    #expect(error.details.contains("1 not used by the model: 'd'"))
    #expect(error.details.contains("1 of another shape: 'a' [3, 2] for [2, 3]"))
    let mismatch = contract.mismatch(with: ["a": [3, 2], "b": [4], "d": [1]])
    #expect(mismatch.missing == ["c"])
    #expect(mismatch.unused == ["d"])
    #expect(mismatch.misshapen.map(\.key) == ["a"])
  }

  @Test func `at most eight of a kind are listed, in order`() throws {
    let many = KeyContract(
      shapes: Dictionary(uniqueKeysWithValues: (0..<100).map { ("layer.\($0)", [1]) }))
    let error = try #require(weightsError { try many.check([:], at: "x") })
    #expect(error.details.contains("100 missing: 'layer.0', 'layer.1', 'layer.10'"))
    #expect(error.details.contains("'layer.15', ..."))
    #expect(!error.details.contains("'layer.16'"))
  }
}

struct KeyMapTests {
  private let map = KeyMap([("their.weight", "ours.weight"), ("x", "y"), ("y", "x")])

  @Test func `names translate both ways and back`() {
    let theirs = ["their.weight": 1, "x": 2, "y": 3]
    let ours = map.translatingToOurs(theirs)
    #expect(ours == ["ours.weight": 1, "y": 2, "x": 3])
    #expect(map.translatingToForeign(ours) == theirs)
    #expect(map.ours(for: "x") == "y")
    #expect(map.foreign(for: "ours.weight") == "their.weight")
    #expect(map.ours(for: "z") == nil)
  }

  @Test func `names outside the table are kept, for the contract to refuse`() {
    #expect(map.translatingToOurs(["z": 1]) == ["z": 1])
    // A stray tensor under our own name must not displace the mapped one.
    #expect(map.translatingToOurs(["ours.weight": 1, "their.weight": 2]) == ["ours.weight": 2])
  }

  @Test func `a table that is no bijection says why`() {
    #expect(map.violations(ontoOurs: ["ours.weight", "x", "y"]).isEmpty)
    #expect(
      map.violations(ontoOurs: ["ours.weight", "x", "z"]) == [
        "z has no foreign key", "y is not a key of the model",
      ])
  }

  @Test func `a name twice on one side traps`() async {
    await #expect(processExitsWith: .failure) { _ = KeyMap([("a", "b"), ("a", "c")]) }
    await #expect(processExitsWith: .failure) { _ = KeyMap([("a", "b"), ("c", "b")]) }
  }
}

struct KeyRulesTests {
  private let rules = KeyRules([
    ("blocks.*.a", "layers.*.first"), ("blocks.*.a.0", "layers.*.second.0"), ("head", "out.head"),
  ])

  @Test func `the longest path that covers a key counts`() {
    #expect(rules.ours(for: "blocks.12.a.weight") == "layers.12.first.weight")
    #expect(rules.ours(for: "blocks.12.a.0.weight") == "layers.12.second.0.weight")
    #expect(rules.foreign(for: "layers.3.second.0.bias") == "blocks.3.a.0.bias")
    #expect(rules.foreign(for: "out.head") == "head")
  }

  @Test(arguments: [
    "blocks.x.a.weight", "blocks..a", "blocks.1", "header.weight", "", "a.blocks.1.a",
  ])
  func `a key that no path covers has no name`(key: String) {
    #expect(rules.ours(for: key) == nil)
  }
}
