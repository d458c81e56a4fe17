public import KinoTensor

/// The timestep of every token, as few distinct values and an index.
public struct TokenTimesteps: Sendable {
  /// Distinct timesteps, rising, in 0...1000.
  public let values: [Double]
  /// For every token, in order (frame, row, column), the index of its value: int64 `[L]`.
  public let index: Tensor

  /// One timestep per token, float32 `[L]`.
  public var dense: Tensor { Tensor(values.map(Float.init)).gathered(index, along: 0) }
}

extension Canvas {
  /// Maps noise levels to numbers that broadcast over latents: float32 `[1, F, H, W]`, or a single
  /// number if the whole canvas has one level.
  package func map(_ value: (Double) -> Double) -> Tensor {
    let values = levels.map(value)
    if values.count == 1 { return Tensor(values[0]) }
    let (patch, grid) = (shape.patch, shape.grid)
    return Tensor(values.map(Float.init)).gathered(levelIndex, along: 0).reshaped(to: grid)
      .repeated(patch.frames, along: 0).repeated(patch.height, along: 1)
      .repeated(patch.width, along: 2).expandingDimension(at: 0)
  }

  /// Gives the sigma of every latent while the schedule is at `sigma`; broadcasts over `[C, F, H, W]`.
  public func sigmas(at sigma: Double) -> Tensor { map { min(sigma, $0) } }

  /// Gives the timestep of every token while the schedule is at `sigma`, as 1000 times token sigma.
  public func timesteps(sigma: Double) -> TokenTimesteps { timesteps(atMost: sigma * 1000) }

  /// Gives the timestep of every token: its level's, or the schedule's if that is smaller.
  public func timesteps(atMost timestep: Double) -> TokenTimesteps {
    let ofLevels = levels.map { min(timestep, $0 * 1000) }
    var values: [Double] = []
    // Levels rise, so equal timesteps are neighbours.
    let slots = ofLevels.map { value -> Int64 in
      if values.last != value { values.append(value) }
      return Int64(values.count - 1)
    }
    return TokenTimesteps(values: values, index: Tensor(slots).gathered(levelIndex, along: 0))
  }

  /// Draws the canvas's noise `[C, F, H, W]` from a seed alone.
  ///
  /// Frame `f` is draw `firstFrame + f` of `RandomSource(seed:)`. So the same seed and picture size
  /// give the same noise, a longer canvas begins with a shorter one's, and a window that starts at
  /// `firstFrame` of a long canvas sees that canvas's noise.
  public func noise(seed: UInt64, firstFrame: Int = 0) -> Tensor {
    shape.noise(seed: seed, firstDraw: UInt64(max(0, firstFrame)))
  }

  /// Noises the content to where the schedule is at `sigma`, every token by its own sigma.
  ///
  /// Tokens with sigma 0 are the content bit for bit.
  ///
  /// - Throws: ``DiffusionError`` if the noise has another shape or is not finite.
  public func noised(to sigma: Double, with noise: Tensor) throws(DiffusionError) -> Tensor {
    let noise = try Canvas.checked(noise, "noise", shape: shape)
    try DiffusionError.require(
      (0...1).contains(sigma), .range, "expected a sigma in 0...1, found \(sigma)")
    guard let content = content?.moved(to: noise.device) else { return noise * sigma }
    let own = sigmas(at: sigma).moved(to: noise.device)
    let mixed = FlowMatching.noised(content, with: noise, sigma: own)
    return mixed.replacing(with: content, where: own.equals(0))
  }
}
