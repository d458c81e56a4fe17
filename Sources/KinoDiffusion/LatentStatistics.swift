internal import Foundation
public import KinoTensor

/// What latents are like as a whole: the middle, the spread and the grain of every channel, which a few objects in
/// the picture hardly change, and how far such objects stand out.
///
/// Windows that go on from each other drift: each is a little stronger in colour, contrast and small detail than
/// what it knows, or its objects a little paler. Pulling every window towards the first one's statistics keeps the
/// sum of it small.
public struct LatentStatistics: Sendable, Hashable {
  /// The median of every channel.
  public let medians: [Float]
  /// Half of what lies between the ranks of 16% and 84%, by channel: the deviation, where values are normal.
  public let spreads: [Float]
  /// How far latents below the rank of 16% lie under it on average, by channel: objects are mostly such latents.
  public let lowTails: [Float]
  /// How far those above the rank of 84% lie over it.
  public let highTails: [Float]
  /// The median distance of a latent from the mean of itself and its four neighbours in the picture, by channel: how
  /// much there is of small detail.
  public let grains: [Float]

  /// Measures latents `[C, F, H, W]`.
  public init(_ latents: Tensor) {
    let sorted = Self.sorted(latents)
    medians = sorted.map { Self.rank($0, 0.5) }
    spreads = sorted.map { (Self.rank($0, Self.high) - Self.rank($0, Self.low)) / 2 }
    lowTails = sorted.map(Self.lowTail)
    highTails = sorted.map(Self.highTail)
    grains = Self.sorted((latents - Self.smooth(latents)).abs()).map { Self.rank($0, 0.5) }
  }

  /// Moves other latents' statistics towards these, channel by channel.
  ///
  /// - Parameters:
  ///   - latents: `[C, F, H, W]`.
  ///   - strength: The share of the way, 0...1; grain goes the whole way if it is not 0.
  /// - Returns: Latents of the same shape; spreads and grains change by a factor of 2 at most, tails by one of 1.5:
  ///   an object that leaves is not to be made up for.
  public func pulling(_ latents: Tensor, strength: Double) -> Tensor {
    if strength == 0 { return latents }
    func perChannel(_ values: [Float]) -> Tensor {
      Tensor(values, shape: [values.count, 1, 1, 1]).moved(to: latents.device)
    }
    let own = LatentStatistics(latents)
    let scales = zip(own.spreads, spreads).map { Self.factor($0, $1, strength) }
    let factors = zip(zip(own.grains, scales).map(*), grains).map { Self.factor($0, $1, 1) }
    let smooth = Self.smooth(latents)
    let scaled = (smooth + (latents - smooth) * perChannel(factors)) * perChannel(scales)
    let order = Self.sorted(scaled)
    let middles = order.map { Self.rank($0, 0.5) }
    let shifts = middles.indices.map { channel in
      let middle = own.medians[channel]
      return middle + Float(strength) * (medians[channel] - middle) - middles[channel]
    }
    let moved = scaled + perChannel(shifts)
    let sorted = zip(order, shifts).map { values, shift in values.map { $0 + shift } }
    /// What to add to each latent beyond a rank, per unit that it lies beyond it.
    func stretch(_ tails: [Float], from own: [Float]) -> Tensor {
      perChannel(zip(own, tails).map { Self.factor($0, $1, strength, limit: 1.5) - 1 })
    }
    let zero = Tensor(0).moved(to: latents.device)
    let under = (perChannel(sorted.map { Self.rank($0, Self.low) }) - moved).maximum(zero)
    let over = (moved - perChannel(sorted.map { Self.rank($0, Self.high) })).maximum(zero)
    return moved - under * stretch(lowTails, from: sorted.map(Self.lowTail))
      + over * stretch(highTails, from: sorted.map(Self.highTail))
  }

  /// What takes one size a share of the way to another, as a factor.
  private static func factor(
    _ from: Float, _ to: Float, _ strength: Double, limit: Double = 2
  ) -> Float {
    let ratio = from > 0 && to > 0 ? Double(to / from) : 1
    return Float(exp(strength * log(min(max(ratio, 1 / limit), limit))))
  }

  /// The values of every channel, rising.
  private static func sorted(_ latents: Tensor) -> [[Float]] {
    let values = latents.floats()
    let count = values.count / latents.size(0)
    return (0..<latents.size(0)).map { values[$0 * count..<($0 + 1) * count].sorted() }
  }

  /// The ranks one deviation from the middle of a normal distribution.
  private static let (low, high) = (0.16, 0.84)

  private static func rank(_ sorted: [Float], _ share: Double) -> Float {
    sorted[Int((Double(sorted.count - 1) * share).rounded())]
  }

  private static func lowTail(_ sorted: [Float]) -> Float {
    let end = rank(sorted, low)
    return mean(sorted.prefix { $0 < end }.map { end - $0 })
  }

  private static func highTail(_ sorted: [Float]) -> Float {
    let start = rank(sorted, high)
    return mean(sorted.reversed().prefix { $0 > start }.map { $0 - start })
  }

  private static func mean(_ values: [Float]) -> Float {
    values.isEmpty ? 0 : values.reduce(0, +) / Float(values.count)
  }

  /// The mean of every latent and its four neighbours; at an edge it is a neighbour of its own.
  private static func smooth(_ latents: Tensor) -> Tensor {
    let neighbours = [2, 3].map { axis in
      let last = latents.size(axis) - 1
      let before = concatenate(
        [latents.slice(axis, 0..<1), latents.slice(axis, 0..<last)], along: axis)
      let after = concatenate(
        [latents.slice(axis, 1..<last + 1), latents.slice(axis, last..<last + 1)], along: axis)
      return before + after
    }
    return (latents + neighbours[0] + neighbours[1]) / 5
  }
}
