public import KinoTensor

/// Strengthens what is known of a canvas: `v = v_guided + (scale - 1) * (v_known - v_unknown)`.
///
/// Both velocities follow the positive prompt; the second is that of a canvas of which nothing is known exactly.
/// So frames go on more as the known ones ask for, and less as any clip would.
///
/// - Note: Song et al., arXiv:2502.06764, section 4. There what is left out is pure noise at every step; here it has
///   the noise of the step, as where a model makes a whole clip, so no network needs training for it and the
///   difference ends by itself as the noise falls.
public struct HistoryGuidance: Sendable, Hashable {
  /// 1 is off, and costs nothing.
  public let scale: Double

  /// The schedule's sigmas at which it is on: where it is decided what stands where. Below them it changes little.
  public static let sigmas = 0.5...1

  /// No guidance.
  public static let off = HistoryGuidance(uncheckedScale: 1)

  /// Makes guidance of some strength.
  ///
  /// - Throws: ``DiffusionError`` unless the scale is finite and from 0.
  public init(scale: Double) throws(DiffusionError) {
    try DiffusionError.require(
      scale >= 0 && scale.isFinite, .range,
      "expected a history guidance scale from 0, found \(scale)")
    self.scale = scale
  }

  private init(uncheckedScale scale: Double) { self.scale = scale }

  /// Makes the canvas to lead away from.
  ///
  /// - Parameters:
  ///   - canvas: The whole.
  ///   - noise: What it starts from, `[C, F, H, W]`.
  /// - Returns: `nil` where that is not asked for, or nothing is known exactly.
  public func forgetting(_ canvas: Canvas, noise: Tensor) -> ForgottenCanvas? {
    guard scale != 1, canvas.keepsTokens, canvas.highestLevel > 0, let content = canvas.content
    else { return nil }
    return ForgottenCanvas(
      canvas: canvas.forgettingKnown, content: content.moved(to: noise.device), noise: noise,
      isKnown: canvas.map { $0 == 0 ? 1 : 0 }.greater(than: 0.5).moved(to: noise.device))
  }

  /// Adds what the known part says to a velocity, in float32.
  public func combine(_ guided: Tensor, known: Tensor, unknown: Tensor) -> Tensor {
    guided + (known.cast(to: .float32) - unknown.cast(to: .float32)) * (scale - 1)
  }
}

/// A canvas as if nothing of it was known exactly: what was carries noise as all else does.
public struct ForgottenCanvas: Sendable {
  /// Its levels and prompts.
  public let canvas: Canvas
  fileprivate let content: Tensor
  fileprivate let noise: Tensor
  fileprivate let isKnown: Tensor

  fileprivate init(canvas: Canvas, content: Tensor, noise: Tensor, isKnown: Tensor) {
    (self.canvas, self.content, self.noise, self.isKnown) = (canvas, content, noise, isKnown)
  }

  /// What the model sees at a moment of the whole canvas: latents `[C, F, H, W]` and the timesteps of tokens; `nil`
  /// where guidance is off.
  public func view(
    _ latents: Tensor, _ moment: SamplingMoment
  ) -> (latents: Tensor, moment: SamplingMoment)? {
    guard HistoryGuidance.sigmas.contains(moment.sigma) else { return nil }
    let noised = FlowMatching.noised(content, with: noise, sigma: Tensor(moment.sigma))
    return (
      latents.replacing(with: noised.cast(to: latents.dtype), where: isKnown),
      moment.seen(by: canvas)
    )
  }
}
