public import KinoTensor

/// Random patterns of known latent frames for training, and how often each kind comes.
///
/// The numbers are weights; they need not add up to one.
public struct KnownFramePatterns: Sendable, Hashable, Codable {
  /// Nothing known: generate.
  public var none: Double
  /// The first k frames known: animate, extend after.
  public var first: Double
  /// The last k frames known: extend before.
  public var last: Double
  /// Some frames known at both ends: loop, connect.
  public var ends: Double
  /// Any frames known: storyboard.
  public var subset: Double

  /// Makes weights; by default all verbs are practised, plain generation most.
  public init(
    none: Double = 0.4, first: Double = 0.3, last: Double = 0.1, ends: Double = 0.1,
    subset: Double = 0.1
  ) {
    self.none = none
    self.first = first
    self.last = last
    self.ends = ends
    self.subset = subset
  }

  /// Checks that the weights are finite, not negative, and not all zero.
  public func validate() throws(DiffusionError) {
    try DiffusionError.require(
      weights.allSatisfy { $0 >= 0 && $0.isFinite } && weights.contains { $0 > 0 }, .range,
      "expected weights of known-frame patterns from 0, not all 0, found \(weights)")
  }

  private var weights: [Double] { [none, first, last, ends, subset] }

  /// Draws which latent frames are known; at least one is not.
  ///
  /// One frame alone is never known, and with two frames both ends means the first. Short stretches
  /// are likelier: one of `n` lengths is picked with index `n * u * u`. Makes exactly one draw.
  ///
  /// - Throws: ``DiffusionError`` for bad weights or no frames.
  public func known(
    frames count: Int, from random: inout RandomSource
  ) throws(DiffusionError) -> [Bool] {
    try validate()
    try DiffusionError.require(
      (1...1 << 24).contains(count), .range, "expected at least one latent frame, found \(count)")
    let draws = random.uniform([count + 3]).floats().map(Double.init)
    var known = Array(repeating: false, count: count)
    if count == 1 { return known }
    /// A length in 1...limit.
    func length(_ limit: Int, _ draw: Int) -> Int {
      1 + min(Int(draws[draw] * draws[draw] * Double(limit)), limit - 1)
    }
    let stretch = length(count - 1, 1)
    switch kind(draws[0]) {
    case .none: break
    case .first: mark(0..<stretch)
    case .last: mark(count - stretch..<count)
    case .ends where count == 2: mark(0..<1)
    case .ends:
      let head = length(count - 2, 1)
      let tail = length(count - 1 - head, 2)
      mark(0..<head)
      mark(count - tail..<count)
    case .subset:
      // The frames with the smallest draws: every subset of this size is equally likely.
      let order = (0..<count).sorted { draws[$0 + 3] < draws[$1 + 3] }
      for frame in order.prefix(stretch) { known[frame] = true }
    }
    func mark(_ frames: Range<Int>) { for frame in frames { known[frame] = true } }
    return known
  }

  private enum Kind: CaseIterable { case none, first, last, ends, subset }

  private func kind(_ draw: Double) -> Kind {
    let possible = zip(Kind.allCases, weights).filter { $0.1 > 0 }
    var rest = draw * weights.reduce(0, +)
    for (kind, weight) in possible.dropLast() {
      if rest < weight { return kind }
      rest -= weight
    }
    return possible.last?.0 ?? .none
  }
}
