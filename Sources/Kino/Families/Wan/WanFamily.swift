import Foundation
package import KinoDiffusion
package import KinoModels
package import KinoTensor
package import KinoWeights

/// Wan 2.1 and 2.2, and kino-mini: one or two diffusion transformers over the latents of a causal
/// autoencoder, told of texts by umT5 and, in some forms, of pictures.
package struct WanFamily: ModelFamily {
  package static let name = "Wan"
  package static let textLength = 512

  /// The shape of the autoencoder.
  package let autoencoder: VideoAutoencoder.Configuration
  /// The shape of the transformer, or of both.
  package let transformer: DiffusionTransformer.Configuration
  /// The shape of the text encoder.
  package let textEncoder: UMT5Encoder.Configuration
  /// The shape of the image encoder, if the transformer reads its states.
  package let imageEncoder: ImageEncoder.Configuration?
  /// The weights of the networks.
  package private(set) var weights: Weights
  package let flowShift: Double
  package let defaults: FamilyDefaults
  /// The noise, 0...1, from which on the first of two transformers predicts; `nil` for one transformer.
  package let boundary: Double?
  let modelParts: ModelParts
  /// Bytes that weights may take together before some are let go while others are needed.
  var memoryLimit = MachineMemory.physicalBytes / 4
  /// Where states of texts are kept if the text encoder is let go.
  var embeddingFolder = EmbeddingCache.userFolder

  /// Where the numbers of the networks are.
  package struct Weights: Sendable {
    package let autoencoder: WeightSet
    package internal(set) var transformer: WeightSet
    /// The expert for low noise, where there are two.
    package internal(set) var lowNoiseTransformer: WeightSet?
    package let textEncoder: WeightSet
    package let imageEncoder: WeightSet?
  }

  package static func claims(_ index: ModelIndex) -> Bool {
    let transformer = index.components["transformer"]?.className ?? ""
    return index.className.hasPrefix("Wan") || transformer.hasPrefix("Wan")
  }

  package init(_ parts: ModelParts) throws {
    modelParts = parts
    let (autoencoder, autoencoderWeights) = try parts.autoencoder()
    let (transformer, transformerWeights) = try parts.transformer()
    let (textEncoder, textEncoderWeights) = try parts.textEncoder()
    (self.autoencoder, self.transformer, self.textEncoder) = (autoencoder, transformer, textEncoder)
    try autoencoder.validate()
    try transformer.validate()
    try textEncoder.validate()
    let image = transformer.imageWidth == nil ? nil : try parts.imageEncoder()
    imageEncoder = image?.0
    try imageEncoder?.validate()
    let second =
      parts.networks["transformer_2"] == nil ? nil : try parts.transformer("transformer_2")
    let published = PublishedSettings(transformer, autoencoder, hasExperts: second != nil)
    flowShift = try Self.flowShift(in: parts) ?? published.flowShift
    defaults = published.defaults
    boundary = second == nil ? nil : Self.boundary(in: parts) ?? published.boundary
    weights = Weights(
      autoencoder: autoencoderWeights, transformer: transformerWeights,
      lowNoiseTransformer: second?.1, textEncoder: textEncoderWeights, imageEncoder: image?.1)
    try requireFit(second?.0)
  }

  package var geometry: LatentGeometry { LatentGeometry(autoencoder, transformer) }

  package var textLength: Int { Self.textLength }

  package var conditioning: FrameConditioning { FrameConditioning(transformer) }

  package var parts: [ModelPart] {
    [
      ModelPart("transformer", in: "transformer", weights.transformer, isQuantized: true),
      weights.lowNoiseTransformer.map {
        ModelPart("low_noise_transformer", in: "transformer_2", $0, isQuantized: true)
      },
      ModelPart("autoencoder", in: "vae", weights.autoencoder),
      ModelPart("text_encoder", in: "text_encoder", weights.textEncoder),
      weights.imageEncoder.map { ModelPart("image_encoder", in: "image_encoder", $0) },
    ].compactMap(\.self)
  }

  package var cost: any ModelCost { WanCost(transformer: transformer, autoencoder: autoencoder) }

  package func merging(
    _ adapter: LoRA, strength: Double
  ) throws -> (any ModelFamily, LoRA.Report) {
    var family = self
    guard let low = weights.lowNoiseTransformer else {
      let (merged, report) = try adapter.merged(into: weights.transformer, strength: strength)
      family.weights.transformer = merged
      return (family, report)
    }
    // A file may be for one of them.
    let first = Result {
      try adapter.merged(into: weights.transformer, strength: strength, expert: .highNoise)
    }
    let second = Result { try adapter.merged(into: low, strength: strength, expert: .lowNoise) }
    if case .failure = second { _ = try first.get() }
    family.weights.transformer = (try? first.get().weights) ?? weights.transformer
    family.weights.lowNoiseTransformer = (try? second.get().weights) ?? low
    return (family, try (try? first.get().report) ?? second.get().report)
  }

  package func load(_ precision: Precision, on device: Device) throws -> any ModelPipeline {
    try WanPipeline(self, precision: precision, device: device)
  }
}

extension Model {
  /// The model as one of Wan's family.
  ///
  /// - Throws: ``StudioError`` if it is of another.
  package func wan() throws -> WanFamily {
    if let family = family as? WanFamily { return family }
    throw StudioError(
      .unsupported,
      "\(url.path): this needs a model of the family \(WanFamily.name); name one of these.")
  }
}

extension FrameConditioning {
  /// What a transformer's channels have room for.
  init(_ transformer: DiffusionTransformer.Configuration) {
    if transformer.inputChannels == transformer.outputChannels {
      self = .tokens
    } else if transformer.positionEmbeddingLength != nil {
      self = .pictures(last: .required)
    } else {
      self = .pictures(last: transformer.imageWidth == nil ? .allowed : .refused)
    }
  }
}

// MARK: - Checks

extension WanFamily {
  private static func flowShift(in parts: ModelParts) throws -> Double? {
    struct Scheduler: Decodable {
      var flowShift: Double?
      var shift: Double?

      enum CodingKeys: String, CodingKey {
        case shift
        case flowShift = "flow_shift"
      }
    }
    guard let file = parts.scheduler else {
      // A folder that has an index says how its model is sampled.
      guard parts.index == nil else {
        throw StudioError(
          .invalidModel, "\(parts.url.path): expected a component scheduler, found none.")
      }
      return nil
    }
    let values: Scheduler = try file.decode()
    let shift = values.flowShift ?? values.shift ?? 1
    guard shift > 0 && shift <= 100 else {
      throw StudioError(
        .invalidModel,
        "\(parts.url.path): the scheduler's flow_shift is \(shift), expected a number in 0...100.")
    }
    return shift
  }

  private static func boundary(in parts: ModelParts) -> Double? {
    guard case .number(let boundary) = parts.index?.settings["boundary_ratio"],
      boundary > 0 && boundary < 1
    else { return nil }
    return boundary
  }

  private func requireFit(_ second: DiffusionTransformer.Configuration?) throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw StudioError.partsDiffer(modelParts.url, text()) }
    }
    let channels = autoencoder.latentChannels
    try require(
      transformer.outputChannels == channels
        && [channels, 2 * channels + autoencoder.temporalScale].contains(transformer.inputChannels),
      """
      the autoencoder's latents have \(channels) channels, the transformer takes \
      \(transformer.inputChannels) and gives \(transformer.outputChannels)
      """)
    try require(
      transformer.textWidth == textEncoder.width,
      """
      the text encoder's states are \(textEncoder.width) wide, the transformer expects \
      \(transformer.textWidth)
      """)
    try require(
      second == nil || second == transformer, "the two transformers are of different shapes")
    guard let imageEncoder else { return }
    try require(
      imageEncoder.width == transformer.imageWidth,
      """
      the image encoder's states are \(imageEncoder.width) wide, the transformer expects \
      \(transformer.imageWidth ?? 0)
      """)
    let rows = 2 * imageEncoder.tokenCount
    try require(
      [nil, rows].contains(transformer.positionEmbeddingLength),
      """
      two pictures have \(rows) states, the transformer has positions for \
      \(transformer.positionEmbeddingLength ?? 0)
      """)
  }
}
