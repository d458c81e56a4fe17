public import KinoTensor

/// Canvases of one shape that a network learns from together: clean latents, of which some frames are
/// known, each canvas at its own noise level.
///
/// It follows the rule of ``Canvas``: known frames are the clean latents bit for bit, carry timestep 0 and
/// are left out of the loss; all others are noised to the canvas's sigma and carry 1000 times it.
public struct CanvasBatch: Sendable {
  /// Clean latents `[B, C, F, H, W]`, float32.
  public let latents: Tensor
  /// The noise level of each canvas, in 0...1.
  public let sigmas: [Double]
  /// Latents per token.
  public let patch: LatentShape.Patch
  /// 1 for the frames to fill in, 0 for known ones: `[B, 1, F, 1, 1]`.
  private let free: Tensor
  /// 1 for the tokens to fill in, 0 for known ones, by token frame.
  private let isFree: [[Bool]]

  /// Makes a batch, and checks it once.
  ///
  /// - Parameters:
  ///   - latents: Clean latents `[B, C, F, H, W]`.
  ///   - known: For every canvas whether each latent frame is known, as ``KnownFramePatterns`` draws it.
  ///   - sigmas: The noise level of each canvas, in 0...1.
  ///   - patch: Latents per token. A token over several frames is known only if all of them are.
  /// - Throws: ``DiffusionError`` for latents that patches do not tile, other counts, or a sigma out of
  ///   range.
  public init(
    _ latents: Tensor, known: [[Bool]], sigmas: [Double],
    patch: LatentShape.Patch = LatentShape.Patch()
  ) throws(DiffusionError) {
    try DiffusionError.require(
      latents.rank == 5, .shape, "expected latents [B, C, F, H, W], found \(latents.summary)")
    let (batch, channels, frames, height, width) = latents.shape5
    _ = try LatentShape(
      channels: channels, frames: frames, height: height, width: width, patch: patch)
    try DiffusionError.require(
      known.count == batch && sigmas.count == batch && known.allSatisfy { $0.count == frames },
      .shape,
      "expected \(frames) known flags and a sigma for each of \(batch) canvases, "
        + "found \(known.map(\.count)) and \(sigmas.count)")
    try DiffusionError.require(
      sigmas.allSatisfy { (0...1).contains($0) }, .range,
      "expected sigmas in 0...1, found \(sigmas)")
    self.latents = latents
    self.sigmas = sigmas
    self.patch = patch
    isFree = known.map { known in
      stride(from: 0, to: frames, by: patch.frames).map { start in
        !known[start..<start + patch.frames].allSatisfy(\.self)
      }
    }
    let perFrame = isFree.flatMap { $0.flatMap { Array(repeating: $0, count: patch.frames) } }
    free = Tensor(perFrame.map { $0 ? Float(1) : 0 }, shape: [batch, 1, frames, 1, 1])
      .moved(to: latents.device)
  }

  /// Noises what is to be filled in; known frames are the clean latents.
  ///
  /// - Parameter noise: As ``latents``.
  /// - Returns: As ``latents``.
  public func noised(with noise: Tensor) -> Tensor {
    let sigma = Tensor(sigmas.map(Float.init), shape: [sigmas.count, 1, 1, 1, 1])
      .moved(to: latents.device)
    return FlowMatching.noised(latents, with: noise, sigma: sigma * free)
  }

  /// Two timesteps per canvas, 0 and its own, `[B, 2]`; and for every token which of them it carries,
  /// int64 `[B, L]`.
  public var timesteps: (values: Tensor, index: Tensor) {
    let values = Tensor(sigmas.flatMap { [0, Float($0 * 1000)] }, shape: [sigmas.count, 2])
    let perFrame = latents.size(3) / patch.height * (latents.size(4) / patch.width)
    let index = isFree.flatMap {
      $0.flatMap { Array(repeating: $0 ? Int64(1) : 0, count: perFrame) }
    }
    return (
      values.moved(to: latents.device),
      Tensor(index, shape: [sigmas.count, index.count / sigmas.count]).moved(to: latents.device)
    )
  }

  /// The mean squared error of a velocity over what is to be filled in.
  ///
  /// - Parameters:
  ///   - velocity: The network's output for ``noised(with:)``, `[B, C, F, H, W]`; may record gradients.
  ///   - noise: The noise used, as ``latents``.
  ///   - weights: What each token's error counts, `[B, L]`, not negative; `nil` where all count alike. Only
  ///     their ratios within a canvas matter.
  /// - Returns: One number per canvas, float32 `[B]`; 0 where everything is known.
  public func errors(velocity: Tensor, noise: Tensor, weights: Tensor? = nil) -> Tensor {
    errors(velocity: velocity, target: self.velocity(of: noise), weights: weights)
  }

  /// The velocity between the clean latents and noise, as ``latents``.
  public func velocity(of noise: Tensor) -> Tensor {
    FlowMatching.velocity(clean: latents, noise: noise)
  }

  /// The mean squared distance of a velocity from another one, such as another network's.
  ///
  /// - Parameters:
  ///   - velocity: `[B, C, F, H, W]`; may record gradients.
  ///   - target: As ``latents``.
  ///   - weights: As in ``errors(velocity:noise:weights:)``.
  /// - Returns: One number per canvas, float32 `[B]`; 0 where everything is known.
  public func errors(velocity: Tensor, target: Tensor, weights: Tensor? = nil) -> Tensor {
    let squared = (velocity.cast(to: .float32) - target).squared()
      .mean(along: 1, keepingDimensions: true)  // [B, 1, F, H, W]
    let share = weights.map { perLatent($0) * free } ?? free.expanded(to: squared.shape)
    let total = share.sum(along: 1, 2, 3, 4)
    // A canvas with everything known has no error, not NaN.
    return (squared * share).sum(along: 1, 2, 3, 4)
      / total.maximum(Tensor(1e-6).moved(to: total.device))
  }

  /// Spreads numbers of tokens `[B, L]` over their latents, `[B, 1, F, H, W]`.
  private func perLatent(_ tokens: Tensor) -> Tensor {
    let (batch, _, frames, height, width) = latents.shape5
    return tokens.moved(to: latents.device)
      .reshaped(
        to: batch, 1, frames / patch.frames, height / patch.height, width / patch.width
      )
      .repeated(patch.frames, along: 2).repeated(patch.height, along: 3)
      .repeated(patch.width, along: 4)
  }
}
