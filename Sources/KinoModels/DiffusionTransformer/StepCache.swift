internal import KinoTensor

/// Leaves out most blocks of an evaluation that would change little since the last whole one.
///
/// What the first block adds to the tokens tells how far they have moved; while that stays near, what all
/// later blocks added last time is added again. The idea of TeaCache (arXiv:2411.19108), with the first
/// block as the measure. Differs in what it compares with: the last evaluation made in full, not the last
/// one, so that many small changes count as a large one.
///
/// Make one per text and window, and hand it to every evaluation there.
public final class StepCache {
  /// The relative change of the first block's work below which the others are left out, from 0.
  public let threshold: Double
  /// Evaluations that were made in full.
  public private(set) var fullCount = 0
  /// Evaluations that took over earlier work.
  public private(set) var reusedCount = 0
  private var start: Tensor?  // what the first block added, [B, L, D]
  private var rest: Tensor?  // what the others added

  /// Makes an empty cache; a threshold of 0 never leaves anything out.
  public init(threshold: Double) { self.threshold = threshold }

  /// Computes the later blocks, or takes over what they did.
  ///
  /// - Parameters:
  ///   - tokens: Before the first block.
  ///   - first: After it.
  ///   - others: Computes the later blocks.
  /// - Returns: The tokens after all blocks.
  func stream(_ tokens: Tensor, first: Tensor, others: (Tensor) -> Tensor) -> Tensor {
    let start = first - tokens
    if let rest, isNear(start) {
      reusedCount += 1
      return first + rest
    }
    let last = others(first)
    fullCount += 1
    (self.start, rest) = (start, last - first)
    return last
  }

  private func isNear(_ start: Tensor) -> Bool {
    guard let before = self.start, before.shape == start.shape, threshold > 0 else { return false }
    // Written so that NaN is far.
    let change = (start - before).abs().mean().item()
    return change < threshold * before.abs().mean().item()
  }
}
