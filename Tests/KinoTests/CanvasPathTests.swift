import Foundation
import KinoDiffusion
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

/// The path from any canvas to latents, which every verb shares.
@Suite struct CanvasPathTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  private func job(_ model: Model, _ canvas: Canvas, prompts: [String]) throws -> RenderJob {
    let resolved = try request().validated(for: model)
    return RenderJob(
      request: resolved, canvas: canvas, prompts: prompts,
      windows: try model.windows(latentFrames: canvas.shape.frames),
      plan: try Plan(resolved, model: model, keepsFrames: true))
  }

  @Test func `Known latents come out bit for bit, also across windows`() async throws {
    let studio = try await folder.studio()
    let shape = try LatentShape(channels: 16, frames: 9, height: 4, width: 4)
    var random = RandomSource(seed: 3)
    let (start, end) = (random.normal([16, 2, 4, 4]), random.normal([16, 1, 4, 4]))
    let canvas = try Canvas.keeping(start: start, end: end, in: shape)
    let latents = try await studio.actor.sample(
      job(studio.model, canvas, prompts: ["a red ball"])
    ) { _ in }
    #expect(latents.shape == shape.axes)
    #expect(latents.slice(1, 0..<2).floats() == start.floats())
    #expect(latents.slice(1, 8..<9).floats() == end.floats())
  }

  @Test func `Each stretch of time follows its own prompt`() async throws {
    let studio = try await folder.studio()
    let shape = try LatentShape(channels: 16, frames: 4, height: 4, width: 4)
    let whole = try Canvas.free(shape)
    let halves = try Canvas(
      shape: shape,
      prompts: [PromptStretch(frames: 0..<2, prompt: 0), PromptStretch(frames: 2..<4, prompt: 1)])
    let prompts = ["a red ball", "seven green cones at night"]
    let one = try await studio.actor.sample(job(studio.model, whole, prompts: prompts)) { _ in }
    let two = try await studio.actor.sample(job(studio.model, halves, prompts: prompts)) { _ in }
    let same = try await studio.actor.sample(
      job(studio.model, halves, prompts: [prompts[0], prompts[0]])
    ) { _ in }
    #expect(one.floats() == same.floats())
    #expect(one.floats() != two.floats())
  }

  @Test func `Loops agree with the reference's pipelines`() throws {
    let pipeline = try Golden("pipeline")
    let transformer = try TransformerParts()
    let schedule = try FlowMatchingSchedule(stepCount: 6, shift: 5, spacing: .uniPC)
    let denoiser = TextGuidedDenoiser(
      transformer: transformer.model, computeType: .float32, device: .cpu,
      guidance: try ClassifierFreeGuidance(scale: 4),
      prompts: [transformer.model.textContext(pipeline["prompt"])],
      negative: transformer.model.textContext(pipeline["negative"]))
    let noise = pipeline["noise"].squeezing(0)
    let free = try Canvas.free(LatentShape(of: noise))
    let text = try UniPCSampler().sample(
      free, noise: noise, schedule: schedule, denoise: denoiser.denoise(free))
    expectClose(text, pipeline["text.result"].squeezing(0), tolerance: 1e-4)

    let autoencoder = try AutoencoderParts().model
    let picture = (pipeline["image.picture"] * 2 - 1).expandingDimension(at: 2)
    let first = autoencoder.normalized(autoencoder.encode(picture).mean).squeezing(0)
    let animated = try Canvas.keeping(start: first, in: LatentShape(of: noise))
    let image = try UniPCSampler().sample(
      animated, noise: noise, schedule: schedule, denoise: denoiser.denoise(animated))
    expectClose(image, pipeline["image.result"].squeezing(0), tolerance: 1e-4)
  }

  @Test func `All jobs of a model run on one thread`() async throws {
    let actor = ThreadTeller()
    let first = await actor.thread
    for _ in 0..<20 {
      await Task.yield()
      #expect(await actor.thread == first)
    }
  }
}

private actor ThreadTeller {
  private let executor = ModelThread(name: "test")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  var thread: ObjectIdentifier { ObjectIdentifier(Thread.current) }
}

private struct TransformerParts {
  let model: DiffusionTransformer

  init() throws {
    let golden = try Golden("transformer")
    let configuration: DiffusionTransformer.Configuration = try golden.configuration()
    let weights = try WeightSet(inFolder: golden.folder)
    model = try weights.load { DiffusionTransformer($0, configuration: configuration) }
  }
}

private struct AutoencoderParts {
  let model: VideoAutoencoder

  init() throws {
    let golden = try Golden("autoencoder-2.2")
    let configuration: VideoAutoencoder.Configuration = try golden.configuration()
    let weights = try WeightSet(inFolder: golden.folder)
    model = try weights.load { VideoAutoencoder($0, configuration: configuration) }
  }
}
