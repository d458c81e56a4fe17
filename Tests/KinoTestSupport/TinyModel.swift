public import Foundation
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// A model folder with tiny networks of random weights: it makes noise, quickly.
///
/// Widths are multiples of 16, as in real models: in float32, products of narrower matrices depend on
/// the thread count.
public struct TinyModel: Sendable {
  /// Where it is.
  public let folder: URL

  /// What published models differ in.
  public enum Form: String, CaseIterable, Sendable {
    case text
    /// Two transformers, which meet at 0.875.
    case experts
    /// Two transformers that read latents of pictures.
    case imageExperts
    /// One that reads latents of a picture and an image encoder's states.
    case image
    /// The same for the first and the last picture.
    case firstLast
  }

  /// Writes a model folder.
  ///
  /// - Parameters:
  ///   - folder: Where; must not exist.
  ///   - form: Which networks.
  ///   - profile: The text of `kino.json`; `nil` leaves it out, as plain Wan folders do.
  ///   - seed: Of the weights.
  /// - Throws: An error of the files.
  public init(
    at folder: URL, form: Form = .text, profile: String? = TinyModel.profile, seed: UInt64 = 1
  ) throws {
    self.folder = folder
    let tokenizer = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent()
      .appendingPathComponent("KinoModelsTests/Fixtures/tokenizer.model")
    let vocabulary = try SentencePieceTokenizer(contentsOf: tokenizer.path).vocabularySize
    var index = ModelIndex(
      className: "WanPipeline",
      components: [
        "transformer": .init(library: "diffusers", className: "WanTransformer3DModel"),
        "vae": .init(library: "diffusers", className: "AutoencoderKLWan"),
        "text_encoder": .init(library: "transformers", className: "UMT5EncoderModel"),
        "tokenizer": .init(library: "transformers", className: "T5TokenizerFast"),
        "scheduler": .init(library: "diffusers", className: "UniPCMultistepScheduler"),
      ])
    if form.hasExperts {
      index.components["transformer_2"] = index.components["transformer"]
      index.settings["boundary_ratio"] = .number(0.875)
    }
    if form.hasImageEncoder {
      index.components["image_encoder"] = .init(
        library: "transformers", className: "CLIPVisionModel")
    }
    try ModelFolder.create(at: folder, index: index) { folder in
      try Self.write(form, vocabulary: vocabulary, seed: seed, to: folder)
      try FileManager.default.copyItem(
        at: tokenizer, to: folder.appendingPathComponent("tokenizer/spiece.model"))
      let scheduler = #"{"_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0}"#
      try Data(scheduler.utf8).write(
        to: folder.appendingPathComponent("scheduler/scheduler_config.json"))
      if let profile {
        try Data(profile.utf8).write(to: folder.appendingPathComponent("kino.json"))
      }
    }
  }

  /// A `kino.json` with small defaults, windows of 17 frames, and a preview.
  public static let profile = """
    {
      "name": "tiny",
      "defaults": {"size": "64x64", "frames": 9, "frames_per_second": 8, "steps": 3, "guidance": 3},
      "maximum_pixels": 65536, "maximum_frames": 33, "window_frames": 17, "window_overlap": 5,
      "preview": {
        "weights": [
          [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0],
          [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]
        ],
        "bias": [0, 0, 0]
      }
    }
    """

  private static func write(
    _ form: Form, vocabulary: Int, seed: UInt64, to folder: URL
  ) throws {
    let autoencoder = VideoAutoencoder.Configuration(
      baseWidth: 16, decoderBaseWidth: 16, latentChannels: 16,
      residualBlockCount: 1, patch: 4)
    try write(autoencoder, className: "AutoencoderKLWan", seed: seed, to: folder, "vae") {
      _ = VideoAutoencoder($0, configuration: autoencoder)
    }
    let transformer = DiffusionTransformer.Configuration(
      headCount: 2, headDimension: 16, inputChannels: form.readsPictures ? 36 : 16,
      outputChannels: 16, textWidth: 32, frequencyCount: 32, feedForwardWidth: 64, layerCount: 2,
      imageWidth: form.hasImageEncoder ? 32 : nil,
      positionEmbeddingLength: form == .firstLast ? 10 : nil)
    for component in ["transformer"] + (form.hasExperts ? ["transformer_2"] : []) {
      try write(
        transformer, className: "WanTransformer3DModel", seed: seed, to: folder, component
      ) {
        _ = DiffusionTransformer($0, configuration: transformer)
      }
    }
    if form.hasImageEncoder {
      let encoder = ImageEncoder.Configuration(
        width: 32, feedForwardWidth: 64, layerCount: 2, headCount: 2, imageSize: 28, patchSize: 14)
      try write(
        encoder, className: "CLIPVisionModel", seed: seed, to: folder, "image_encoder",
        stem: "model"
      ) { _ = ImageEncoder($0, configuration: encoder) }
    }
    let textEncoder = UMT5Encoder.Configuration(
      vocabularySize: vocabulary, width: 32, headDimension: 16, feedForwardWidth: 64, layerCount: 2,
      headCount: 2)
    try write(
      textEncoder, className: nil, seed: seed, to: folder, "text_encoder", stem: "model"
    ) { _ = UMT5Encoder($0, configuration: textEncoder) }
  }

  private static func write(
    _ configuration: some Encodable, className: String?, seed: UInt64, to folder: URL,
    _ component: String, stem: String = "diffusion_pytorch_model",
    build: (ParameterScope) -> Void
  ) throws {
    // Experts differ.
    let registry = ParameterRegistry(
      seed: component == "transformer_2" ? seed &+ 1000 : seed, isTrainable: false)
    build(registry.root)
    var random = RandomSource(seed: seed &+ stableHash(component))
    // Layers that start at zero would hide everything before them.
    let parameters = registry.parameters.map { key, value in
      (key: key, value: value.abs().max().item() > 0 ? value : random.normal(value.shape) * 0.2)
    }
    let place = folder.appendingPathComponent(component)
    try WeightSet.write(parameters, to: place, stem: stem)
    try ConfigurationFile(encoding: configuration, className: className)
      .write(to: place.appendingPathComponent("config.json"))
  }
}

extension TinyModel.Form {
  fileprivate var hasExperts: Bool { self == .experts || self == .imageExperts }
  fileprivate var hasImageEncoder: Bool { self == .image || self == .firstLast }
  fileprivate var readsPictures: Bool { hasImageEncoder || self == .imageExperts }
}
