public import KinoNN
public import KinoTensor

/// Compresses video in space and time, causally, and restores it.
///
/// The Wan autoencoder (arXiv:2503.20314, section 3), in its 2.1 and 2.2 forms. The first frame
/// becomes its own latent and every later group of ``Configuration/temporalScale`` frames one more,
/// so a picture is a clip of one frame. Differs from the published code in that a clip may be
/// processed whole or in pieces of any length, with one and the same result.
public struct VideoAutoencoder: Sendable {
  /// The shape it was built in.
  public let configuration: Configuration
  private let encoder: VideoEncoder
  let decoder: VideoDecoder
  private let moments: CausalConvolution
  let restored: CausalConvolution

  /// Builds the network from the parameters below `scope`.
  public init(_ scope: ParameterScope, configuration: Configuration) {
    self.configuration = configuration
    let channels = configuration.latentChannels
    encoder = VideoEncoder(scope["encoder"], configuration: configuration)
    moments = CausalConvolution(
      scope["quant_conv"], inputs: channels * 2, outputs: channels * 2, kernel: 1)
    restored = CausalConvolution(
      scope["post_quant_conv"], inputs: channels, outputs: channels, kernel: 1)
    decoder = VideoDecoder(scope["decoder"], configuration: configuration)
  }

  /// Encodes a whole clip at once.
  ///
  /// - Parameters:
  ///   - pixels: `[B, 3, F, H, W]`, float, in `-1...1`; `F` is `temporalScale * n + 1`, `H` and `W`
  ///     multiples of ``Configuration/spatialScale``.
  ///   - computeType: The type the layers compute in.
  /// - Returns: The distribution of latents `[B, Z, f, h, w]`, float32, not normalised.
  public func encode(_ pixels: Tensor, computeType: DType = .float32) -> LatentDistribution {
    var stream = CausalStream(isContinued: false)
    return encode(pixels, computeType: computeType, &stream)
  }

  func encode(_ pixels: Tensor, computeType: DType, _ stream: inout CausalStream)
    -> LatentDistribution
  {
    let features = features(of: pixels, computeType: computeType, &stream)
    return distribution(of: features, &stream)
  }

  func features(of pixels: Tensor, computeType: DType, _ stream: inout CausalStream) -> Tensor {
    let patched = Patches.folded(pixels, patch: configuration.patch).cast(to: computeType)
      .channelsLast()
    return encoder.features(patched, &stream)
  }

  func distribution(of features: Tensor, _ stream: inout CausalStream) -> LatentDistribution {
    let parts = moments(encoder.moments(features, &stream), &stream).cast(to: .float32)
      .chunked(2, along: 1)
    return LatentDistribution(mean: parts[0], logVariance: parts[1].clamped(to: -30...20))
  }

  /// Decodes all latents at once.
  ///
  /// - Parameters:
  ///   - latents: `[B, Z, f, h, w]`, float, not normalised.
  ///   - computeType: The type the layers compute in.
  /// - Returns: Pixels `[B, 3, F, H, W]`, float32, not limited to `-1...1`: training needs what lies
  ///   outside.
  public func decode(_ latents: Tensor, computeType: DType = .float32) -> Tensor {
    var stream = CausalStream(isContinued: false)
    return decode(latents, computeType: computeType, &stream)
  }

  func decode(_ latents: Tensor, computeType: DType, _ stream: inout CausalStream) -> Tensor {
    let x = restored(latents.cast(to: computeType).channelsLast(), &stream)
    return Patches.unfolded(decoder(x, &stream).cast(to: .float32), patch: configuration.patch)
  }

  /// Brings latents to zero mean and unit variance per channel, as the transformer sees them.
  public func normalized(_ latents: Tensor) -> Tensor {
    (latents - statistic(configuration.latentMean, like: latents))
      / statistic(configuration.latentStandardDeviation, like: latents)
  }

  /// Undoes ``normalized(_:)``.
  public func denormalized(_ latents: Tensor) -> Tensor {
    latents * statistic(configuration.latentStandardDeviation, like: latents)
      + statistic(configuration.latentMean, like: latents)
  }

  private func statistic(_ values: [Double], like latents: Tensor) -> Tensor {
    Tensor(values.map(Float.init), shape: [values.count, 1, 1, 1]).moved(to: latents.device)
  }
}

/// A Gaussian over latents, independent per element.
public struct LatentDistribution: Sendable {
  /// `[B, Z, f, h, w]`, float32; also the distribution's mode.
  public let mean: Tensor
  /// As ``mean``, in `-30...20`.
  public let logVariance: Tensor

  /// Draws one sample.
  public func sample(from source: inout RandomSource) -> Tensor {
    mean + (logVariance * 0.5).exp() * source.normal(mean.shape).moved(to: mean.device)
  }

  /// The divergence from the standard normal per latent element.
  public func divergence() -> Tensor {
    (mean.squared() + logVariance.exp() - 1 - logVariance).mean() * 0.5
  }
}

/// Folds squares of pixels into channels; the column within the square is the slower index.
enum Patches {
  /// `[B, C, F, H, W]` to `[B, C * p * p, F, H / p, W / p]`.
  static func folded(_ x: Tensor, patch: Int) -> Tensor {
    if patch == 1 { return x }
    let (batch, channels, frames, height, width) = x.shape5
    return x.reshaped(to: [batch, channels, frames, height / patch, patch, width / patch, patch])
      .permuted(0, 1, 6, 4, 2, 3, 5)
      .reshaped(to: batch, channels * patch * patch, frames, height / patch, width / patch)
  }

  /// Undoes ``folded(_:patch:)``.
  static func unfolded(_ x: Tensor, patch: Int) -> Tensor {
    if patch == 1 { return x }
    let (batch, channels, frames, height, width) = x.shape5
    return x.reshaped(to: [batch, channels / (patch * patch), patch, patch, frames, height, width])
      .permuted(0, 1, 4, 5, 3, 6, 2)
      .reshaped(to: batch, channels / (patch * patch), frames, height * patch, width * patch)
  }
}
