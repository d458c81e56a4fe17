import Foundation
import KinoDiffusion
import KinoModels
import KinoSystem
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

/// The path from any canvas to latents, which every verb shares.
@Suite struct CanvasPathTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  /// Fills in a canvas whose ends may be known.
  private func latents(
    _ studio: Studio, _ canvas: Canvas, prompts: [String], known: (start: Int, end: Int) = (0, 0)
  ) async throws -> Tensor {
    let resolved = try request().validated(for: studio.model)
    let windows = try studio.model.windows(
      latentFrames: canvas.shape.frames, knownAtStart: known.start, atEnd: known.end)
    let job = CanvasJob(
      canvas: canvas, prompts: prompts, negativePrompt: "", sampling: resolved.sampling,
      windows: windows, framesPerSecond: 8, windowCount: windows.windows.count)
    let plan = try Plan(resolved, model: studio.model, keepsFrames: true)
    return try await studio.actor.sampled(job, Pace(work: resolved, plan: plan))
  }

  @Test func `Known latents come out bit for bit, also across windows`() async throws {
    let studio = try await folder.studio()
    let shape = try LatentShape(channels: 16, frames: 9, height: 4, width: 4)
    var random = RandomSource(seed: 3)
    let (start, end) = (random.normal([16, 2, 4, 4]), random.normal([16, 1, 4, 4]))
    let canvas = try Canvas.keeping(start: start, end: end, in: shape)
    let latents = try await latents(
      studio, canvas, prompts: ["a red ball"], known: (start: 2, end: 1))
    #expect(latents.shape == shape.axes)
    #expect(latents.slice(1, 0..<2).floats() == start.floats())
    #expect(latents.slice(1, 8..<9).floats() == end.floats())
  }

  @Test
  func `Windows are held together where they show one thing and nothing tells them otherwise`()
    async throws
  {
    let studio = try await folder.studio()
    let sampling = try request().validated(for: studio.model).sampling
    let shape = try LatentShape(channels: 16, frames: 9, height: 4, width: 4)
    var random = RandomSource(seed: 3)
    let frame = random.normal([16, 1, 4, 4])
    let whole = random.normal(shape.axes)
    func isHeld(_ canvas: Canvas, _ start: Int = 0, _ end: Int = 0) throws -> Bool {
      let windows = try studio.model.windows(
        latentFrames: 9, knownAtStart: start, atEnd: end)
      return CanvasJob(
        canvas: canvas, prompts: ["a", "b"], negativePrompt: "", sampling: sampling,
        windows: windows, framesPerSecond: 8, windowCount: windows.windows.count
      ).isHeldTogether
    }
    let twoPrompts = [
      PromptStretch(frames: 0..<4, prompt: 0), PromptStretch(frames: 4..<9, prompt: 1),
    ]
    #expect(try isHeld(.free(shape)))
    #expect(try isHeld(.keeping(start: frame, in: shape), 1))
    #expect(try isHeld(.keeping(end: frame, in: shape), 0, 1))
    #expect(try !isHeld(.keeping(start: frame, end: frame, in: shape), 1, 1))
    #expect(try !isHeld(Canvas(shape: shape, prompts: twoPrompts)))
    #expect(try !isHeld(.edited(whole, strength: 0.6, patch: shape.patch)))
  }

  @Test func `Each stretch of time follows its own prompt`() async throws {
    let studio = try await folder.studio()
    let shape = try LatentShape(channels: 16, frames: 4, height: 4, width: 4)
    let whole = try Canvas.free(shape)
    let halves = try Canvas(
      shape: shape,
      prompts: [PromptStretch(frames: 0..<2, prompt: 0), PromptStretch(frames: 2..<4, prompt: 1)])
    let prompts = ["a red ball", "seven green cones at night"]
    let one = try await latents(studio, whole, prompts: prompts)
    let two = try await latents(studio, halves, prompts: prompts)
    let same = try await latents(studio, halves, prompts: [prompts[0], prompts[0]])
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
      free, noise: noise, schedule: schedule, denoise: denoiser.denoise(free, noise: noise))
    expectClose(text, pipeline["text.result"].squeezing(0), tolerance: 1e-4)

    let autoencoder = try AutoencoderParts().model
    let picture = (pipeline["image.picture"] * 2 - 1).expandingDimension(at: 2)
    let first = autoencoder.normalized(autoencoder.encode(picture).mean).squeezing(0)
    let animated = try Canvas.keeping(start: first, in: LatentShape(of: noise))
    let image = try UniPCSampler().sample(
      animated, noise: noise, schedule: schedule, denoise: denoiser.denoise(animated, noise: noise))
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

extension ModelActor {
  fileprivate func sampled(_ job: CanvasJob, _ pace: Pace) throws -> Tensor {
    var pace = pace
    let pipeline = try model.family.load(job.sampling.precision, on: device)
    let recipe = Recipe(try request().validated(for: model), model: model, hash: "")
    return try Sampling(
      model: model, pipeline: pipeline, job: job, device: device,
      rescued: try RescuedLatents(.memory, recipe: recipe, resumes: false), report: { _ in }
    ).timed(&pace)
  }
}

private actor ThreadTeller {
  private let executor = DedicatedThread(name: "test")
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
