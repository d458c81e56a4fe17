public import KinoTensor

/// The change of low rank that a linear layer learns while its weight stays (arXiv:2106.09685): to
/// `W x` is added `up (down x) * scale`.
public struct LowRankPair: Sendable {
  /// `[rank, inputs]`.
  public let down: Tensor
  /// `[outputs, rank]`.
  public let up: Tensor
  /// Alpha over the rank, times the weight that an adapter is given.
  public let scale: Double

  /// A pair of `down`, `[rank, inputs]`, and `up`, `[outputs, rank]`.
  public init(down: Tensor, up: Tensor, scale: Double) {
    precondition(
      down.rank == 2 && up.rank == 2 && down.size(0) == up.size(1),
      "LowRankPair: \(down.summary), \(up.summary)")
    (self.down, self.up, self.scale) = (down, up, scale)
  }

  /// Maps `[..., inputs]` to `[..., outputs]`, in the type of `x`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    x.linear(weight: down.cast(to: x.dtype)).linear(weight: up.cast(to: x.dtype)) * scale
  }
}

/// The low-rank pairs of a network: which layers have one, and the list of them once it is built.
///
/// ```swift
/// let adapters = LowRankAdapters(rank: 8, targets: ["to_q", "to_v"], seed: 1)
/// let network = try weights.load(adapters: adapters) { DiffusionTransformer($0, configuration: sizes) }
/// print(adapters.parameters.map(\.key))  // "blocks.0.attn1.to_q.lora_A.weight", ...
/// ```
/// A pair starts as no change: `down` is drawn at random, `up` is zero. Keys are those of PEFT.
public final class LowRankAdapters {
  /// Rows of `down`.
  public let rank: Int
  /// The change of a layer is multiplied by alpha over the rank.
  public let alpha: Double
  /// Names of layers, or the ends of their paths from a point on.
  public let targets: [String]
  private let source: Source

  private enum Source {
    case initial(seed: UInt64, device: Device)
    case given([String: Tensor])
  }

  /// Every pair's two parameters, in the order in which the network asked for them.
  public private(set) var parameters: [(key: String, value: Tensor)] = []
  private var met: Set<String> = []

  /// Starts pairs anew; they record gradients, and each depends on the seed and its own key alone.
  public init(
    rank: Int, alpha: Double? = nil, targets: [String], seed: UInt64, device: Device = .cpu
  ) {
    precondition(rank > 0, "LowRankAdapters: rank \(rank)")
    (self.rank, self.alpha, self.targets) = (rank, alpha ?? Double(rank), targets)
    source = .initial(seed: seed, device: device)
  }

  /// Takes pairs that are there, by their keys, for a network with the same targets.
  public init(_ values: [String: Tensor], as other: LowRankAdapters) {
    (rank, alpha, targets) = (other.rank, other.alpha, other.targets)
    source = .given(values)
  }

  /// Targets of which no layer was found.
  public var unusedTargets: [String] { targets.filter { !met.contains($0) } }

  /// The pair of a layer; `nil` for one that stays as it is.
  func pair(_ path: String, inputs: Int, outputs: Int) -> LowRankPair? {
    let names = targets.filter { path == $0 || path.hasSuffix("." + $0) }
    if names.isEmpty { return nil }
    met.formUnion(names)
    return LowRankPair(
      down: parameter(path + ".lora_A.weight", [rank, inputs], .fanInUniform(inputs)),
      up: parameter(path + ".lora_B.weight", [outputs, rank], .zeros), scale: alpha / Double(rank))
  }

  private func parameter(_ key: String, _ shape: [Int], _ initializer: Initializer) -> Tensor {
    let value: Tensor
    switch source {
    case .initial(let seed, let device):
      value = initializer.tensor(shape: shape, seed: seed, key: key).moved(to: device)
        .requiringGradient()
    case .given(let values):
      guard let found = values[key], found.shape == shape else {
        preconditionFailure("LowRankAdapters: expected \(key) \(shape)")
      }
      value = found
    }
    parameters.append((key, value))
    return value
  }
}
