import Foundation
import KinoDiffusion
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

/// Models of two transformers, and models that let encoders go before sampling.
@Suite struct ExpertTests {
  @Test func `Two experts go the way of the reference's pipeline`() throws {
    let golden = try Golden("experts")
    let result = try sampled(golden, parts: PipelineParts(golden))
    expectClose(result, golden["result"].squeezing(0), tolerance: 1e-4)
  }

  /// A model that keeps nothing beside what computes.
  private func sparing(_ model: Model, cache: URL?) throws -> Model {
    var model = model
    var family = try model.wan()
    family.memoryLimit = 0
    family.embeddingFolder = cache
    model.family = family
    return model
  }

  @Test(arguments: [TinyModel.Form.text, .experts])
  func `Letting weights go changes no frame, and takes less memory`(
    form: TinyModel.Form
  ) async throws {
    let folder = try TinyFolder(form: form)
    let cache = folder.url.appendingPathComponent("embeddings")
    let whole = try Model(at: folder.model)
    let sparing = try sparing(whole, cache: cache)
    let studios = try [Studio(whole), Studio(sparing)]
    let clip = try #require(await studios[0].clip(request()))
    #expect(try await studios[1].clip(request()) == clip)
    #expect(try FileManager.default.contentsOfDirectory(atPath: cache.path).count == 2)
    // Again, by what was kept, and in a process that knows nothing yet.
    #expect(try await Studio(self.sparing(whole, cache: cache)).clip(request()) == clip)
    let plans = (try await studios[0].plan(request()), try await studios[1].plan(request()))
    #expect(plans.1.peakBytes < plans.0.peakBytes)
    let memory = sparing.family.weightMemory(.f32)
    #expect(memory.reading > 0 && !memory.stays && memory.most == plans.1.weightBytes)
    // Several prompts are read together.
    let board = Composition(
      .storyboard, timeline: ["a red ball", "a blue cube"].map { .shot(Shot($0, frames: 5)) })
    let boards = (
      try await studios[0].clip(board, request().settings),
      try await studios[1].clip(board, request().settings)
    )
    #expect(boards.0 != nil && boards.0 == boards.1)
  }

  @Test func `Each expert has a guidance, which recipes and commands state`() async throws {
    let folder = try TinyFolder(form: .experts)
    let studio = try await folder.studio()
    let clip = try #require(await studio.clip(request()))
    var other = request()
    other.settings.lowNoiseGuidanceScale = 9
    #expect(try await studio.clip(other) != clip)
    let work = try other.validated(for: studio.model)
    let recipe = Recipe(work, model: studio.model, hash: "")
    #expect(recipe.command.contains("--low-noise-guidance 9"))
    #expect(Recipe(json: recipe.json) == recipe)
    // A guidance that is given is for both, unless there is another.
    #expect(
      try request().validated(for: studio.model).sampling.settings.lowNoiseGuidanceScale == nil)
    other.settings.lowNoiseGuidanceScale = -1
    #expect(throws: StudioError.self) { try other.validated(for: studio.model) }
  }

  @Test func `Another shift gives another clip, and recipes and commands state it`() async throws {
    let folder = try TinyFolder()
    let studio = try await folder.studio()
    let clip = try #require(await studio.clip(request()))
    var other = request()
    other.settings.shift = 9
    let shifted = try await studio.clip(other)
    #expect(shifted != nil && shifted != clip)
    let recipe = Recipe(
      try other.validated(for: studio.model), model: studio.model, hash: "")
    #expect(recipe.command.contains("--shift 9") && Recipe(json: recipe.json) == recipe)
    for shift in [0, -1, .nan, 101] {
      other.settings.shift = shift
      #expect(throws: StudioError.self) { try other.validated(for: studio.model) }
    }
  }

  @Test func `The second expert matters, and the boundary decides where`() async throws {
    let folder = try TinyFolder(form: .experts)
    let clip = try #require(await folder.studio().clip(request()))
    var files = ModelFiles()
    files.lowNoise = .single
    let single = try Model(at: folder.model, files: files)
    #expect(try single.wan().boundary == nil)
    #expect(try await Studio(single).clip(request()) != clip)
    let index = folder.model.appendingPathComponent("model_index.json")
    let text = try String(contentsOf: index, encoding: .utf8)
    try text.replacing("0.875", with: "0.0001").write(to: index, atomically: true, encoding: .utf8)
    #expect(
      try await folder.studio().clip(request()) == Studio(single).clip(request()))
  }

  @Test func `States of texts come back whole, or not at all`() throws {
    let folder = try TemporaryFolder()
    var random = RandomSource(seed: 4)
    let states = random.normal([5, 8])
    let cache = EmbeddingCache(in: folder["a"], encoder: "e", byteLimit: 1500)
    cache.keep(states, of: "one")
    #expect(cache.states(of: "one", width: 8)?.floats() == states.floats())
    #expect(cache.states(of: "one", width: 9) == nil && cache.states(of: "two", width: 8) == nil)
    #expect(
      EmbeddingCache(in: folder["a"], encoder: "f").states(of: "one", width: 8) == nil)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder["a"].path)
    let file = folder["a"].appendingPathComponent(try #require(names.first))
    var bytes = [UInt8](try Data(contentsOf: file))
    bytes[bytes.count - 3] ^= 4
    try Data(bytes).write(to: file)
    #expect(cache.states(of: "one", width: 8) == nil)
    try Data(bytes.prefix(40)).write(to: file)
    #expect(cache.states(of: "one", width: 8) == nil)
    for index in 0..<20 { cache.keep(states, of: "text \(index)") }
    let left = try FileManager.default.contentsOfDirectory(atPath: folder["a"].path)
    #expect(left.count < 8 && !left.isEmpty)
  }
}

// MARK: - Loops of the reference

/// The networks of a golden of the reference's pipelines.
struct PipelineParts {
  let transformers: [DiffusionTransformer]
  let autoencoder: VideoAutoencoder

  init(_ golden: Golden) throws {
    transformers = try ["transformer", "transformer_2"].map(golden.folder.appendingPathComponent)
      .filter { FileManager.default.fileExists(atPath: $0.path) }
      .map { folder in
        let configuration = try ConfigurationFile.read(
          DiffusionTransformer.Configuration.self, at: folder.appendingPathComponent("config.json"))
        return try WeightSet(inFolder: folder).load {
          DiffusionTransformer($0, configuration: configuration)
        }
      }
    let vae = try Golden("autoencoder-2.1")
    let configuration: VideoAutoencoder.Configuration = try vae.configuration()
    autoencoder = try WeightSet(inFolder: vae.folder).load {
      VideoAutoencoder($0, configuration: configuration)
    }
  }
}

/// The latents of a golden's loop: 4 steps of UniPC, guidance 4, and 3 below 0.875.
func sampled(
  _ golden: Golden, parts: PipelineParts, pictures: PictureCondition? = nil
) throws -> Tensor {
  func denoiser(_ network: DiffusionTransformer, _ guidance: Double) throws -> TextGuidedDenoiser {
    func context(_ name: String) -> TextContext {
      let text = golden[name]
      return network.textContext(
        text, mask: .ones([1, text.size(1)]), paddedTo: 512, images: pictures?.states)
    }
    return TextGuidedDenoiser(
      transformer: network, computeType: .float32, device: .cpu,
      guidance: try ClassifierFreeGuidance(scale: guidance), prompts: [context("prompt")],
      negative: context("negative"), condition: pictures?.latents)
  }
  let noise = golden["noise"].squeezing(0)
  let canvas = try Canvas.free(LatentShape(of: noise))
  let experts = ExpertDenoiser(boundary: 0.875) { expert in
    try expert == .highNoise
      ? denoiser(parts.transformers[0], 4) : denoiser(parts.transformers[1], 3)
  }
  let denoise =
    parts.transformers.count == 2
    ? experts.denoise(canvas, noise: noise)
    : try denoiser(parts.transformers[0], 4).denoise(canvas, noise: noise)
  return try withoutGradient {
    try UniPCSampler().sample(
      canvas, noise: noise,
      schedule: FlowMatchingSchedule(stepCount: 4, shift: 5, spacing: .uniPC), denoise: denoise)
  }
}
