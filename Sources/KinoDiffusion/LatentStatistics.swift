internal import Foundation
public import KinoTensor

/// What latents are like as a whole: the middle and the spread of every channel, which small things in the
/// picture hardly change.
///
/// Windows that go on from each other drift: each is a little stronger in colour and contrast than what it
/// knows. Pulling every window towards the first one's statistics keeps the sum of it small.
public struct LatentStatistics: Sendable, Hashable {
  /// The median of every channel.
  public let medians: [Float]
  /// Half of what lies between the ranks of 16% and 84%, by channel: the deviation, where values are normal.
  public let spreads: [Float]

  /// Measures latents `[C, F, H, W]`.
  public init(_ latents: Tensor) {
    let channels = latents.size(0)
    let values = latents.floats()
    let count = values.count / channels
    func rank(_ sorted: [Float], _ share: Double) -> Float {
      sorted[Int((Double(count - 1) * share).rounded())]
    }
    let sorted = (0..<channels).map { values[$0 * count..<($0 + 1) * count].sorted() }
    medians = sorted.map { rank($0, 0.5) }
    spreads = sorted.map { (rank($0, 0.84) - rank($0, 0.16)) / 2 }
  }

  /// Moves other latents' statistics towards these, channel by channel.
  ///
  /// - Parameters:
  ///   - latents: `[C, F, H, W]`.
  ///   - strength: The share of the way, 0...1.
  /// - Returns: Latents of the same shape; spreads change by a factor of 2 at most.
  public func pulling(_ latents: Tensor, strength: Double) -> Tensor {
    let own = LatentStatistics(latents)
    var (scales, shifts): ([Float], [Float]) = ([], [])
    for channel in medians.indices {
      let (from, to) = (own.spreads[channel], spreads[channel])
      let ratio = from > 0 && to > 0 ? Double(to / from) : 1
      let scale = Float(exp(strength * log(min(max(ratio, 0.5), 2))))
      let middle = own.medians[channel]
      let target = middle + Float(strength) * (medians[channel] - middle)
      scales.append(scale)
      shifts.append(target - middle * scale)
    }
    func perChannel(_ values: [Float]) -> Tensor {
      Tensor(values, shape: [values.count, 1, 1, 1]).moved(to: latents.device)
    }
    return latents * perChannel(scales) + perChannel(shifts)
  }
}
