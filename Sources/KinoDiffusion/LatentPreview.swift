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

  /// Fits a preview to clips and their latents.
  ///
  /// - Parameter pairs: Latents `[C, F, h, w]` as the sampler sees them, with their pixels
  ///   `[3, n * (F - 1) + 1, H, W]` in -1...1: the first latent frame is one frame, the others `n`.
  /// - Throws: ``DiffusionError`` if there is nothing to fit to.
  public init(fitting pairs: [(latents: Tensor, pixels: Tensor)]) throws(DiffusionError) {
    var inputs: [Tensor] = []
    var targets: [Tensor] = []
    for (latents, pixels) in pairs {
      let (channels, frames, height, width) = latents.shape4
      let group = frames > 1 ? (pixels.size(1) - 1) / (frames - 1) : 1
      let small = pixels.areaResized(height: height, width: width)  // [3, n * (F - 1) + 1, h, w]
      let rest = small.slice(1, from: 1).reshaped(to: [3, frames - 1, group, height, width])
        .mean(along: 2)
      inputs.append(latents.reshaped(to: channels, -1).transposed(0, 1))
      targets.append(
        concatenate([small.slice(1, 0..<1), rest], along: 1).reshaped(to: 3, -1).transposed(0, 1))
    }
    try DiffusionError.require(!inputs.isEmpty, .shape, "expected latents to fit a preview to")
    let latents = concatenate(inputs, along: 0).cast(to: .float64)  // [N, C]
    let ones = Tensor.ones([latents.size(0), 1]).cast(to: .float64)
    let fit = concatenate([latents, ones], along: 1)
      .leastSquares(concatenate(targets, along: 0).cast(to: .float64)).cast(to: .float32).floats()
    let rows = stride(from: 0, to: fit.count, by: 3).map { Array(fit[$0..<$0 + 3]) }
    try self.init(weights: Array(rows.dropLast()), bias: rows[rows.count - 1])
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
