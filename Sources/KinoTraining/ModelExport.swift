internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// Writes a trained transformer with its autoencoder, text encoder and tokenizer as one model folder
/// that Kino and diffusers load.
struct ModelExport {
  let configuration: TrainingConfiguration
  let settings: TrainingConfiguration.TransformerSettings
  let autoencoderFolder: URL
  let transformer: DiffusionTransformer.Configuration
  let text: UMT5Encoder.Configuration
  /// The text encoder's weights, where they were not trained.
  var frozenText: WeightSet?
  let preview: LatentPreview

  private var scheduler: [String: JSONValue] {
    [
      "num_train_timesteps": .number(1000), "prediction_type": .string("flow_prediction"),
      "use_flow_sigmas": .bool(true), "flow_shift": .number(settings.baseShift),
      "solver_order": .number(2), "solver_type": .string("bh2"),
    ]
  }

  func write(_ averages: [(key: String, value: Tensor)], to folder: URL) throws {
    let index = ModelIndex(
      className: "WanPipeline", diffusersVersion: "0.35.0",
      components: [
        "scheduler": .init(library: "diffusers", className: "UniPCMultistepScheduler"),
        "text_encoder": .init(library: "transformers", className: "UMT5EncoderModel"),
        "tokenizer": .init(library: "transformers", className: "T5Tokenizer"),
        "transformer": .init(library: "diffusers", className: "WanTransformer3DModel"),
        "vae": .init(library: "diffusers", className: "AutoencoderKLWan"),
      ], settings: ["expand_timesteps": .bool(true)])
    try ModelFolder.create(at: folder, index: index, replacing: true) { folder in
      try writeNetwork(averages, "transformer", stem: "diffusion_pytorch_model", in: folder)
      if let frozenText {
        try frozenText.convert(
          toFolder: folder.appendingPathComponent("text_encoder"), stem: "model", precision: nil)
      } else {
        try writeNetwork(averages, "text_encoder", stem: "model", in: folder)
      }
      let encoding: [(String, ConfigurationFile)] = [
        (
          "transformer/config.json",
          try .init(encoding: transformer, className: "WanTransformer3DModel")
        ),
        ("text_encoder/config.json", try .init(encoding: text)),
        (
          "scheduler/scheduler_config.json",
          try .init(
            encoding: scheduler,
            className: "UniPCMultistepScheduler")
        ),
        (ModelProfile.fileName, try .init(encoding: profile())),
      ]
      for (name, file) in encoding { try file.write(to: folder.appendingPathComponent(name)) }
      try copy(autoencoderFolder, to: folder.appendingPathComponent("vae"))
      try copy(
        configuration.outputFolder.appendingPathComponent("tokenizer"),
        to: folder.appendingPathComponent("tokenizer"))
    }
  }

  /// What the model was made for.
  private func profile() throws -> ModelProfile {
    let defaults = settings.defaults
    let longest = configuration.buckets.map(\.frames).max() ?? 1
    var profile = ModelProfile()
    profile.name = defaults.name
    profile.defaults = .init(
      size: "\(defaults.width)x\(defaults.height)", frames: defaults.frames,
      framesPerSecond: configuration.data.framesPerSecond, steps: defaults.steps,
      guidance: defaults.guidance)
    profile.sizeMultiple = 32
    profile.maximumPixels = configuration.buckets.map { $0.width * $0.height }.max() ?? 0
    profile.maximumFrames = longest
    profile.windowFrames = longest
    profile.baseTokens = settings.baseTokens
    profile.baseShift = settings.baseShift
    profile.preview = preview
    profile.minimumSteps = defaults.minimumSteps
    profile.vocabulary = try ModelProfile.Vocabulary(trainedOn: configuration)
    return profile
  }

  private func writeNetwork(
    _ averages: [(key: String, value: Tensor)], _ name: String, stem: String, in folder: URL
  ) throws {
    let own = averages.filter { $0.key.hasPrefix(name + ".") }
      .map { (key: String($0.key.dropFirst(name.count + 1)), value: $0.value.moved(to: .cpu)) }
    try WeightSet.write(own, to: folder.appendingPathComponent(name), stem: stem, dtype: .bfloat16)
  }

  private func copy(_ source: URL, to target: URL) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: source.path)
    where !name.hasPrefix(".") {
      try FileManager.default.copyItem(
        at: source.appendingPathComponent(name), to: target.appendingPathComponent(name))
    }
  }
}
