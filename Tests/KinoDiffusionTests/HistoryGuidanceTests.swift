import KinoDiffusion
import KinoTensor
import KinoTestSupport
import Testing

@Suite struct HistoryGuidanceTests {
  private func canvas() throws -> Canvas {
    let shape = try LatentShape.small()
    return try Canvas.keeping(start: shape.latents(seed: 1).slice(1, 0..<2), in: shape)
  }

  private func moment(_ canvas: Canvas, sigma: Double) -> SamplingMoment {
    SamplingMoment(
      index: 0, count: 4, sigma: sigma, timestep: sigma * 1000,
      timesteps: canvas.timesteps(atMost: sigma * 1000))
  }

  @Test func `What leads away sees the known frames as noisy as all others`() throws {
    let canvas = try canvas()
    let noise = canvas.noise(seed: 2)
    let forgotten = try #require(HistoryGuidance(scale: 2).forgetting(canvas, noise: noise))
    #expect(forgotten.canvas.tokenLevels.allSatisfy { $0 == 1 })
    let latents = try canvas.noised(to: 0.75, with: noise)
    let view = try #require(forgotten.view(latents, moment(canvas, sigma: 0.75)))
    let content = try #require(canvas.content)
    let known = content.slice(1, 0..<2) * 0.25 + noise.slice(1, 0..<2) * 0.75
    expectClose(view.latents.slice(1, 0..<2), known, tolerance: 1e-6)
    let others = latents.slice(1, from: 2).contiguous().floats()
    #expect(view.latents.slice(1, from: 2).contiguous().floats() == others)
    #expect(view.moment.timesteps.dense.floats().allSatisfy { $0 == 750 })
  }

  @Test func `Tokens that are known with noise keep their level`() throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let levels = (0..<5).map { Float([0, 0.2, 1, 1, 0.2][$0]) }
    let canvas = try Canvas(
      shape: shape, content: content,
      noiseLevel: .patches(
        Tensor(levels, shape: [5, 1, 1]).expanded(to: shape.grid).contiguous()))
    let forgotten = canvas.forgettingKnown
    let perFrame = shape.tokensPerFrame
    #expect((0..<5).map { Float(forgotten.tokenLevels[$0 * perFrame]) } == [1, 0.2, 1, 1, 0.2])
  }

  @Test func `Nothing is asked for where nothing is known, at little noise, or by scale 1`()
    throws
  {
    let (known, shape) = (try canvas(), try LatentShape.small())
    let (noise, free) = (known.noise(seed: 2), try Canvas.free(shape))
    let guidance = try HistoryGuidance(scale: 2)
    #expect(guidance.forgetting(free, noise: noise) == nil)
    #expect(HistoryGuidance.off.forgetting(known, noise: noise) == nil)
    let whole = try Canvas.edited(shape.latents(seed: 1), strength: 0.6)
    #expect(guidance.forgetting(whole, noise: noise) == nil)
    let forgotten = try #require(guidance.forgetting(known, noise: noise))
    #expect(forgotten.view(noise, moment(known, sigma: 0.45)) == nil)
    for scale in [-1, .nan, .infinity] {
      #expect(throws: DiffusionError.self) { try HistoryGuidance(scale: scale) }
    }
  }

  @Test func `The difference between knowing and not knowing is added`() throws {
    let (guided, known, unknown) = (Tensor([1, 2]), Tensor([3, 5]), Tensor([2, 1]))
    let combined = try HistoryGuidance(scale: 3).combine(guided, known: known, unknown: unknown)
    #expect(combined.floats() == [3, 10])
  }
}
