internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld

// MARK: - Evaluation

extension TransformerTask {
  /// The networks with averaged parameters in the place of those that learn.
  private func averaged(_ averages: [(key: String, value: Tensor)]) -> CaptionedNetworks {
    func values(_ prefix: String) -> [String: Tensor] {
      let own = averages.filter { $0.key.hasPrefix(prefix) }
      return Dictionary(own.map { (String($0.key.dropFirst(prefix.count)), $0.value) }) { a, _ in a
      }
    }
    func registry(_ values: [String: Tensor]) -> ParameterRegistry {
      ParameterRegistry(names: Set(values.keys), lookup: { values[$0] })
    }
    let transformer =
      switch learner {
      case .both, .transformer: registry(values("transformer."))
      case .adapters(let adapters, let weights, _):
        weights.registry(adapters: LowRankAdapters(values("transformer."), as: adapters))
      }
    var captions = networks.captions
    if case .both = learner {
      captions = LearningCaptions(
        UMT5Encoder(registry(values("text_encoder.")).root, configuration: textConfiguration),
        tokens: tokens, computeType: computeType, device: device)
    }
    return CaptionedNetworks(
      transformer: DiffusionTransformer(
        transformer.root, configuration: networks.transformer.configuration),
      captions: captions, computeType: computeType)
  }

  /// The loss on unseen combinations, at fixed noise levels and noise.
  func heldOut(averages: [(key: String, value: Tensor)]) throws -> [String: Double] {
    let networks = averaged(averages)
    let bucket =
      configuration.buckets.filter { $0.weight > 0 }.max { $0.weight < $1.weight }
      ?? configuration.buckets[0]
    let scenes = (0..<16).map { Scene.random(seed: UInt64(700_000 + $0), split: .heldOut) }
    let clips = scenes.map {
      SceneRenderer(width: bucket.width, height: bucket.height).render(
        $0, frameCount: bucket.frames, framesPerSecond: configuration.data.framesPerSecond)
    }
    let latents = concatenate(
      clips.map { codec.latents(of: Clip($0).tensor) }, along: 0)
    let captions = scenes.map { CaptionGrammar().caption(for: $0, length: .sentence, seed: 1) }
    var noise = RandomSource(seed: 1)
    let sigmas = scenes.indices.map { (Double($0) + 0.5) / 16 }
    let known = [[Bool]](
      repeating: Array(repeating: false, count: latents.size(2)), count: scenes.count)
    let canvases = try CanvasBatch(latents, known: known, sigmas: sigmas, patch: geometry.patch)
    let (errors, _) = try networks.errors(
      canvases, noise: noise.normal(latents.shape).moved(to: device), captions: captions)
    return ["held_out_loss": errors.mean().item()]
  }

  /// Prompts of combinations that are never trained on, and plain ones.
  static let samplePrompts = [
    "a red ball bounces", "a shiny blue cube spins on grass at sunset",
    "a green cone slides to the right",
    "a yellow cylinder and a purple ball on sand",
    "a gold ring rolls to the left on snow, overcast sky",
    "a big orange pyramid, the camera orbits around it",
  ]

  /// What samples show: some of the folders' captions, and of the world's prompts where it is learnt.
  private var shownPrompts: [String] {
    let own = Array(source.captions.prefix(configuration.data.world > 0 ? 3 : 6))
    return configuration.data.world > 0 ? own + Self.samplePrompts.dropFirst(own.count) : own
  }

  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws {
    let networks = averaged(averages)
    let bucket =
      configuration.buckets.filter { $0.frames > 1 && $0.weight > 0 }.max { $0.weight < $1.weight }
      ?? configuration.buckets[0]
    let rows = try shownPrompts.enumerated().map { index, prompt in
      ContactSheet.Row(try generate(prompt, bucket, seed: UInt64(index), networks), label: prompt)
    }
    let sheet = ContactSheet(
      rows: rows, columnCount: 6, tileSize: FrameSize(width: bucket.width, height: bucket.height))
    try sheet.render().write(to: url.path, WriteOptions(overwrite: true))
  }

  private func generate(
    _ prompt: String, _ bucket: TrainingConfiguration.Bucket, seed: UInt64,
    _ networks: CaptionedNetworks
  ) throws -> Clip {
    let canvas = try Canvas.free(
      geometry.shape(frames: bucket.frames, height: bucket.height, width: bucket.width))
    let schedule = try FlowMatchingSchedule(
      stepCount: 14, shift: settings.shift.shift(tokens: canvas.shape.tokenCount), spacing: .uniPC)
    let denoiser = TextGuidedDenoiser(
      transformer: networks.transformer, computeType: computeType, device: device,
      guidance: try ClassifierFreeGuidance(scale: settings.defaults.guidance),
      prompts: [try networks.text([prompt])], negative: try networks.text([""]))
    let noise = canvas.noise(seed: seed).moved(to: device)
    let latents = try UniPCSampler().sample(
      canvas, noise: noise, schedule: schedule, denoise: denoiser.denoise(canvas, noise: noise))
    let pixels = codec.pixels(of: latents.expandingDimension(at: 0))
    return Clip(tensor: pixels.select(0, 0), framesPerSecond: configuration.data.framesPerSecond)
  }

  // MARK: - Export

  func export(averages: [(key: String, value: Tensor)], to url: URL) throws {
    if case .adapters(let adapters, _, let start) = learner {
      return try LoRAExport(adapters: adapters, start: start).write(averages, to: url)
    }
    guard url.pathExtension != "safetensors" else {
      throw TrainingError(
        .invalidConfiguration,
        "\(url.path): a whole model is exported as a folder; only LoRA runs write one file.")
    }
    try ModelExport(
      configuration: configuration, settings: settings, autoencoderFolder: autoencoderFolder,
      transformer: networks.transformer.configuration, text: textConfiguration,
      frozenText: try frozenText,
      preview: fittedPreview()
    ).write(averages, to: url)
  }

  /// The text encoder of the start model, where it did not learn.
  private var frozenText: WeightSet? {
    get throws {
      guard case .transformer = learner, let start = settings.start else { return nil }
      return try StartModel(start).family.weights.textEncoder
    }
  }

  /// A preview of latents, fitted to a few scenes.
  private func fittedPreview() throws -> LatentPreview {
    try LatentPreview(
      fitting: (0..<24).map { index in
        let pixels = Clip(
          SceneRenderer(width: 96, height: 96).render(
            .random(seed: UInt64(810_000 + index)), frameCount: 9,
            framesPerSecond: configuration.data.framesPerSecond)
        ).tensor
        return (codec.latents(of: pixels).select(0, 0).moved(to: .cpu), pixels.select(0, 0))
      })
  }
}
