public import KinoTensor

/// A linear guess of a small picture from latents, for previews while sampling.
///
/// The model folder gives the numbers; they are the least-squares fit of pixels, averaged over the
/// area of a latent, to latents.
public struct LatentPreview: Sendable, Hashable, Codable {
  /// Red, green and blue per latent channel, `[C][3]`, for pixels in -1...1.
  public let weights: [[Float]]
  /// Red, green and blue of zero latents.
  public let bias: [Float]

  /// Makes a preview.
  ///
  /// - Throws: ``DiffusionError`` unless all rows and the bias have three finite numbers.
  public init(weights: [[Float]], bias: [Float]) throws(DiffusionError) {
    self.weights = weights
    self.bias = bias
    try validate()
  }

  /// Reads and checks the numbers.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      weights: values.decode([[Float]].self, forKey: .weights),
      bias: values.decode([Float].self, forKey: .bias))
  }

  private func validate() throws(DiffusionError) {
    let rows = weights + [bias]
    try DiffusionError.require(
      !weights.isEmpty && rows.allSatisfy { $0.count == 3 && $0.allSatisfy(\.isFinite) }, .shape,
      "expected preview weights [C][3] and a bias [3] of finite numbers")
  }

  /// Projects latents `[C, F, H, W]` to pictures `[F, H, W, 3]`, uint8, on the CPU.
  ///
  /// - Throws: ``DiffusionError`` for another number of channels.
  public func pictures(of latents: Tensor) throws(DiffusionError) -> Tensor {
    try DiffusionError.require(
      latents.rank == 4 && latents.size(0) == weights.count, .shape,
      "expected latents [\(weights.count), F, H, W], found \(latents.shape)")
    let matrix = Tensor(weights.flatMap { $0 }, shape: [weights.count, 3])
    let values = latents.detached().moved(to: .cpu).cast(to: .float32).permuted(1, 2, 3, 0)
    let pixels = values.matmul(matrix) + Tensor(bias)
    return ((pixels + 1) * 127.5).clamped(to: 0...255).rounded().cast(to: .uint8)
  }
}
