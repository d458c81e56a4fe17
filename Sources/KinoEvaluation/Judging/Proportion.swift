import Foundation

/// A share of successes with its 95% error bar.
public struct Proportion: Codable, Hashable, Sendable {
  /// Successes.
  public var right: Int
  /// Trials, at least as many.
  public var count: Int

  /// So many of so many; traps unless `0 <= right <= count`.
  public init(right: Int, of count: Int) {
    precondition(0...count ~= right, "Proportion: \(right) of \(count)")
    self.right = right
    self.count = count
  }

  /// In `0...1`; 0 without trials.
  public var share: Double { count == 0 ? 0 : Double(right) / Double(count) }

  /// Wilson's interval at 95%, within `0...1`; all of it without trials.
  public var interval: ClosedRange<Double> {
    if count == 0 { return 0...1 }
    let (n, z) = (Double(count), 1.959964)
    let center = (share + z * z / (2 * n)) / (1 + z * z / n)
    let half =
      z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
    return max(0, center - half)...min(1, center + half)
  }

  /// How much larger the second share of the same trials is, and half the width of its 95% interval.
  ///
  /// - Parameter pairs: For each trial, whether it succeeded first and second.
  /// - Returns: The difference in `-1...1` and its error bar; both 0 without trials.
  public static func difference(_ pairs: [(first: Bool, second: Bool)]) -> (
    value: Double, error: Double
  ) {
    if pairs.isEmpty { return (0, 0) }
    let n = Double(pairs.count)
    let (won, lost) = (
      Double(pairs.count { $0.second && !$0.first }), Double(pairs.count { $0.first && !$0.second })
    )
    let value = (won - lost) / n
    let variance = max(0, (won + lost) / n - value * value) / n
    return (value, 1.959964 * variance.squareRoot())
  }
}
