internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld
internal import Synchronization

/// Trains a ``DiffusionTransformer`` and its text encoder together, on the canvas.
///
/// Every sample is a canvas with a random pattern of known frames: known tokens are clean, carry
/// timestep 0 and are left out of the loss. That is what makes extending, looping and connecting
/// trained abilities. Flow matching (arXiv:2210.02747) with uniform timesteps, shifted towards noise as
/// the canvas grows. Of rendered scenes the truth is known: tokens that show objects count more, and a
/// middle block learns to tell what they show.
///
/// `@unchecked Sendable`: batches may be made on several threads. They share what never changes, and what is
/// behind locks.
final class TransformerTask: TrainingTask, @unchecked Sendable {
  struct Batch {
    var latents = Tensor.zeros([0])  // [B, C, f, h, w], normalised
    let captions: [String]
    /// Samples, in order, of which adapters keep what the start model makes of them.
    var kept: [Int] = []
    /// Which of the step's samples these are, and how many there are.
    let range: Range<Int>
    let total: Int
    var truth: TruthBatch?
    /// The weight of the loss on the truth.
    var truthWeight = 0.0
    /// What the loss would draw, where it was drawn ahead; as ``latents``.
    var noise: Tensor?
  }

  let configuration: TrainingConfiguration
  let team: Team
  let settings: TrainingConfiguration.TransformerSettings
  let computeType: DType
  let device: Device
  let source: CaptionedSource
  let codec: ClipCodec
  let geometry: LatentGeometry
  let autoencoderFolder: URL
  let encoderHash: WeightsHash
  let tokens: CaptionTokens
  let parameters: [(key: String, value: Tensor)]
  let networks: CaptionedNetworks
  let learner: Learner
  let textConfiguration: UMT5Encoder.Configuration
  let truthHead: TruthHead
  let warnings: [String]
  /// The stores in use, by bucket.
  let stores = Mutex<[String: LatentStore]>([:])
  /// Held while a store grows.
  let filling = Mutex<Void>(())
  let draws = Mutex<[Int: Draw]>([:])
  /// The truth of samples by bucket and number, where there is memory to keep it.
  let truths = Mutex<[String: [Int: [SceneTruth]]]>([:])

  /// What learns.
  enum Learner {
    /// The transformer and its text encoder.
    case both
    /// The transformer; texts are encoded once.
    case transformer
    /// Adapters beside the transformer's frozen weights, which are given.
    case adapters(LowRankAdapters, weights: FrozenWeights, of: StartModel)
  }

  init(_ configuration: TrainingConfiguration, team: Team = .alone) throws {
    guard let settings = configuration.transformer else {
      throw TrainingError(.invalidConfiguration, "training configuration: expected `transformer`")
    }
    self.configuration = configuration
    self.team = team
    self.settings = settings
    computeType = configuration.computeType
    device = team.device(configuration.device)
    source = try CaptionedSource(
      settings: configuration.data, seed: configuration.seed, russian: settings.russian)
    try source.requireSamples(for: configuration.buckets)
    let start = try settings.start.map(StartModel.init)
    try start?.requireSizes(settings)
    autoencoderFolder = URL(
      fileURLWithPath: settings.autoencoder.expandingTilde)
    let restorer = try AutoencoderFiles(autoencoderFolder, of: start)
    encoderHash = try restorer.encoderHash()
    let autoencoder = try restorer.load(computeType, device)
    codec = ClipCodec(autoencoder, computeType: computeType, device: device)
    tokens = CaptionTokens(
      tokenizer: try team.inTurn { try Self.tokenizer(configuration, settings, start) })
    let parts = try Self.parts(
      configuration, settings, start, tokens: tokens, device: device,
      channels: autoencoder.configuration.latentChannels)
    (networks, learner, textConfiguration) = (parts.networks, parts.learner, parts.text)
    geometry = LatentGeometry(
      autoencoder.configuration, networks.transformer.configuration)
    let truth = ParameterRegistry(seed: configuration.seed + 2, device: device)
    truthHead = TruthHead(truth.root, width: networks.transformer.configuration.width)
    parameters =
      parts.parameters
      + (settings.truth == nil
        ? [] : truth.parameters.map { (key: "truth." + $0.key, value: $0.value) })
    warnings = source.warnings(tokens: tokens, limit: CaptionTokens.limit)
    try prepareTexts()
  }

  func isMatrix(_ key: String) -> Bool {
    let others = ["shared.weight", "relative_attention_bias.weight", "scale_shift_table"]
    return !others.contains(where: key.hasSuffix) && !key.hasPrefix("transformer.proj_out.")
  }

  /// Texts, and keys and values of all blocks, are made before the first block.
  var gradientOrder: [Tensor] {
    let early = [
      "text_encoder.", "condition_embedder.", ".attn2.to_k.", ".attn2.to_v.", ".attn2.norm_k.",
    ]
    func isEarly(_ key: String) -> Bool { early.contains(where: key.contains) }
    return (parameters.filter { isEarly($0.key) } + parameters.filter { !isEarly($0.key) })
      .map(\.value)
  }

  /// The text encoder's attention has neither a scale nor norms: at the transformer's rate its logits grow
  /// to hundreds within a thousand steps, and every head sees one token and passes no gradient on.
  func rateFactor(_ key: String) -> Double {
    key.hasPrefix("text_encoder.") && isMatrix(key) ? 0.03 : 1
  }

  // MARK: - Networks

  private struct Parts {
    var networks: CaptionedNetworks
    var learner: Learner
    var text: UMT5Encoder.Configuration
    var parameters: [(key: String, value: Tensor)]
  }

  private static func parts(
    _ configuration: TrainingConfiguration, _ settings: TrainingConfiguration.TransformerSettings,
    _ start: StartModel?, tokens: CaptionTokens, device: Device, channels: Int
  ) throws -> Parts {
    let type = configuration.computeType
    func parts(
      _ network: DiffusionTransformer, beside start: DiffusionTransformer? = nil,
      _ captions: any CaptionEncoding, _ learner: Learner,
      _ text: UMT5Encoder.Configuration, _ parameters: [(key: String, value: Tensor)],
      _ others: [(key: String, value: Tensor)] = []
    ) -> Parts {
      var network = network
      network.recomputesBlocks = settings.recompute ?? false
      return Parts(
        networks: CaptionedNetworks(
          transformer: network, start: start, captions: captions, computeType: type),
        learner: learner, text: text,
        parameters: parameters.map { (key: "transformer." + $0.key, value: $0.value) }
          + others.map { (key: "text_encoder." + $0.key, value: $0.value) })
    }
    func learning(_ encoder: UMT5Encoder) -> LearningCaptions {
      LearningCaptions(encoder, tokens: tokens, computeType: type, device: device)
    }
    guard let start else {
      let transformer = ParameterRegistry(seed: configuration.seed, device: device)
      let text = ParameterRegistry(seed: configuration.seed + 1, device: device)
      let textModel = settings.textModel(vocabulary: tokens.tokenizer.vocabularySize)
      let network = DiffusionTransformer(
        transformer.root, configuration: settings.model(channels: channels))
      let encoder = UMT5Encoder(text.root, configuration: textModel)
      return parts(
        network, learning(encoder), .both, textModel, transformer.parameters, text.parameters)
    }
    let text = start.family.textEncoder
    let frozen = FrozenCaptions(tokens: tokens, computeType: type, device: device) {
      try start.loadTextEncoder(type, device)
    }
    if let lora = settings.lora {
      let adapters = LowRankAdapters(
        rank: lora.rank, alpha: lora.alpha, targets: lora.targets, seed: configuration.seed,
        device: device)
      let base = try start.adapted(by: adapters, type, on: device)
      return parts(
        base.network, beside: start.network(of: base.weights), frozen,
        .adapters(adapters, weights: base.weights, of: start), text,
        adapters.parameters)
    }
    if settings.freezesText == true {
      let own = try start.trainableTransformer(on: device)
      return parts(own.network, frozen, .transformer, text, own.parameters)
    }
    let both = try start.trainable(on: device)
    return parts(
      both.transformer.network, learning(both.text.network), .both, text,
      both.transformer.parameters, both.text.parameters)
  }

  /// Encodes what will be asked for, where that is known, and lets a frozen text encoder go.
  private func prepareTexts() throws {
    guard let frozen = networks.captions as? FrozenCaptions, configuration.data.world == 0 else {
      return
    }
    for caption in [""] + source.captions { _ = try frozen.states(of: [caption]) }
    frozen.close()
  }

  /// The run's tokenizer: that of the model it starts from, or trained on captions the first time.
  private static func tokenizer(
    _ configuration: TrainingConfiguration, _ settings: TrainingConfiguration.TransformerSettings,
    _ start: StartModel?
  ) throws -> SentencePieceTokenizer {
    let folder = configuration.outputFolder.appendingPathComponent("tokenizer")
    let path = folder.appendingPathComponent("spiece.model").path
    if !FileManager.default.fileExists(atPath: path) {
      try TrainingError.makeFolder(folder)
      if let start {
        try FileManager.default.copyItem(atPath: start.tokenizer.path, toPath: path)
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

  // MARK: - Loss

  func loss(
    _ batch: Batch, random: inout RandomSource
  ) throws -> (loss: Tensor, figures: [String: Tensor]) {
    let (_, _, frames, height, width) = batch.latents.shape5
    let tokens = frames * height * width / networks.transformer.configuration.patchVolume
    // As often as sampling visits them: a logit-normal density hardly knows the pure noise that it starts from,
    // where the text alone decides. Drawn for the whole batch, of which these are a part.
    let sigmas = try TrainingSigmas(density: .uniform).draw(
      batch.total, shift: settings.shift.shift(tokens: tokens), from: &random)[batch.range]
    let patterns = try (0..<batch.total).map { _ in
      try KnownFramePatterns().known(frames: frames, from: &random)
    }[batch.range]
    let noise =
      batch.noise
      ?? random.normal([batch.total] + batch.latents.shape.dropFirst())
      .slice(0, batch.range).moved(to: device)
    let canvases = try CanvasBatch(
      batch.latents.moved(to: device), known: Array(patterns), sigmas: Array(sigmas),
      patch: geometry.patch)
    let (errors, middle) = try networks.errors(
      canvases, noise: noise, captions: batch.captions, kept: batch.kept,
      weights: batch.truth?.weights(object: settings.objectWeight, motion: settings.motionWeight),
      tokensAfter: batch.truthWeight > 0 ? settings.truth?.block : nil)
    let velocity = errors.mean()
    var figures = ["loss_\(tokens)_tokens": velocity.detached()]
    guard let middle, let truth = batch.truth else { return (velocity, figures) }
    let known = truthHead.loss(middle, truth, computeType: computeType)
    figures["truth"] = known.detached()
    return (velocity + known * batch.truthWeight, figures)
  }
}
