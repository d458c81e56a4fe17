internal import CKinoTorch

/// Draws random tensors by counting: the n-th draw depends on the seed and n alone.
///
/// The numbers are the same on every device and for any thread count. A source is a value: copy it
/// to fork it, store ``seed`` and ``drawCount`` to resume it.
public struct RandomSource: Sendable, Hashable, Codable {
  /// Chooses the sequence.
  public let seed: UInt64
  /// Draws made so far.
  public private(set) var drawCount: UInt64

  /// Starts a sequence, or resumes it after `drawCount` draws.
  public init(seed: UInt64, drawCount: UInt64 = 0) {
    self.seed = seed
    self.drawCount = drawCount
  }

  /// Draws standard normal numbers, float32, on the CPU.
  public mutating func normal(_ shape: [Int]) -> Tensor { draw(shape, normal: true) }

  /// Draws numbers uniform in `0..<1`, float32, on the CPU.
  public mutating func uniform(_ shape: [Int]) -> Tensor { draw(shape, normal: false) }

  /// Draws one number uniform in `0..<1`.
  public mutating func uniform() -> Double { uniform([1]).item() }

  /// Draws one standard normal number.
  public mutating func normal() -> Double { normal([1]).item() }

  /// Draws an integer in `0..<bound`; `bound` must be above 0.
  public mutating func integer(below bound: Int) -> Int {
    precondition(bound > 0, "integer: bound \(bound)")
    return Swift.min(Int(uniform() * Double(bound)), bound - 1)
  }

  /// The words that elements `4 * index` and the three after it of one draw are made from.
  package static func block(seed: UInt64, draw: UInt64, index: UInt64) -> [UInt32] {
    var words: [UInt32] = [0, 0, 0, 0]
    kino_random_block(seed, draw, index, &words)
    return words
  }

  private mutating func draw(_ shape: [Int], normal: Bool) -> Tensor {
    defer { drawCount += 1 }
    let sizes = shape.map(Int64.init)
    let (seed, stream) = (seed, drawCount)
    return Tensor.make("random \(shape)") {
      kino_random(normal, seed, stream, sizes, Int32(sizes.count), $0)
    }
  }
}
