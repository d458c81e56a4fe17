import Foundation
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import KinoWorld
import Testing

@testable import KinoTraining

/// Tiny runs of the real tasks, as YAML in the way a user writes them.
struct TinyRuns {
  let folder: URL

  private func text(_ name: String, steps: Int, _ model: String, picture: String = "") -> String {
    """
    output: \(folder.path)/\(name)
    seed: 3
    steps: \(steps)
    precision: float32
    optimizer: {learning_rate: 1.0e-3, matrix_rate: 1.0e-3, warmup_steps: 1, decay_fraction: 0, weight_decay: 0.01, beta2: 0.99, clip_norm: 1, average_decay: 0.9}
    buckets:
      - {width: 32, height: 32, frames: 5, batch: 2, weight: 1}
      - {width: 64, height: 32, frames: 1, batch: 2, weight: 1\(picture)}
    data: {world: 1, folders: [], frames_per_second: 12}
    schedule: {checkpoint_minutes: 9, log_steps: 1, held_out_steps: 0, sample_steps: 0}
    \(model)
    """
  }

  private func configuration(_ name: String, _ text: String) throws -> TrainingConfiguration {
    let url = folder.appendingPathComponent(name + ".yaml")
    try Data(text.utf8).write(to: url)
    return try TrainingConfiguration(contentsOf: url)
  }

  func autoencoder(_ name: String, steps: Int, patch: Int = 4, more: String = "") throws
    -> TrainingConfiguration
  {
    try configuration(
      name,
      text(
        name, steps: steps,
        "autoencoder: {base_width: 4, decoder_base_width: 4, latent_channels: 4, residual_blocks: 1, patch: \(patch), squared_weight: 1, gradient_weight: 0.2, divergence_weight: 1.0e-4\(more)}"
      ))
  }

  /// Writes an autoencoder of one step where ``transformer(_:steps:autoencoder:more:picture:)`` looks for it.
  func exportAutoencoder() throws {
    let configuration = try autoencoder("ae", steps: 1)
    try run(configuration)
    try Trainer(configuration) { _ in }.export(to: folder.appendingPathComponent("vae"))
  }

  func transformer(
    _ name: String, steps: Int, autoencoder: String = "vae", more: String = "",
    picture: String = ""
  ) throws -> TrainingConfiguration {
    try configuration(
      name,
      text(
        name, steps: steps,
        """
        transformer:
          autoencoder: \(folder.path)/\(autoencoder)
          \(more)
          heads: 2
          head_width: 16
          layers: 1
          feed_forward_width: 32
          text: {vocabulary: 700, width: 16, heads: 2, head_width: 8, layers: 1, feed_forward_width: 16}
          latents: {initial: 3, per_step: 1, limit: 8}
          caption_dropout: 0.2
          russian: 0.2
          base_shift: 1.5
          base_tokens: 80
          defaults: {name: tiny, width: 64, height: 64, frames: 5, steps: 2, guidance: 2}
        """, picture: picture))
  }

  /// Runs to a step and gives the loss of every step.
  @discardableResult
  func run(
    _ configuration: TrainingConfiguration, group: ProcessGroup? = nil, stoppingAt stop: Int? = nil
  ) throws -> [Int: Double] {
    var losses: [Int: Double] = [:]
    var steps = 0
    let trainer = try Trainer(configuration, group: group) { event in
      if case .step(let step, _, let figures) = event { losses[step] = figures["loss"] }
    }
    try trainer.run {
      steps += 1
      // Also asked while clips are encoded; the first process of several knows the steps.
      return group == nil ? steps == stop : losses.count == stop
    }
    return losses
  }

  /// The bytes of the newest checkpoint's parameters.
  func parameters(_ configuration: TrainingConfiguration) throws -> Data {
    let newest = try #require(TrainingState.checkpoints(in: configuration.outputFolder).last)
    return try Data(contentsOf: newest.url.appendingPathComponent("parameters.safetensors"))
  }
}

func withRuns(_ body: (TinyRuns) throws -> Void) throws {
  let folder = try TemporaryFolder()
  try withExtendedLifetime(folder) { try body(TinyRuns(folder: folder.url)) }
}

@Suite("Training the networks", .serialized)
struct TaskTests {
  @Test("an autoencoder learns, and exports a model that loads with its statistics")
  func autoencoder() throws {
    try withRuns { runs in
      let configuration = try runs.autoencoder("ae", steps: 24)
      let losses = try runs.run(configuration)
      let (early, late) = ((1...4).compactMap { losses[$0] }, (21...24).compactMap { losses[$0] })
      #expect(late.reduce(0, +) < early.reduce(0, +) * 0.9)
      let target = runs.folder.appendingPathComponent("vae")
      try Trainer(configuration) { _ in }.export(to: target)
      let shape = try ConfigurationFile.read(
        VideoAutoencoder.Configuration.self, at: target.appendingPathComponent("config.json"))
      #expect(shape.latentStandardDeviation.contains { $0 != 1 })
      let autoencoder = try WeightSet(inFolder: target).load {
        VideoAutoencoder($0, configuration: shape)
      }
      #expect(autoencoder.encode(.zeros([1, 3, 5, 32, 32])).mean.shape == [1, 4, 2, 2, 2])
    }
  }

  @Test("a frozen encoder stays, to the bit, while the decoder goes on from where it was")
  func frozenEncoder() throws {
    try withRuns { runs in
      let first = try runs.autoencoder("ae", steps: 3)
      try runs.run(first)
      let (start, target) = (
        runs.folder.appendingPathComponent("start"), runs.folder.appendingPathComponent("target")
      )
      try Trainer(first) { _ in }.export(to: start)
      let second = try runs.autoencoder(
        "more", steps: 3, more: ", start: \(start.path), frozen_encoder: true")
      try runs.run(second)
      try Trainer(second) { _ in }.export(to: target)
      func hash(_ folder: URL, _ prefixes: [String]) throws -> WeightsHash {
        try weightsHash(of: WeightSet(inFolder: folder)) { name in
          prefixes.contains(where: name.hasPrefix)
        }
      }
      let kept = ["encoder.", "quant_conv."]
      #expect(try hash(start, kept) == hash(target, kept))
      #expect(try hash(start, ["decoder."]) != hash(target, ["decoder."]))
      #expect(
        try Data(contentsOf: start.appendingPathComponent("config.json"))
          == Data(contentsOf: target.appendingPathComponent("config.json")))
    }
  }

  @Test("a larger patch starts as the same network on reduced pictures")
  func largerPatch() throws {
    try withRuns { runs in
      let first = try runs.autoencoder("ae", steps: 3)
      try runs.run(first)
      let small = runs.folder.appendingPathComponent("small")
      try Trainer(first) { _ in }.export(to: small)
      let large = runs.folder.appendingPathComponent("large")
      let second = try runs.autoencoder(
        "large", steps: 1, patch: 8, more: ", start: \(small.path)")
      try Trainer(second) { _ in }.export(to: large)
      let networks = try [small, large].map { folder in
        let shape = try ConfigurationFile.read(
          VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
        return try WeightSet(inFolder: folder).load { VideoAutoencoder($0, configuration: shape) }
      }
      #expect(networks.map(\.configuration.spatialScale) == [16, 32])
      var random = RandomSource(seed: 5)
      let reduced = random.normal([1, 3, 5, 32, 32])
      let full = reduced.repeated(2, along: 3).repeated(2, along: 4)
      let latents = [networks[0].encode(reduced).mean, networks[1].encode(full).mean]
      expectClose(latents[1], latents[0], tolerance: 2e-2)
      let restored = networks.map { $0.decode(latents[0]) }
      expectClose(
        restored[1], restored[0].repeated(2, along: 3).repeated(2, along: 4), tolerance: 2e-2)
    }
  }

  @Test("weights on what moves and noise in the latents leave an autoencoder learning")
  func movingWeight() throws {
    try withRuns { runs in
      let configuration = try runs.autoencoder(
        "ae", steps: 24, more: ", moving_weight: 4, latent_noise: 0.2")
      let losses = try runs.run(configuration)
      let (early, late) = ((1...4).compactMap { losses[$0] }, (21...24).compactMap { losses[$0] })
      #expect(late.reduce(0, +) < early.reduce(0, +) * 0.9)
    }
  }

  @Test(
    "steps in a row may see the same clips, each time otherwise, in whatever order they are asked for"
  )
  func showings() throws {
    try withRuns { runs in
      let configuration = try runs.autoencoder("ae", steps: 6, more: ", showings: 3")
      let source = try ClipSource(settings: configuration.data, seed: configuration.seed)
      func batches() -> ClipBatches {
        ClipBatches(source, buckets: configuration.buckets, showings: 3)
      }
      let (forwards, backwards) = (batches(), batches())
      let one = try (1...6).map { try forwards.batch(step: $0) }
      let other = try (1...6).reversed().map { try backwards.batch(step: $0) }.reversed()
      for (a, b) in zip(one, other) {
        #expect(a.bytes == b.bytes)
        #expect(a.showing == b.showing)
      }
      #expect(one.map(\.showing) == [0, 1, 2, 0, 1, 2])
      #expect(one[0].bytes == one[2].bytes)
      #expect(one[0].bytes != one[3].bytes)
      let shown = one.prefix(3).map { $0.shown(on: .cpu).floats() }
      #expect(shown[0] == one[0].pixels(on: .cpu).floats())
      #expect(Set(shown).count == 3)
      #expect(Set(shown.map { $0.sorted() }).count == 1)
      let losses = try runs.run(configuration)
      #expect(losses.count == 6)
    }
  }

  @Test("the truth of rendered scenes weighs tokens and is learnt, and is no part of the model")
  func truth() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let more = """
        object_weight: 3
          motion_weight: 1
          truth: {weight: 0.3, block: 1, until: 0.8}
        """
      let (whole, broken) = (
        try runs.transformer("whole", steps: 30, more: more),
        try runs.transformer("broken", steps: 30, more: more)
      )
      var errors: [Int: Double] = [:]
      let trainer = try Trainer(whole) { event in
        if case .step(let step, _, let figures) = event { errors[step] = figures["truth"] }
      }
      try trainer.run()
      // From step 24 on, its weight is zero.
      #expect(errors.keys.max() == 23)
      let (early, late) = ((1...5).compactMap { errors[$0] }, (19...23).compactMap { errors[$0] })
      #expect(late.reduce(0, +) < early.reduce(0, +))
      try runs.run(broken, stoppingAt: 11)
      try runs.run(broken)
      #expect(try runs.parameters(whole) == runs.parameters(broken))
      let model = runs.folder.appendingPathComponent("model")
      try trainer.export(to: model)
      let keys = try ModelFolder(at: model).weights(of: "transformer").tensors.map(\.name)
      #expect(!keys.isEmpty && keys.allSatisfy { !$0.contains("truth") })
    }
  }

  @Test("a window of tokens holds an object, and cuts latents and truth alike")
  func window() throws {
    let scene = try Scene(parsing: "a small red ball on grass")
    let truth = SceneRenderer(width: 128, height: 128).truth(scene, time: 0)
    var random = RandomSource(seed: 4)
    let latents = Tensor.range(0, 2 * 64).reshaped(to: 2, 1, 8, 8)
    var windows = Set<TokenWindow>()
    for _ in 0..<50 {
      let window = TokenWindow(around: truth, rows: 8, columns: 8, side: 4, by: &random)
      windows.insert(window)
      let cut = try #require(window.cut([truth])?.first)
      #expect(!cut.objectCells.isEmpty && cut.rows == 4 && cut.columns == 4)
      let values = window.cut(latents, patch: 1)
      #expect(values.shape == [2, 1, 4, 4])
      #expect(values.floats()[0] == Float(window.row * 8 + window.column))
    }
    #expect(windows.count > 3)
    let anywhere = TokenWindow(around: nil, rows: 3, columns: 5, side: 3, by: &random)
    #expect(anywhere.row == 0 && 0...2 ~= anywhere.column)
  }

  @Test("a bucket with a window trains on parts of its pictures, each with its truth")
  func windowBucket() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let task = try TransformerTask(
        runs.transformer(
          "tr", steps: 9, more: "truth: {weight: 0.3, block: 1, until: 1}", picture: ", window: 32")
      )
      let batches = try (1...24).compactMap { try task.batch(step: $0, part: .whole) { false } }
      let pictures = batches.filter { $0.latents.size(2) == 1 }
      #expect(!pictures.isEmpty && pictures.count < batches.count)
      for batch in pictures {
        #expect(batch.latents.shape == [2, 4, 1, 2, 2])
        #expect(batch.truth?.values.shape == [2, 1, SceneTruth.width])
      }
      var random = RandomSource(seed: 1)
      let batch = try #require(pictures.first)
      #expect(try task.loss(batch, random: &random).loss.item().isFinite)
    }
  }

  @Test("a shape that is rarely drawn has no more samples than it asks for")
  func fewSamples() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let configuration = try runs.transformer("tr", steps: 9, picture: ", samples: 2")
      let task = try TransformerTask(configuration)
      for step in 1...24 { _ = try task.batch(step: step, part: .whole) { false } }
      let folder = configuration.outputFolder
      let latents = try #require(
        FileManager.default.contentsOfDirectory(atPath: folder.path).first {
          $0.hasPrefix("latents-")
        })
      func count(_ name: String, frames: Int, columns: Int) throws -> Int {
        let url = folder.appendingPathComponent("\(latents)/\(name).bf16")
        return try Data(contentsOf: url).count / (2 * 4 * frames * 2 * columns)
      }
      #expect(try count("64x32x1", frames: 1, columns: 4) == 2)
      #expect(try count("32x32x5", frames: 2, columns: 2) > 2)
    }
  }

  @Test("scenes with one object are drawn again as often as is asked, and the others stay")
  func crowding() throws {
    let bucket = TrainingConfiguration.Bucket(width: 64, height: 64, frames: 1, batch: 1, weight: 1)
    func counts(_ crowding: Double?) throws -> [Int] {
      let source = try CaptionedSource(
        settings: .init(world: 1, folders: [], framesPerSecond: 12, crowding: crowding),
        seed: 1, russian: 0)
      return (0..<400).map { source.scene($0, of: bucket)?.objects.count ?? 0 }
    }
    let (plain, all) = (try counts(nil), try counts(1))
    #expect(zip(plain, all).allSatisfy { $0 == 1 || $0 == $1 })
    // 55% of scenes have one object, of those drawn twice 30%.
    let (one, still) = (plain.count { $0 == 1 }, all.count { $0 == 1 })
    #expect(180...260 ~= one && 85...160 ~= still)
    let half = try counts(0.5).count { $0 == 1 }
    #expect(still < half && half < one)
  }

  @Test("tokens that show objects count more, and those without truth all alike")
  func tokenWeights() throws {
    let scene = try Scene(parsing: "a big red cube slides to the left")
    let renderer = SceneRenderer(width: 64, height: 64)
    let batch = TruthBatch([[renderer.truth(scene, time: 0.3)], nil])
    #expect(batch.values.shape == [2, 16, SceneTruth.width])
    #expect(batch.isKnown.floats() == [1, 0])
    let weights = try #require(batch.weights(object: 3, motion: 0)).floats()
    #expect(Set(weights[..<16]) == [1, 4])
    #expect(weights[16...].allSatisfy { $0 == 1 })
    let moving = try #require(batch.weights(object: 3, motion: 1)).floats()
    #expect(zip(moving, weights).allSatisfy { $0 >= $1 } && moving[..<16].max() ?? 0 > 4)
    #expect(batch.weights(object: nil, motion: 0) == nil)
  }

  @Test(
    "a transformer stopped and started again has the parameters of an unbroken run, bit for bit")
  func transformerResumes() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let (whole, broken) = (
        try runs.transformer("whole", steps: 5), try runs.transformer("broken", steps: 5)
      )
      try runs.run(whole)
      try runs.run(broken, stoppingAt: 2)
      try runs.run(broken)
      #expect(try runs.parameters(whole) == runs.parameters(broken))
      let model = runs.folder.appendingPathComponent("model")
      try Trainer(whole) { _ in }.export(to: model)
      let folder = try ModelFolder(at: model)
      for component in ["transformer", "text_encoder", "vae"] {
        #expect(try !folder.weights(of: component).tensors.isEmpty)
      }
    }
  }

  @Test("training starts from a model's transformer, text encoder and tokenizer")
  func startedTransformer() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let (model, again) = (
        runs.folder.appendingPathComponent("model"), runs.folder.appendingPathComponent("again")
      )
      let first = try runs.transformer("first", steps: 2)
      try runs.run(first)
      try Trainer(first) { _ in }.export(to: model)
      let second = try runs.transformer(
        "second", steps: 1, autoencoder: "model/vae", more: "start: \(model.path)")
      try Trainer(second) { _ in }.export(to: again)
      for part in ["transformer", "text_encoder", "vae"] {
        let hashes = try [model, again].map {
          try weightsHash(of: WeightSet(inFolder: $0.appendingPathComponent(part))) { _ in true }
        }
        #expect(hashes[0] == hashes[1])
      }
      let pieces = try [model, again].map {
        try Data(contentsOf: $0.appendingPathComponent("tokenizer/spiece.model"))
      }
      #expect(pieces[0] == pieces[1])
      #expect(try runs.run(second).count == 1)
    }
  }

  @Test("batches drawn together are dealt out by the length of their captions")
  func captionLengths() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let configuration = try runs.transformer("tr", steps: 1)
      let task = try TransformerTask(configuration)
      let tokenizer = try SentencePieceTokenizer(
        contentsOf: configuration.outputFolder.appendingPathComponent("tokenizer/spiece.model").path
      )
      func captions(_ step: Int) throws -> [String] {
        try #require(try task.batch(step: step, part: .whole) { false }).captions
      }
      let lengths = try (1...4).map { step in
        try captions(step).map { try tokenizer.encode($0).count }
      }
      #expect(lengths.allSatisfy { $0.count == 2 })
      #expect(lengths.flatMap(\.self) == lengths.flatMap(\.self).sorted())
      #expect(Set(lengths.flatMap(\.self)).count > 1)
      #expect(try captions(3) == captions(3))
      // Encoding clips takes long, so it can be stopped between them.
      let fresh = try TransformerTask(try runs.transformer("stopped", steps: 1))
      #expect(try fresh.batch(step: 1, part: .whole) { true } == nil)
    }
  }

  @Test("batches made ahead on many threads have the same samples, noise and loss")
  func aheadOfTime() throws {
    try withRuns { runs in
      try runs.exportAutoencoder()
      let more = "object_weight: 2\n  truth: {weight: 0.3, block: 1, until: 1}"
      let configuration = try runs.transformer("tr", steps: 12, more: more)
      let (task, other) = (
        try TransformerTask(configuration),
        try TransformerTask(try runs.transformer("other", steps: 12, more: more))
      )
      let ahead = BatchesAhead(last: 12) { try other.whole(step: $0, shouldStop: $1) }
      for step in 1...12 {
        let batch = try #require(try task.batch(step: step, part: .whole) { false })
        let early = try #require(try ahead.batch(step: step) { false })
        #expect(early.captions == batch.captions)
        let losses = try [batch, early].map { batch in
          var random = configuration.noise(step: step)
          return try task.loss(batch, random: &random).loss.item()
        }
        #expect(losses[0] == losses[1])
      }
      ahead.stop()
    }
  }

  @Test("a missing autoencoder is an error before any work")
  func missingAutoencoder() throws {
    try withRuns { runs in
      let configuration = try runs.transformer("lost", steps: 1)
      #expect(throws: (any Error).self) { try Trainer(configuration) { _ in } }
    }
  }
}
