internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld

/// Trains a ``DiffusionTransformer`` and its text encoder together, on the canvas.
///
/// Every sample is a canvas with a random pattern of known frames: known tokens are clean, carry
/// timestep 0 and are left out of the loss. That is what makes extending, looping and connecting
/// trained abilities. Flow matching (arXiv:2210.02747) with uniform timesteps, shifted towards noise as
/// the canvas grows. Of rendered scenes the truth is known: tokens that show objects count more, and a
/// middle block learns to tell what they show.
final class TransformerTask: TrainingTask {
  struct Batch {
    let latents: Tensor  // [B, C, f, h, w], normalised
    let captions: [String]
    var truth: TruthBatch?
    /// The weight of the loss on the truth.
    var truthWeight = 0.0
  }

  private let configuration: TrainingConfiguration
  private let settings: TrainingConfiguration.TransformerSettings
  private let computeType: DType
  private let device: Device
  private let source: CaptionedSource
  private let autoencoder: VideoAutoencoder
  private let autoencoderFolder: URL
  private let tokenizer: SentencePieceTokenizer
  let parameters: [(key: String, value: Tensor)]
  private let networks: CaptionedNetworks
  private let truthHead: TruthHead
  private var stores: [String: LatentStore] = [:]

  init(_ configuration: TrainingConfiguration) throws {
    guard let settings = configuration.transformer else {
      throw TrainingError(.invalidConfiguration, "training configuration: expected `transformer`")
    }
    self.configuration = configuration
    self.settings = settings
    computeType = configuration.computeType
    device = configuration.device?.tensorDevice ?? .cpu
    source = try CaptionedSource(
      settings: configuration.data, seed: configuration.seed, russian: settings.russian)
    autoencoderFolder = URL(
      fileURLWithPath: NSString(string: settings.autoencoder).expandingTildeInPath)
    autoencoder = try Self.loadAutoencoder(autoencoderFolder, computeType, device)
    tokenizer = try Self.tokenizer(configuration, settings)
    let transformer = ParameterRegistry(seed: configuration.seed, device: device)
    let text = ParameterRegistry(seed: configuration.seed + 1, device: device)
    let model = settings.model(channels: autoencoder.configuration.latentChannels)
    let textModel = settings.textModel(vocabulary: tokenizer.vocabularySize)
    var network = DiffusionTransformer(transformer.root, configuration: model)
    network.recomputesBlocks = settings.recompute ?? false
    networks = CaptionedNetworks(
      transformer: network,
      encoder: UMT5Encoder(text.root, configuration: textModel), tokenizer: tokenizer,
      computeType: computeType, device: device)
    if let start = Self.start(settings) {
      try WeightSet(inFolder: start.appendingPathComponent("transformer"))
        .copy(into: transformer.parameters)
      try WeightSet(inFolder: start.appendingPathComponent("text_encoder"))
        .copy(into: text.parameters)
    }
    let truth = ParameterRegistry(seed: configuration.seed + 2, device: device)
    truthHead = TruthHead(truth.root, width: model.width)
    parameters =
      transformer.parameters.map { (key: "transformer." + $0.key, value: $0.value) }
      + text.parameters.map { (key: "text_encoder." + $0.key, value: $0.value) }
      + (settings.truth == nil
        ? [] : truth.parameters.map { (key: "truth." + $0.key, value: $0.value) })
  }

  func isMatrix(_ key: String) -> Bool {
    let others = ["shared.weight", "relative_attention_bias.weight", "scale_shift_table"]
    return !others.contains(where: key.hasSuffix) && !key.hasPrefix("transformer.proj_out.")
  }

  /// The text encoder's attention has neither a scale nor norms: at the transformer's rate its logits grow
  /// to hundreds within a thousand steps, and every head sees one token and passes no gradient on.
  func rateFactor(_ key: String) -> Double {
    key.hasPrefix("text_encoder.") && isMatrix(key) ? 0.03 : 1
  }

  private static func loadAutoencoder(
    _ folder: URL, _ computeType: DType, _ device: Device
  ) throws -> VideoAutoencoder {
    let configuration = try ConfigurationFile.read(
      VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
    return try WeightSet(inFolder: folder).load(computeType: computeType, device: device) {
      VideoAutoencoder($0, configuration: configuration)
    }
  }

  private static func start(_ settings: TrainingConfiguration.TransformerSettings) -> URL? {
    settings.start.map { URL(fileURLWithPath: NSString(string: $0).expandingTildeInPath) }
  }

  /// The run's tokenizer: that of the model it starts from, or trained on captions the first time.
  private static func tokenizer(
    _ configuration: TrainingConfiguration, _ settings: TrainingConfiguration.TransformerSettings
  ) throws -> SentencePieceTokenizer {
    let folder = configuration.outputFolder.appendingPathComponent("tokenizer")
    let path = folder.appendingPathComponent("spiece.model").path
    if !FileManager.default.fileExists(atPath: path) {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      if let start = start(settings) {
        try FileManager.default.copyItem(
          atPath: start.appendingPathComponent("tokenizer/spiece.model").path, toPath: path)
        return try SentencePieceTokenizer(contentsOf: path)
      }
      let grammar = CaptionGrammar()
      let captions = (0..<20000).map { index -> String in
        let scene = Scene.random(seed: UInt64(index), split: .any)
        let language: CaptionLanguage = index % 4 == 0 ? .russian : .english
        return grammar.caption(
          for: scene, length: CaptionLength.allCases[index % 3], language: language,
          seed: UInt64(index))
      }
      try SentencePieceTrainer(vocabularySize: settings.text.vocabulary).train(
        on: captions, writingTo: path)
    }
    return try SentencePieceTokenizer(contentsOf: path)
  }

  // MARK: - Batches

  /// Steps whose samples are drawn together and dealt out by the length of their captions: a batch pays
  /// for its longest caption.
  private static let stepsPerDraw = 4

  func batch(step: Int, shouldStop: () -> Bool) throws -> Batch? {
    let draw = (step - 1) / Self.stepsPerDraw
    let first = draw * Self.stepsPerDraw + 1
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("batch"), drawCount: UInt64(draw) << 20)
    let bucket = configuration.buckets.drawn(at: first, by: random.uniform())
    let available = available(bucket, at: first)
    let drawn = (0..<bucket.batch * Self.stepsPerDraw).map { position in
      let index = random.integer(below: available)
      let isEmpty = random.uniform() < settings.captionDropout
      let seed = UInt64(first) &* 65536 &+ UInt64(position)
      return (index, isEmpty ? "" : source.caption(index, of: bucket, seed: seed))
    }
    // The same for all steps of the draw, however the sort treats equals.
    let order = drawn.indices.map { (networks.tokens(of: drawn[$0].1).count, $0) }
      .sorted { $0 < $1 }
    let share = order.dropFirst((step - first) * bucket.batch).prefix(bucket.batch)
      .map { drawn[$0.1] }
    guard let store = try filled(bucket, to: available, shouldStop: shouldStop) else { return nil }
    let (indices, captions) = (share.map(\.0), share.map(\.1))
    let latents = try store.latents(at: indices)
    let truthWeight = settings.truth?.weight(at: step, of: configuration.steps) ?? 0
    guard needsTruth || bucket.window != nil else {
      return Batch(latents: latents, captions: captions)
    }
    let truths = truths(of: indices, bucket)
    let (parts, partTruths) =
      bucket.window.map { cut(latents, truths, side: $0, of: bucket, step: step) }
      ?? (latents, truths)
    return Batch(
      latents: parts, captions: captions, truth: TruthBatch(partTruths), truthWeight: truthWeight)
  }

  /// Cuts a window around an object out of each sample, `side` pixels wide.
  private func cut(
    _ latents: Tensor, _ truths: [[SceneTruth]?], side: Int,
    of bucket: TrainingConfiguration.Bucket, step: Int
  ) -> (Tensor, [[SceneTruth]?]) {
    let patch = networks.patch.height
    let cell = autoencoder.configuration.spatialScale * patch
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("window"), drawCount: UInt64(step) << 20)
    let windows = truths.map {
      TokenWindow(
        around: $0?.first, rows: bucket.height / cell, columns: bucket.width / cell,
        side: side / cell, by: &random)
    }
    return (
      stack(windows.indices.map { windows[$0].cut(latents.select(0, $0), patch: patch) }),
      zip(truths, windows).map { $1.cut($0) }
    )
  }

  private var needsTruth: Bool {
    settings.truth != nil || settings.objectWeight ?? 0 > 0 || settings.motionWeight ?? 0 > 0
  }

  /// What the renderer knows of samples' tokens, by latent frame.
  private func truths(of indices: [Int], _ bucket: TrainingConfiguration.Bucket) -> [[SceneTruth]?]
  {
    let (model, patch) = (autoencoder.configuration, networks.transformer.configuration.patchSize)
    return onAllCores(indices.indices) { [source] index in
      source.truth(
        indices[index], of: bucket, cell: model.spatialScale * patch[1],
        group: model.temporalScale * patch[0])
    }
  }

  /// Samples that may be drawn from a bucket at a step.
  private func available(_ bucket: TrainingConfiguration.Bucket, at step: Int) -> Int {
    let first = configuration.buckets.filter { $0.name == bucket.name }.map { $0.after ?? 0 }.min()
    return settings.latents.count(
      at: step - (first ?? 0), frames: autoencoder.configuration.latentFrames(bucket.frames))
  }

  /// What latents depend on: another decoder leaves them as they are.
  private static func encoderHash(_ folder: URL) throws -> WeightsHash {
    try weightsHash(of: WeightSet(inFolder: folder)) {
      $0.hasPrefix("encoder.") || $0.hasPrefix("quant_conv.")
    }
  }

  /// A bucket's store with at least `count` samples; `nil` if it was stopped before.
  private func filled(
    _ bucket: TrainingConfiguration.Bucket, to count: Int, shouldStop: () -> Bool
  ) throws -> LatentStore? {
    var store = try stores[bucket.name] ?? openStore(bucket)
    let frameBytes = bucket.frames * bucket.width * bucket.height
    let group = max(1, min(8, 1 << 21 / frameBytes))
    while store.count < count {
      if shouldStop() { return nil }
      let pixels = try source.pixels(store.count..<min(count, store.count + group), of: bucket)
        .pixels.moved(to: device)
      try withoutGradient {
        try store.append(
          autoencoder.normalized(autoencoder.encode(pixels, computeType: computeType).mean)
            .moved(to: .cpu))
      }
    }
    stores[bucket.name] = store
    return store
  }

  private func openStore(_ bucket: TrainingConfiguration.Bucket) throws -> LatentStore {
    let shape = autoencoder.configuration
    // The seed decides which sample a number stands for, the encoder what its latents are.
    let folder = configuration.outputFolder.appendingPathComponent(
      "latents-\(try Self.encoderHash(autoencoderFolder).short)-\(configuration.seed)")
    return try LatentStore(
      folder: folder, name: bucket.name,
      shape: [
        shape.latentChannels, shape.latentFrames(bucket.frames), bucket.height / shape.spatialScale,
        bucket.width / shape.spatialScale,
      ])
  }

  // MARK: - Loss

  func loss(
    _ batch: Batch, random: inout RandomSource
  ) throws -> (loss: Tensor, figures: [String: Double]) {
    let (count, _, frames, height, width) = batch.latents.shape5
    let tokens = frames * height * width / networks.transformer.configuration.patchVolume
    // As often as sampling visits them: a logit-normal density hardly knows the pure noise that it starts from,
    // where the text alone decides.
    let sigmas = try TrainingSigmas(density: .uniform).draw(
      count, shift: settings.shift.shift(tokens: tokens), from: &random)
    let patterns = try (0..<count).map { _ in
      try KnownFramePatterns().known(frames: frames, from: &random)
    }
    let noise = random.normal(batch.latents.shape).moved(to: device)
    let canvases = try CanvasBatch(
      batch.latents.moved(to: device), known: patterns, sigmas: sigmas, patch: networks.patch)
    let (errors, middle) = networks.errors(
      canvases, noise: noise, captions: batch.captions,
      weights: batch.truth?.weights(object: settings.objectWeight, motion: settings.motionWeight),
      tokensAfter: batch.truthWeight > 0 ? settings.truth?.block : nil)
    let velocity = errors.mean()
    var figures = ["loss_\(tokens)_tokens": withoutGradient { velocity.item() }]
    guard let middle, let truth = batch.truth else { return (velocity, figures) }
    let known = truthHead.loss(middle, truth, computeType: computeType)
    figures["truth"] = withoutGradient { known.item() }
    return (velocity + known * batch.truthWeight, figures)
  }

  // MARK: - Evaluation

  private func averaged(_ averages: [(key: String, value: Tensor)]) -> CaptionedNetworks {
    func registry(_ prefix: String) -> ParameterRegistry {
      var values: [String: Tensor] = [:]
      for (key, value) in averages where key.hasPrefix(prefix) {
        values[String(key.dropFirst(prefix.count))] = value
      }
      return ParameterRegistry(names: Set(values.keys)) { values[$0] }
    }
    return CaptionedNetworks(
      transformer: DiffusionTransformer(
        registry("transformer.").root, configuration: networks.transformer.configuration),
      encoder: UMT5Encoder(
        registry("text_encoder.").root, configuration: networks.encoder.configuration),
      tokenizer: tokenizer, computeType: computeType, device: device)
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
      clips.map {
        autoencoder.normalized(
          autoencoder.encode(Clip($0).tensor.moved(to: device), computeType: computeType).mean)
      },
      along: 0)
    let captions = scenes.map { CaptionGrammar().caption(for: $0, length: .sentence, seed: 1) }
    var noise = RandomSource(seed: 1)
    let sigmas = scenes.indices.map { (Double($0) + 0.5) / 16 }
    let known = [[Bool]](
      repeating: Array(repeating: false, count: latents.size(2)), count: scenes.count)
    let canvases = try CanvasBatch(latents, known: known, sigmas: sigmas, patch: networks.patch)
    let (errors, _) = networks.errors(
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

  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws {
    let networks = averaged(averages)
    let bucket =
      configuration.buckets.filter { $0.frames > 1 && $0.weight > 0 }.max { $0.weight < $1.weight }
      ?? configuration.buckets[0]
    let rows = try Self.samplePrompts.enumerated().map { index, prompt in
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
    let model = autoencoder.configuration
    let canvas = try Canvas.free(
      LatentShape(
        channels: model.latentChannels, frames: model.latentFrames(bucket.frames),
        height: bucket.height / model.spatialScale, width: bucket.width / model.spatialScale,
        patch: networks.patch))
    let schedule = try FlowMatchingSchedule(
      stepCount: 14, shift: settings.shift.shift(tokens: canvas.shape.tokenCount), spacing: .uniPC)
    let denoiser = TextGuidedDenoiser(
      transformer: networks.transformer, computeType: computeType, device: device,
      guidance: try ClassifierFreeGuidance(scale: settings.defaults.guidance),
      prompts: [networks.text([prompt])], negative: networks.text([""]))
    let latents = try UniPCSampler().sample(
      canvas, noise: canvas.noise(seed: seed).moved(to: device), schedule: schedule,
      denoise: denoiser.denoise(canvas))
    let pixels = autoencoder.decode(
      autoencoder.denormalized(latents.expandingDimension(at: 0)), computeType: computeType)
    return Clip(tensor: pixels.select(0, 0), framesPerSecond: configuration.data.framesPerSecond)
  }

  // MARK: - Export

  func export(averages: [(key: String, value: Tensor)], to folder: URL) throws {
    try ModelExport(
      configuration: configuration, settings: settings, autoencoderFolder: autoencoderFolder,
      transformer: networks.transformer.configuration, text: networks.encoder.configuration,
      preview: fittedPreview()
    ).write(averages, to: folder)
  }

  /// A preview of latents, fitted to a few scenes.
  private func fittedPreview() throws -> LatentPreview {
    try LatentPreview(
      fitting: (0..<24).map { index in
        let pixels = Clip(
          SceneRenderer(width: 96, height: 96).render(
            .random(seed: UInt64(810_000 + index)), frameCount: 9,
            framesPerSecond: configuration.data.framesPerSecond)
        ).tensor.moved(to: device)
        let latents = autoencoder.encode(pixels, computeType: computeType).mean
        return (
          autoencoder.normalized(latents).select(0, 0).moved(to: .cpu),
          pixels.select(0, 0).moved(to: .cpu)
        )
      })
  }
}
