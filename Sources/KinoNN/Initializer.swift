internal import KinoTensor

/// How a parameter starts before training.
public enum Initializer: Sendable, Hashable {
  case zeros
  case ones
  case constant(Double)
  /// Normal around zero.
  case normal(standardDeviation: Double)
  /// Uniform within `±sqrt(6 / (fanIn + fanOut))` (Glorot and Bengio, 2010).
  case xavierUniform
  /// Uniform within `±1 / sqrt(fanIn)`, LibTorch's default for linear layers and convolutions.
  case fanInUniform(Int)

  /// Draws the starting value of one parameter, float32.
  func tensor(shape: [Int], seed: UInt64, key: String) -> Tensor {
    var source = RandomSource(seed: seed &+ stableHash(key))
    switch self {
    case .zeros: return .zeros(shape)
    case .ones: return .ones(shape)
    case .constant(let value): return .full(value, shape: shape)
    case .normal(let deviation): return source.normal(shape) * deviation
    case .xavierUniform:
      let receptive = shape.dropFirst(2).reduce(1, *)
      let fans = Double((shape[0] + (shape.count > 1 ? shape[1] : 0)) * receptive)
      return symmetric(&source, shape, (6 / fans).squareRoot())
    case .fanInUniform(let fanIn):
      return symmetric(&source, shape, 1 / Double(max(1, fanIn)).squareRoot())
    }
  }

  private func symmetric(_ source: inout RandomSource, _ shape: [Int], _ bound: Double) -> Tensor {
    (source.uniform(shape) * 2 - 1) * bound
  }
}

/// FNV-1a over UTF-8, since Swift's own hashes change from run to run.
package func stableHash(_ text: String) -> UInt64 {
  text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
