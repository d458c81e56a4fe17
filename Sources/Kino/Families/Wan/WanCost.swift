internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// What the networks of Wan's family take.
struct WanCost: ModelCost {
  let transformer: DiffusionTransformer.Configuration
  let autoencoder: VideoAutoencoder.Configuration

  func velocityOperations(tokens: Int) -> Double {
    transformer.floatingPointOperations(tokens: tokens, textTokens: 64)
  }

  func velocityBytes(tokens: Int, texts: Int, _ precision: Precision) -> Int {
    transformer.activationBytes(
      tokens: TextGuidedDenoiser.tokensAtOnce(tokens, texts: texts),
      bytesPerNumber: precision.computeType.byteCount)
  }

  func decodingOperations(_ latents: LatentShape) -> Double {
    autoencoder.decodingOperations(
      latentFrames: latents.frames, height: latents.height, width: latents.width)
  }

  func decodingBytes(_ latents: LatentShape, framesAtOnce: Int, _ precision: Precision) -> Int {
    autoencoder.decodingBytes(
      latentFrames: framesAtOnce, height: latents.height, width: latents.width,
      bytesPerNumber: precision.computeType.byteCount)
  }

  func decodingBytes(
    _ latents: LatentShape, framesAtOnce: Int, tiles: Int, _ precision: Precision
  ) -> Int? {
    func widest(_ length: Int) -> Int {
      autoencoder.tiles(of: length, parts: tiles).map(\.needed.count).max() ?? length
    }
    let (height, width) = (widest(latents.height), widest(latents.width))
    guard height < latents.height || width < latents.width else { return nil }
    let scale = autoencoder.spatialScale
    let frames = (latents.frames - 1) * autoencoder.temporalScale + 1
    // The features of the whole picture, some copies of them at once.
    let deepest = autoencoder.widthMultipliers.last ?? 1
    let features =
      framesAtOnce * latents.height * latents.width * deepest * autoencoder.decoderWidth * 8
    return autoencoder.decodingBytes(
      latentFrames: framesAtOnce, height: height, width: width,
      bytesPerNumber: precision.computeType.byteCount)
      + features * precision.computeType.byteCount
      + frames * latents.height * latents.width * scale * scale * 3
  }
}

extension DiffusionTransformer.Configuration {
  /// Bytes that one pass holds at its widest: the float32 stream and its modulation, queries, keys
  /// and values, and the feed-forward network's hidden layer.
  func activationBytes(tokens: Int, bytesPerNumber: Int) -> Int {
    let stream = width * 4 * 8
    let products = (width * 6 + feedForwardWidth * 2) * bytesPerNumber
    return tokens * (stream + products)
  }
}

extension VideoAutoencoder.Configuration {
  /// The decoder's levels: channels in and out, and positions, from the latents up.
  private func levels(
    latentFrames: Int, height: Int, width: Int
  ) -> [(inputs: Int, outputs: Int, positions: Double, isLast: Bool)] {
    let widths = ([widthMultipliers[widthMultipliers.count - 1]] + widthMultipliers.reversed())
      .map { $0 * decoderWidth }
    let doublings = temporalDownsampling.reversed() + [false]
    var (frames, height, width) = (Double(latentFrames), Double(height), Double(width))
    return doublings.enumerated().map { level, doubles in
      let positions = frames * height * width
      if doubles { frames *= 2 }
      (height, width) = (height * 2, width * 2)
      return (widths[level], widths[level + 1], positions, level == doublings.count - 1)
    }
  }

  /// Counts the floating-point operations of decoding, convolutions only.
  func decodingOperations(latentFrames: Int, height: Int, width: Int) -> Double {
    var sum = 0.0
    for level in levels(latentFrames: latentFrames, height: height, width: width) {
      let (inputs, outputs) = (Double(level.inputs), Double(level.outputs))
      let blocks = Double(residualBlockCount + 1)
      let first = 27 * (inputs * outputs + outputs * outputs)
      sum += level.positions * (first + (blocks - 1) * 54 * outputs * outputs)
      // The convolution after doubling the rows, the columns and, mostly, the frames.
      if !level.isLast { sum += level.positions * 8 * 9 * outputs * outputs }
    }
    let deepest = Double(decoderWidth * widthMultipliers[widthMultipliers.count - 1])
    sum += Double(latentFrames * height * width) * 4 * 27 * deepest * deepest
    return 2 * sum
  }

  /// Bytes that decoding so many latent frames at once holds at its widest.
  func decodingBytes(latentFrames: Int, height: Int, width: Int, bytesPerNumber: Int) -> Int {
    let perFrame =
      levels(latentFrames: 1, height: height, width: width)
      .map { $0.positions * Double(max($0.inputs, $0.outputs)) }.max() ?? 0
    let pixels = Double(latentFrames * temporalScale * height * width * spatialScale * spatialScale)
    // Measured: tensors of the widest level alive at once, and what its convolutions keep of the past.
    let alive = 2.5 * Double(latentFrames) + 4.8
    return Int(perFrame * alive) * bytesPerNumber + Int(pixels) * 3 * 4 * 3
  }
}
