internal import CKinoTorch

/// What one AdamW step needs.
public struct AdamWOptions: Sendable, Hashable {
  public var learningRate: Double
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var weightDecay: Double

  public init(
    learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.95, epsilon: Double = 1e-8,
    weightDecay: Double = 0.01
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }
}

/// Updates parameters in place from their gradients, moments first and second with them.
///
/// - Parameters:
///   - decays: Whether weight decay applies, one per parameter.
///   - gradientScale: Multiplies every gradient first, as clipping does.
///   - step: Counts from 1.
public func adamW(
  parameters: [Tensor], first: [Tensor], second: [Tensor], decays: [Bool], options: AdamWOptions,
  gradientScale: Double, step: Int
) {
  precondition(
    parameters.count == first.count && first.count == second.count && second.count == decays.count,
    "adamW: \(parameters.count) parameters, \(first.count) and \(second.count) moments")
  let raw = kino_adamw_options(
    learning_rate: options.learningRate, beta1: options.beta1, beta2: options.beta2,
    epsilon: options.epsilon, weight_decay: options.weightDecay, gradient_scale: gradientScale,
    step: Int64(step))
  check(
    "adamW",
    kino_adamw(
      parameters.map(\.handle.pointer), first.map(\.handle.pointer), second.map(\.handle.pointer),
      decays, Int32(parameters.count), raw))
}

/// The Euclidean norm of all gradients together.
public func gradientNorm(of parameters: [Tensor]) -> Double {
  var norm = 0.0
  check("gradientNorm", kino_gradient_norm(parameters.map(\.handle.pointer), Int32(parameters.count), &norm))
  return norm
}

/// Moves every average towards its value: `average += (value - average) * weight`, in place.
public func interpolate(_ averages: [Tensor], towards values: [Tensor], weight: Double) {
  precondition(averages.count == values.count, "interpolate: \(averages.count) and \(values.count) tensors")
  check(
    "interpolate",
    kino_lerp(averages.map(\.handle.pointer), values.map(\.handle.pointer), Int32(values.count), weight))
}
