extension VideoAutoencoder {
  /// The shape of a causal video autoencoder, as `vae/config.json` writes it.
  ///
  /// The 2.1 form compresses 4x8x8 with plain blocks; the 2.2 form (``isResidual``) folds 2x2 pixels
  /// into channels first, adds parameter-free shortcuts and compresses 4x16x16.
  public struct Configuration: Codable, Hashable, Sendable {
    /// Channels of the encoder at full size, in `1...4096`.
    public var baseWidth: Int
    /// Channels of the decoder at full size; `nil`: as the encoder.
    public var decoderBaseWidth: Int?
    /// Channels of a latent, in `1...1024`.
    public var latentChannels: Int
    /// Channels of each level as multiples of the base width, full size first; 1 to 6 levels.
    public var widthMultipliers: [Int]
    /// Residual blocks per level of the encoder; the decoder has one more.
    public var residualBlockCount: Int
    /// Whether the step below each level but the last also halves the frames.
    public var temporalDownsampling: [Bool]
    /// Whether levels have parameter-free shortcuts around them: the 2.2 form.
    public var isResidual: Bool
    /// Channels the encoder takes: 3 per pixel of a patch.
    public var inputChannels: Int
    /// Channels the decoder gives, as many as ``inputChannels``.
    public var outputChannels: Int
    /// Pixels per side folded into channels; `nil`: 1.
    public var patchSize: Int?
    /// The mean of each latent channel over the training data.
    public var latentMean: [Double]
    /// The standard deviation of each latent channel over the training data, above 0.
    public var latentStandardDeviation: [Double]
    /// Frames per latent frame after the first: 2 to the number of temporal steps.
    public var temporalScale: Int
    /// Pixels per side of a latent position: the patch times 2 per step.
    public var spatialScale: Int

    enum CodingKeys: String, CodingKey {
      case baseWidth = "base_dim"
      case decoderBaseWidth = "decoder_base_dim"
      case latentChannels = "z_dim"
      case widthMultipliers = "dim_mult"
      case residualBlockCount = "num_res_blocks"
      case temporalDownsampling = "temperal_downsample"
      case isResidual = "is_residual"
      case inputChannels = "in_channels"
      case outputChannels = "out_channels"
      case patchSize = "patch_size"
      case latentMean = "latents_mean"
      case latentStandardDeviation = "latents_std"
      case temporalScale = "scale_factor_temporal"
      case spatialScale = "scale_factor_spatial"
    }

    /// A 2.2-form autoencoder that compresses 4x16x16, or 4x32x32 with a patch of 8.
    ///
    /// - Parameters:
    ///   - baseWidth: Channels of the encoder at full size.
    ///   - decoderBaseWidth: Channels of the decoder at full size.
    ///   - latentChannels: Channels of a latent.
    ///   - residualBlockCount: Residual blocks per level of the encoder.
    ///   - patch: Pixels per side folded into channels: 2 as published, or 4 or 8, which save the
    ///     costliest level. The last two of the levels that remain also halve time.
    public init(
      baseWidth: Int, decoderBaseWidth: Int, latentChannels: Int, residualBlockCount: Int = 2,
      patch: Int = 2
    ) {
      self.baseWidth = baseWidth
      self.decoderBaseWidth = decoderBaseWidth
      self.latentChannels = latentChannels
      self.residualBlockCount = residualBlockCount
      widthMultipliers = patch >= 4 ? [1, 2, 2] : [1, 2, 4, 4]
      temporalDownsampling = patch >= 4 ? [true, true] : [false, true, true]
      isResidual = true
      inputChannels = 3 * patch * patch
      outputChannels = inputChannels
      patchSize = patch
      latentMean = Array(repeating: 0, count: latentChannels)
      latentStandardDeviation = Array(repeating: 1, count: latentChannels)
      temporalScale = 4
      spatialScale = patch << temporalDownsampling.count
    }

    /// Reads the published keys; those that older files leave out take the published defaults.
    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      func value<T: Decodable>(_ key: CodingKeys, _ standard: T) throws -> T {
        try values.decodeIfPresent(T.self, forKey: key) ?? standard
      }
      baseWidth = try value(.baseWidth, 96)
      decoderBaseWidth = try values.decodeIfPresent(Int.self, forKey: .decoderBaseWidth)
      latentChannels = try value(.latentChannels, 16)
      widthMultipliers = try value(.widthMultipliers, [1, 2, 4, 4])
      residualBlockCount = try value(.residualBlockCount, 2)
      temporalDownsampling = try value(.temporalDownsampling, [false, true, true])
      isResidual = try value(.isResidual, false)
      inputChannels = try value(.inputChannels, 3)
      outputChannels = try value(.outputChannels, 3)
      patchSize = try values.decodeIfPresent(Int.self, forKey: .patchSize)
      latentMean = try value(.latentMean, Configuration.publishedMean)
      latentStandardDeviation = try value(
        .latentStandardDeviation, Configuration.publishedDeviation)
      temporalScale = try value(.temporalScale, 4)
      spatialScale = try value(.spatialScale, 8)
      try validate()
    }

    /// Throws ``ModelError`` where the numbers contradict each other.
    public func validate() throws(ModelError) {
      func require(_ holds: Bool, _ text: @autoclosure () -> String) throws(ModelError) {
        if !holds { throw ModelError(.invalidConfiguration, "autoencoder: \(text())") }
      }
      let levels = widthMultipliers.count
      try require(1...6 ~= levels, "expected 1 to 6 dim_mult, found \(levels)")
      try require(
        temporalDownsampling.count == levels - 1,
        "expected \(levels - 1) temperal_downsample for \(levels) dim_mult, "
          + "found \(temporalDownsampling.count)")
      try require(
        widthMultipliers.allSatisfy { 1...64 ~= $0 } && 1...4096 ~= baseWidth
          && 1...4096 ~= decoderWidth
          && 1...1024 ~= latentChannels && 1...16 ~= residualBlockCount && 1...8 ~= patch,
        "a size is out of range")
      try require(
        latentMean.count == latentChannels && latentStandardDeviation.count == latentChannels,
        "z_dim is \(latentChannels), latents_mean has \(latentMean.count), "
          + "latents_std \(latentStandardDeviation.count)")
      try require(
        latentStandardDeviation.allSatisfy { $0 > 0 && $0.isFinite }
          && latentMean.allSatisfy(\.isFinite),
        "latents_std must be positive and finite")
      try require(
        inputChannels == 3 * patch * patch && outputChannels == inputChannels,
        "patch \(patch) needs \(3 * patch * patch) channels, "
          + "found \(inputChannels) in and \(outputChannels) out")
      let (temporal, spatial) = (1 << temporalDownsampling.count { $0 }, patch << (levels - 1))
      let (deepest, above) = (
        widthMultipliers[levels - 1], levels > 1 ? widthMultipliers[levels - 2] : 1
      )
      try require(
        !isResidual || above % deepest == 0,
        "the last level's shortcut can't widen: dim_mult ends in \(above), \(deepest)")
      try require(
        temporalScale == temporal && spatialScale == spatial,
        "the blocks compress \(temporal)x\(spatial)x\(spatial), "
          + "the scale factors say \(temporalScale)x\(spatialScale)x\(spatialScale)")
    }

    /// Channels of the decoder at full size.
    public var decoderWidth: Int { decoderBaseWidth ?? baseWidth }
    /// Pixels per side folded into channels.
    public var patch: Int { patchSize ?? 1 }

    /// Latent frames of a clip; `frames` is rounded down to `temporalScale * n + 1`.
    public func latentFrames(_ frames: Int) -> Int { (frames - 1) / temporalScale + 1 }
    /// The latent frame that holds a pixel frame, both counted from 0.
    public func latentFrame(of frame: Int) -> Int { (frame + temporalScale - 1) / temporalScale }
    /// Pixel frames that a number of latent frames decode to.
    public func pixelFrames(_ latentFrames: Int) -> Int { (latentFrames - 1) * temporalScale + 1 }

    /// Mean and standard deviation of the published autoencoders' latents by the number of channels: 16
    /// in 2.1, 48 in 2.2.
    static let publishedStatistics: [Int: (mean: [Double], deviation: [Double])] = [
      16: (publishedMean, publishedDeviation),
      48: (
        [
          -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542,
          0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109,
          0.2665, -0.2108, -0.2158, 0.2502, -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899,
          -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748,
          0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
        ],
        [
          0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344,
          0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804,
          0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999,
          0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
          0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
        ]
      ),
    ]

    static let publishedMean = [
      -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
      0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
    ]
    static let publishedDeviation = [
      2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
      3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
    ]
  }
}
