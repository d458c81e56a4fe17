internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// Adds one layer's part of an adapter to a weight or a bias.
struct AdapterPatch: WeightPatch {
  /// What is added.
  enum Kind: Sendable {
    /// The product of the layer's factors.
    case product
    /// A tensor as it is.
    case difference(String)
    /// A tensor with the factor of the layer's product.
    case scaledDifference(String)
  }

  let adapter: WeightSet
  let parts: [AdapterLayer.Part: String]
  /// The factor without an alpha.
  let scale: Double
  let strength: Double
  let kind: Kind

  func with(_ kind: Kind) -> AdapterPatch {
    AdapterPatch(adapter: adapter, parts: parts, scale: scale, strength: strength, kind: kind)
  }

  // MARK: - Applying

  func applied(to weight: Tensor) throws(WeightsError) -> Tensor {
    let weight = weight.cast(to: .float32)
    switch kind {
    case .difference(let name): return weight + (try tensor(name) * strength)
    case .scaledDifference(let name):
      return weight + (try tensor(name) * (try factor() * strength))
    case .product:
      let change = try product().reshaped(to: weight.shape) * (try factor())
      guard let magnitude = parts[.magnitude] else { return weight + change * strength }
      let decomposed = Self.decomposed(weight + change, magnitude: try tensor(magnitude))
      return weight + (decomposed - weight) * strength
    }
  }

  func lowRankPair() throws(WeightsError) -> LowRankPair? {
    guard case .product = kind, parts[.magnitude] == nil, let down = try tensor(.down),
      let up = try tensor(.up)
    else { return nil }
    return LowRankPair(
      down: down.reshaped(to: down.size(0), -1), up: up.reshaped(to: up.size(0), -1),
      scale: try factor() * strength)
  }

  /// Gives each row, or each column, the magnitude that was learnt for it (arXiv:2402.09353, equation 5).
  private static func decomposed(_ weight: Tensor, magnitude: Tensor) -> Tensor {
    let rows = weight.size(0)
    let matrix = weight.reshaped(to: rows, -1)
    let isPerColumn = magnitude.size(0) == 1 && magnitude.count != rows
    let norms = matrix.squared().sum(along: isPerColumn ? 0 : 1, keepingDimensions: true)
      .squareRoot()
    let factors =
      magnitude.reshaped(to: isPerColumn ? [1, -1] : [-1, 1]) / norms.maximum(Tensor(1e-12))
    return (matrix * factors).reshaped(to: weight.shape)
  }

  private func tensor(_ name: String) throws(WeightsError) -> Tensor {
    try adapter.tensor(named: name).cast(to: .float32)
  }

  private func tensor(_ part: AdapterLayer.Part) throws(WeightsError) -> Tensor? {
    guard let name = parts[part] else { return nil }
    return try tensor(name)
  }

  // MARK: - Products

  /// The parts of the product that are there; nil if they are not all.
  var productParts: [AdapterLayer.Part]? {
    let needed = factorNames
    guard let needed, needed.allSatisfy({ parts[$0] != nil }) else { return nil }
    return needed + [.alpha, .magnitude].filter { parts[$0] != nil }
  }

  private static func factors(_ name: String) -> [AdapterLayer.Part] {
    [.factor(name + "_a"), .factor(name + "_b")]
  }

  private var factorNames: [AdapterLayer.Part]? {
    if parts[.down] != nil { return [.down, .up] }
    if parts[.factor("hada_w1_a")] != nil {
      return Self.factors("hada_w1") + Self.factors("hada_w2")
    }
    let halves = ["lokr_w1", "lokr_w2"].map { name in
      parts[.factor(name)] == nil ? Self.factors(name) : [.factor(name)]
    }
    let hasAny = halves.joined().contains { parts[$0] != nil }
    return hasAny ? halves.flatMap(\.self) : nil
  }

  private func shape(_ part: AdapterLayer.Part) -> [Int]? {
    parts[part].flatMap { adapter[$0]?.shape }
  }

  /// Rows and columns of a part, with all axes after the first taken together.
  private func matrix(_ part: AdapterLayer.Part) -> (rows: Int, columns: Int)? {
    guard let shape = shape(part), shape.count >= 2 else { return nil }
    return (shape[0], shape.dropFirst().reduce(1, *))
  }

  /// Rows and columns of a factor, whole or in two parts.
  private func matrix(_ name: String) -> (rows: Int, columns: Int)? {
    if let whole = matrix(.factor(name)) { return whole }
    guard let a = matrix(.factor(name + "_a")), let b = matrix(.factor(name + "_b")),
      a.columns == b.rows
    else { return nil }
    return (a.rows, b.columns)
  }

  /// Whether the product has the extents of a weight, and the other parts fit it.
  func productFits(_ weight: [Int]) -> Bool {
    guard weight.count >= 2 else { return false }
    let (rows, columns) = (weight[0], weight.dropFirst().reduce(1, *))
    if let magnitude = shape(.magnitude)?.reduce(1, *), magnitude != rows && magnitude != columns {
      return false
    }
    if let alpha = shape(.alpha), alpha.reduce(1, *) != 1 { return false }
    if let down = matrix(.down) {
      guard let up = matrix(.up) else { return false }
      return up.rows == rows && down.columns == columns && up.columns == down.rows
    }
    if parts[.factor("hada_w1_a")] != nil {
      return ["hada_w1", "hada_w2"].allSatisfy { name in
        matrix(name).map { $0 == (rows, columns) } ?? false
      }
    }
    guard let first = matrix("lokr_w1"), let second = matrix("lokr_w2"),
      max(first.rows, second.rows) <= rows, max(first.columns, second.columns) <= columns
    else { return false }
    return first.rows * second.rows == rows && first.columns * second.columns == columns
  }

  /// The factor of the product: alpha over the rank, where there is an alpha.
  private func factor() throws(WeightsError) -> Double {
    guard let alpha = try tensor(.alpha)?.item() else { return scale }
    let ranks: [AdapterLayer.Part] = [
      .down, .factor("hada_w1_b"), .factor("lokr_w1_b"), .factor("lokr_w2_b"),
    ]
    // Without a low rank there is nothing to divide by.
    guard let rank = ranks.compactMap({ shape($0)?.first }).first, rank > 0 else { return 1 }
    return alpha / Double(rank)
  }

  /// Returns the product, `[rows, columns]`, without its factor.
  private func product() throws(WeightsError) -> Tensor {
    if let down = try tensor(.down), let up = try tensor(.up) {
      return up.reshaped(to: up.size(0), -1).matmul(down.reshaped(to: down.size(0), -1))
    }
    if parts[.factor("hada_w1_a")] != nil {
      return try whole("hada_w1") * (try whole("hada_w2"))
    }
    let (first, second) = (try whole("lokr_w1"), try whole("lokr_w2"))
    let (a, b) = first.shape2
    let (c, d) = second.shape2
    // Kronecker's product.
    return (first.reshaped(to: a, 1, b, 1) * second.reshaped(to: 1, c, 1, d))
      .reshaped(to: a * c, b * d)
  }

  /// A factor as one matrix.
  private func whole(_ name: String) throws(WeightsError) -> Tensor {
    if let tensor = try tensor(.factor(name)) { return tensor.reshaped(to: tensor.size(0), -1) }
    guard let a = try tensor(.factor(name + "_a")), let b = try tensor(.factor(name + "_b")) else {
      return .zeros([1, 1])
    }
    return a.reshaped(to: a.size(0), -1).matmul(b.reshaped(to: b.size(0), -1))
  }
}
