import Foundation
package import KinoDiffusion
package import KinoModels
package import KinoTensor
package import KinoWeights

/// Wan 2.1 and 2.2 in diffusers' layout, and kino-mini: a diffusion transformer over the latents of a causal
/// autoencoder, told of texts by umT5.
package struct WanFamily: ModelFamily {
  package static let name = "Wan"
  package static let textLength = 512

  /// The shape of the autoencoder.
  package let autoencoder: VideoAutoencoder.Configuration
  /// The shape of the transformer.
  package let transformer: DiffusionTransformer.Configuration
  /// The shape of the text encoder.
  package let textEncoder: UMT5Encoder.Configuration
  /// The weights of the three networks.
  package private(set) var weights: Weights
  package let flowShift: Double
  let folder: ModelFolder

  /// Where the numbers of the networks are.
  package struct Weights: Sendable {
    package let autoencoder: WeightSet
    package internal(set) var transformer: WeightSet
    package let textEncoder: WeightSet
  }

  package static func claims(_ index: ModelIndex) -> Bool {
    let transformer = index.components["transformer"]?.className ?? ""
    return index.className.hasPrefix("Wan") || transformer.hasPrefix("Wan")
  }

  package init(_ folder: ModelFolder) throws {
    self.folder = folder
    try Self.requireSupported(folder.index, at: folder.url.path)
    let (autoencoder, autoencoderWeights) = try folder.autoencoder()
    let (transformer, transformerWeights) = try folder.transformer()
    let (textEncoder, textEncoderWeights) = try folder.textEncoder()
    (self.autoencoder, self.transformer, self.textEncoder) = (autoencoder, transformer, textEncoder)
    try autoencoder.validate()
    try transformer.validate()
    try textEncoder.validate()
    flowShift = try Self.flowShift(in: folder)
    weights = Weights(
      autoencoder: autoencoderWeights, transformer: transformerWeights,
      textEncoder: textEncoderWeights)
    try requireFit()
  }

  package var geometry: LatentGeometry {
    let patch = transformer.patchSize
    return LatentGeometry(
      channels: autoencoder.latentChannels, temporalScale: autoencoder.temporalScale,
      spatialScale: autoencoder.spatialScale,
      patch: LatentShape.Patch(frames: patch[0], height: patch[1], width: patch[2]))
  }

  package var textLength: Int { Self.textLength }

  /// As published: 2.1 at 480p, 2.2 with its larger latents at 720p.
  package var defaults: FamilyDefaults {
    autoencoder.isResidual
      ? FamilyDefaults(size: FrameSize(1280, 704), frames: 121, framesPerSecond: 24)
      : FamilyDefaults(size: FrameSize(832, 480), frames: 81, framesPerSecond: 16)
  }

  package var parts: [ModelPart] {
    [
      ModelPart("transformer", in: "transformer", weights.transformer, isQuantized: true),
      ModelPart("autoencoder", in: "vae", weights.autoencoder),
      ModelPart("text_encoder", in: "text_encoder", weights.textEncoder),
    ]
  }

  package var cost: any ModelCost { WanCost(transformer: transformer, autoencoder: autoencoder) }

  package func merging(
    _ adapter: LoRA, strength: Double
  ) throws -> (any ModelFamily, LoRA.Report) {
    var family = self
    let (merged, report) = try adapter.merged(into: weights.transformer, strength: strength)
    family.weights.transformer = merged
    return (family, report)
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
      "\(folder.url.path): this needs a model of the family \(WanFamily.name); name one of these.")
  }
}

// MARK: - Checks

extension WanFamily {
  private static func requireSupported(_ index: ModelIndex, at path: String) throws {
    for part in ["transformer_2", "image_encoder"]
    where index.components[part]?.className != nil {
      throw StudioError(
        .invalidModel,
        """
        \(path): this model has the component \(part), which Kino can't run yet; use a \
        text-to-video model with one transformer.
        """)
    }
  }

  private static func flowShift(in folder: ModelFolder) throws -> Double {
    struct Scheduler: Decodable {
      var flowShift: Double?
      var shift: Double?

      enum CodingKeys: String, CodingKey {
        case shift
        case flowShift = "flow_shift"
      }
    }
    let file = try folder.configuration(of: "scheduler", file: "scheduler_config.json")
    let values: Scheduler = try file.decode()
    let shift = values.flowShift ?? values.shift ?? 1
    guard shift > 0 && shift <= 100 else {
      throw StudioError(
        .invalidModel,
        "\(folder.url.path): the scheduler's flow_shift is \(shift), expected a number in 0...100.")
    }
    return shift
  }

  private func requireFit() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw StudioError.partsDiffer(folder, text()) }
    }
    try require(
      transformer.inputChannels == autoencoder.latentChannels
        && transformer.outputChannels == autoencoder.latentChannels,
      """
      the autoencoder's latents have \(autoencoder.latentChannels) channels, the transformer takes \
      \(transformer.inputChannels) and gives \(transformer.outputChannels)
      """)
    try require(
      transformer.textWidth == textEncoder.width,
      """
      the text encoder's states are \(textEncoder.width) wide, the transformer expects \
      \(transformer.textWidth)
      """)
  }
}
