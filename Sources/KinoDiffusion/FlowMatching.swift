public import KinoTensor

/// The straight path between clean latents and noise: `x = (1 - sigma) * clean + sigma * noise`,
/// with velocity `dx / dsigma = noise - clean`.
///
/// `sigma` broadcasts over the latents.
public enum FlowMatching {
  /// Noises clean latents.
  public static func noised(_ clean: Tensor, with noise: Tensor, sigma: Tensor) -> Tensor {
    clean * (1 - sigma) + noise * sigma
  }

  /// The velocity from clean latents towards noise.
  public static func velocity(clean: Tensor, noise: Tensor) -> Tensor { noise - clean }

  /// The clean latents that a velocity at `latents` points away from.
  public static func clean(from latents: Tensor, velocity: Tensor, sigma: Tensor) -> Tensor {
    latents - velocity * sigma
  }

  /// The noise that a velocity at `latents` points to.
  public static func noise(from latents: Tensor, velocity: Tensor, sigma: Tensor) -> Tensor {
    latents + velocity * (1 - sigma)
  }
}

/// What a network's output means.
///
/// Samplers only ever see velocities.
public enum Prediction: String, Sendable, Hashable, Codable {
  case velocity, clean, noise

  /// Converts a network's output to a velocity.
  ///
  /// A clean prediction does not determine the velocity at sigma 0, nor a noise prediction at 1:
  /// there the divisor is held at `1e-6`.
  public func velocity(of output: Tensor, at latents: Tensor, sigma: Tensor) -> Tensor {
    switch self {
    case .velocity: output
    case .clean: (latents - output) / sigma.clamped(to: 1e-6...1)
    case .noise: (output - latents) / (1 - sigma).clamped(to: 1e-6...1)
    }
  }
}
