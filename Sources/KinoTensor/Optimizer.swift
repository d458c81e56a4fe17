internal import CKinoTorch

/// What one AdamW step needs (Loshchilov and Hutter, arXiv:1711.05101).
public struct AdamWOptions: Sendable, Hashable {
  /// The length of a step, above 0.
  public var learningRate: Double
  /// The share of the first moment that a step keeps, in `0..<1`.
  public var beta1: Double
  /// The share of the second moment that a step keeps, in `0..<1`.
  public var beta2: Double
  /// Added to the root of the second moment, so that nothing is divided by zero.
  public var epsilon: Double
  /// The share of itself that a parameter loses per step, divided by the learning rate.
  public var weightDecay: Double

  /// Makes options; the defaults are those common for transformers.
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

/// Updates parameters and their moments in place; parameters without a gradient stay as they are.
///
/// - Parameters:
///   - parameters: Leaves whose gradients have been accumulated.
///   - first: Running means of the gradients, in the parameters' shapes; zeros before step 1.
///   - second: Running means of the squared gradients, likewise.
///   - decays: Whether weight decay applies, one per parameter.
///   - options: Rates of the step.
///   - gradientScale: Multiplies every gradient first, as clipping does.
///   - step: Counts from 1.
public func adamW(
  parameters: [Tensor], first: [Tensor], second: [Tensor], decays: [Bool], options: AdamWOptions,
  gradientScale: Double, step: Int
) {
  precondition(
    parameters.count == first.count && first.count == second.count && second.count == decays.count,
    "adamW: \(parameters.count) parameters, \(first.count) and \(second.count) moments")
  if (parameters + first + second).contains(where: \.handle.isMissing) { return }
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

/// What one Muon step needs (Jordan et al., 2024), scaled to AdamW's step size (arXiv:2502.16982).
public struct MuonOptions: Sendable, Hashable {
  /// The root mean square of a step, over 0.2; above 0.
  public var learningRate: Double
  /// The share of the running gradient that a step keeps, in `0..<1`.
  public var momentum: Double
  /// The share of itself that a parameter loses per step, divided by the learning rate.
  public var weightDecay: Double

  /// Makes options.
  public init(learningRate: Double, momentum: Double = 0.95, weightDecay: Double = 0) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.weightDecay = weightDecay
  }
}

/// Moves matrices by their orthogonalised momentum, in place, so that rare directions learn as fast as
/// common ones; parameters without a gradient stay as they are.
///
/// - Parameters:
///   - parameters: Leaves of two axes or more, taken as `[first axis, all others]`.
///   - momentum: Running means of the gradients, in the parameters' shapes; zeros before step 1.
///   - options: Rates of the step.
///   - gradientScale: Multiplies every gradient first, as clipping does.
public func muon(
  parameters: [Tensor], momentum: [Tensor], options: MuonOptions, gradientScale: Double
) {
  precondition(
    parameters.count == momentum.count,
    "muon: \(parameters.count) parameters, \(momentum.count) momenta")
  if (parameters + momentum).contains(where: \.handle.isMissing) { return }
  let raw = kino_muon_options(
    learning_rate: options.learningRate, momentum: options.momentum,
    weight_decay: options.weightDecay, gradient_scale: gradientScale)
  check(
    "muon",
    kino_muon(
      parameters.map(\.handle.pointer), momentum.map(\.handle.pointer), Int32(parameters.count), raw
    ))
}

/// The Euclidean norm of all gradients together; parameters without one count as zero.
public func gradientNorm(of parameters: [Tensor]) -> Double {
  if parameters.contains(where: \.handle.isMissing) { return .nan }
  var norm = 0.0
  check(
    "gradientNorm",
    kino_gradient_norm(parameters.map(\.handle.pointer), Int32(parameters.count), &norm))
  return norm
}

/// Moves every average towards its value: `average += (value - average) * weight`, in place.
public func interpolate(_ averages: [Tensor], towards values: [Tensor], weight: Double) {
  precondition(
    averages.count == values.count, "interpolate: \(averages.count) and \(values.count) tensors")
  if (averages + values).contains(where: \.handle.isMissing) { return }
  check(
    "interpolate",
    kino_lerp(
      averages.map(\.handle.pointer), values.map(\.handle.pointer), Int32(values.count), weight))
}
