import Foundation
public import KinoTensor

/// A schedule as the tokens of a canvas see it.
///
/// Samplers write their formulas for one token, in its own sigmas; ``combine(_:weights:)`` applies
/// them to all. So tokens of every noise level, also ones that enter in the middle of a step, are
/// integrated exactly as if they were alone.
public struct SamplingPath: Sendable {
  /// Whose tokens these are.
  public let canvas: Canvas
  /// The sigmas of tokens with noise level 1.
  public let schedule: FlowMatchingSchedule

  /// The sigma of a token of noise level `level` at step `index`, `0...stepCount`.
  public func sigma(_ index: Int, of level: Double) -> Double { min(schedule.sigmas[index], level) }

  /// The first step that moves tokens of this level; `stepCount` if none does.
  public func entry(of level: Double) -> Int {
    schedule.sigmas.dropFirst().firstIndex { $0 < level }.map { $0 - 1 } ?? schedule.stepCount
  }

  /// Half the log signal-to-noise ratio, `log((1 - sigma) / sigma)`, of such a token; infinite at
  /// the end.
  public func lambda(_ index: Int, of level: Double) -> Double {
    Self.lambda(sigma(index, of: level))
  }

  static func lambda(_ sigma: Double) -> Double {
    // Sigma 1 counts as the largest float32 below it.
    log(max(1 - sigma, 0x1p-24) / sigma)
  }

  /// Sums tensors `[C, F, H, W]`, each times a weight that depends on a token's noise level.
  public func combine(_ tensors: [Tensor], weights: (_ level: Double) -> [Double]) -> Tensor {
    let ofLevels = Dictionary(uniqueKeysWithValues: canvas.levels.map { ($0, weights($0)) })
    var sum: Tensor?
    for (position, tensor) in tensors.enumerated() {
      let column = ofLevels.mapValues { $0[position] }
      if column.values.allSatisfy({ $0 == 0 }) { continue }
      let scale = canvas.map { column[$0, default: 0] }.moved(to: tensor.device)
      let term = column.values.allSatisfy { $0 == 1 } ? tensor : tensor * scale
      sum = sum.map { $0 + term } ?? term
    }
    return sum ?? .zeros(canvas.shape.axes)
  }

  func moment(_ index: Int) -> SamplingMoment {
    let timestep = schedule.timesteps[index]
    return SamplingMoment(
      index: index, count: schedule.stepCount, sigma: schedule.sigmas[index], timestep: timestep,
      timesteps: canvas.timesteps(atMost: timestep))
  }

  /// Puts back the tokens that step `index` does not move, whatever a velocity held there.
  func restoring(_ before: Tensor, in after: Tensor, after index: Int) -> Tensor {
    let next = schedule.sigmas[index + 1]
    if canvas.levels.allSatisfy({ $0 > next }) { return after }
    let still = canvas.map { $0 <= next ? 1 : 0 }.greater(than: 0.5).moved(to: after.device)
    return after.replacing(with: before, where: still)
  }
}
