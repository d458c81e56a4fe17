public import KinoTensor

/// How much of a canvas is free: 0 keeps the content exactly, 1 starts from pure noise, between
/// starts from the noised content.
public enum NoiseLevel: Sendable {
  /// One level for everything.
  case uniform(Double)
  /// One level per latent frame, `[F]`; equal within a patch that spans frames.
  case frames([Double])
  /// One level per token, `[F / pt, H / ph, W / pw]`.
  case patches(Tensor)

  /// The level of every token, in token order (frame, row, column).
  func perToken(_ shape: LatentShape) throws(DiffusionError) -> [Double] {
    let levels = try expanded(shape)
    if let bad = levels.first(where: { !(0...1).contains($0) }) {
      throw DiffusionError(.range, "expected noise levels in 0...1, found \(bad)")
    }
    return levels
  }

  private func expanded(_ shape: LatentShape) throws(DiffusionError) -> [Double] {
    switch self {
    case .uniform(let level):
      return Array(repeating: level, count: shape.tokenCount)
    case .frames(let levels):
      try DiffusionError.require(
        levels.count == shape.frames, .shape,
        "expected a noise level for each of \(shape.frames) latent frames, found \(levels.count)")
      let step = shape.patch.frames
      for frame in levels.indices where !(levels[frame] == levels[frame / step * step]) {
        throw DiffusionError(
          .range, "expected one noise level in 0...1 per patch of \(step) frames, found \(levels)")
      }
      return (0..<shape.grid[0]).flatMap {
        Array(repeating: levels[$0 * step], count: shape.tokensPerFrame)
      }
    case .patches(let levels):
      try DiffusionError.require(
        levels.shape == shape.grid, .shape,
        "expected noise levels \(shape.grid), one per token, found \(levels.shape)")
      return levels.floats().map(Double.init)
    }
  }
}
