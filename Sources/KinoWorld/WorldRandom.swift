/// A seedable generator (SplitMix64) whose numbers are the same on every platform and in every run.
package struct WorldRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) {
    state = WorldRandom.mix(seed &+ 0x9E37_79B9_7F4A_7C15)
  }

  /// Returns the next 64 random bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return WorldRandom.mix(state)
  }

  /// Scrambles 64 bits so that nearby inputs give unrelated outputs.
  package static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Hashes a text; unlike `Hasher`, the same in every process (FNV-1a, then mixed).
  package static func hash(_ text: String) -> UInt64 {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 {
      value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    return mix(value)
  }

  /// Returns a number in `0..<1`.
  mutating func unit() -> Float {
    Float(next() >> 40) * (1 / 16_777_216)
  }

  mutating func uniform(_ low: Float, _ high: Float) -> Float {
    low + (high - low) * unit()
  }

  mutating func chance(_ probability: Float) -> Bool {
    unit() < probability
  }

  /// Returns an index in `0..<count`; `count` is small, so the modulo's bias does not matter.
  mutating func index(_ count: Int) -> Int {
    Int(next() % UInt64(max(count, 1)))
  }

  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[index(elements.count)]
  }

  /// Picks among elements in proportion to their weights.
  mutating func pick<Element>(weighted elements: [(Element, Float)]) -> Element {
    let total = elements.reduce(0) { $0 + $1.1 }
    var rest = unit() * total
    for (element, weight) in elements {
      rest -= weight
      if rest < 0 { return element }
    }
    return elements[elements.count - 1].0
  }
}
