import Foundation
public import KinoTensor

/// Predicts and corrects along past clean predictions: order 2 or 3, one evaluation a step.
///
/// The clean prediction is taken as a polynomial in `lambda = log((1 - sigma) / sigma)`. The
/// corrector repeats the last step with the prediction at its end included. A token's order grows
/// from 1 with the steps since it entered, and falls to 1 at the last step.
///
/// - Note: UniPC, arXiv:2302.04867, in its `bh2` form, as published Wan models are sampled.
public struct UniPCSampler: Sampler {
  /// Past predictions that a step looks at, this step's included: 1...3.
  public let order: Int
  /// UniPC's own.
  public let spacing = FlowMatchingSchedule.Spacing.uniPC

  /// What the steps before left.
  public struct Memory: Sendable {
    /// The latents that the last step left from.
    fileprivate var latents: Tensor?
    /// Clean predictions, the latest first.
    fileprivate var predictions: [Tensor] = []
  }

  /// Makes a sampler of some order.
  ///
  /// - Throws: ``DiffusionError`` for an order outside 1...3.
  public init(order: Int) throws(DiffusionError) {
    try DiffusionError.require(
      (1...3).contains(order), .range, "expected a solver order in 1...3, found \(order)")
    self.order = order
  }

  /// Makes a sampler of order 2.
  public init() { order = 2 }

  /// Starts without a past.
  public func start() -> Memory { Memory() }

  /// Corrects the last step and predicts the next one, by one evaluation of the velocity.
  public func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Memory,
    noise: inout StepNoise, velocity: (_ latents: Tensor, _ index: Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let denoised = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    var corrected = latents
    if let origin = memory.latents {
      corrected = path.combine([latents, origin, denoised] + memory.predictions) {
        correction(at: index, pastCount: memory.predictions.count, token(of: $0, along: path))
      }
    }
    memory.latents = corrected
    memory.predictions = Array(([denoised] + memory.predictions).prefix(order))
    let next = path.combine([corrected] + memory.predictions) {
      prediction(at: index, pastCount: memory.predictions.count, token(of: $0, along: path))
    }
    return (next, denoised)
  }
}

// MARK: - One token

extension UniPCSampler {
  /// The course of one token: its sigma by step, and the first step that moves it.
  struct Token {
    let sigmas: [Double]
    let entry: Int

    func lambda(_ index: Int) -> Double { SamplingPath.lambda(sigmas[index]) }
  }

  private func token(of level: Double, along path: SamplingPath) -> Token {
    Token(sigmas: path.schedule.sigmas.map { min($0, level) }, entry: path.entry(of: level))
  }

  /// Past predictions of step `index`, by their distance in lambda over the step's length; as many
  /// as the order there allows.
  private func nodes(at index: Int, _ token: Token) -> [Double] {
    let remaining = token.sigmas.count - 1 - index
    let most = min(order, remaining, index - token.entry + 1)
    if most < 2 { return [] }
    let start = token.lambda(index)
    let length = token.lambda(index + 1) - start
    var nodes: [Double] = []
    for past in 1..<most {
      let node = (token.lambda(index - past) - start) / length
      // A token that has just entered may have a past too close to tell a slope.
      if (nodes.last ?? 0) - node < 0.05 { break }
      nodes.append(node)
    }
    return nodes
  }

  /// Weights of the latents and of the clean predictions, this step's first.
  func prediction(at index: Int, pastCount: Int, _ token: Token) -> [Double] {
    var weights = Array(repeating: 0.0, count: 1 + pastCount)
    if index < token.entry {
      weights[0] = 1
      return weights
    }
    let (now, next) = (token.sigmas[index], token.sigmas[index + 1])
    if next == 0 {
      weights[1] = 1
      return weights
    }
    let decay = expm1(token.lambda(index) - token.lambda(index + 1))
    weights[0] = next / now
    weights[1] = -(1 - next) * decay
    let nodes = nodes(at: index, token)
    let parts = nodes.count < 2 ? [0.5] : Self.solve(nodes, at: token, index)
    for (past, (node, part)) in zip(nodes, parts).enumerated() {
      let weight = -(1 - next) * decay * part / node
      weights[2 + past] += weight
      weights[1] -= weight
    }
    return weights
  }

  /// Weights of the latents, of those the last step left from, of this step's clean prediction, and
  /// of the past ones, the latest first.
  func correction(at index: Int, pastCount: Int, _ token: Token) -> [Double] {
    var weights = Array(repeating: 0.0, count: 3 + pastCount)
    let origin = index - 1
    if origin < token.entry {
      weights[0] = 1
      return weights
    }
    let (before, now) = (token.sigmas[origin], token.sigmas[index])
    let decay = expm1(token.lambda(origin) - token.lambda(index))
    weights[1] = now / before
    weights[3] = -(1 - now) * decay
    let nodes = nodes(at: origin, token) + [1]
    let parts = nodes.count < 2 ? [0.5] : Self.solve(nodes, at: token, origin)
    for (past, (node, part)) in zip(nodes, parts).enumerated() {
      let weight = -(1 - now) * decay * part / node
      weights[past == nodes.count - 1 ? 2 : 4 + past] += weight
      weights[3] -= weight
    }
    return weights
  }

  /// Weights of the differences at `nodes` that are exact for polynomials of that degree.
  private static func solve(_ nodes: [Double], at token: Token, _ index: Int) -> [Double] {
    let length = token.lambda(index) - token.lambda(index + 1)
    let scale = expm1(length)
    var remainder = scale / length - 1
    var factorial = 1.0
    var right: [Double] = []
    for degree in 1...nodes.count {
      factorial *= Double(degree)
      right.append(remainder * factorial / scale)
      remainder = remainder / length - 1 / (factorial * Double(degree + 1))
    }
    return vandermonde(nodes, right)
  }

  /// Solves `sum over q of nodes[q]^j * x[q] = right[j]` for distinct nodes.
  static func vandermonde(_ nodes: [Double], _ right: [Double]) -> [Double] {
    var rows = right.indices.map { power in
      nodes.map { pow($0, Double(power)) } + [right[power]]
    }
    let count = nodes.count
    for column in 0..<count {
      // The first row is all ones, and distinct nodes keep the later pivots away from zero.
      for row in 0..<count where row != column {
        let factor = rows[row][column] / rows[column][column]
        for entry in column...count { rows[row][entry] -= factor * rows[column][entry] }
      }
    }
    return rows.indices.map { rows[$0][count] / rows[$0][$0] }
  }
}
