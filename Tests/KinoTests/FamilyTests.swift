import Foundation
import KinoDiffusion
import KinoTensor
import KinoTestSupport
import Testing

@testable import Kino

/// Kino with models that are not Wan's, and methods that are not Kino's: what a new family or sampler needs.
@Suite struct FamilyTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try ToyFamily.write(to: folder["toy"])
  }

  private func studio() throws -> Studio {
    try Studio(Model(at: folder["toy"], families: [WanFamily.self, ToyFamily.self]))
  }

  private func settings(steps: Int? = nil) -> SamplingSettings {
    SamplingSettings(seed: 3, stepCount: steps)
  }

  private func isRed(_ frame: Frame) -> Bool {
    (0..<frame.width).allSatisfy { x in
      (0..<frame.height).allSatisfy { y in
        let color = frame[x: x, y: y]
        return color.red > 200 && color.green < 60 && color.blue < 60
      }
    }
  }

  @Test func `A family of one's own makes clips and pictures from words`() async throws {
    let studio = try studio()
    let clip = try #require(await studio.clip(.generate("a red thing"), settings()))
    #expect(clip.frameCount == 7 && clip.size == FrameSize(32, 24) && clip.framesPerSecond == 10)
    #expect(clip.frames.allSatisfy(isRed))
    let picture = try #require(await studio.clip(.image("red"), settings(steps: 3)))
    #expect(picture.frameCount == 1 && isRed(picture[0]))
    // In several windows, at a size of one's own.
    let long = Composition.generate("red", size: FrameSize(64, 40), seconds: 3)
    let plan = try await studio.plan(long, settings())
    #expect(plan.windowCount > 3 && plan.weightBytes == 0 && plan.peakBytes > 0)
    let made = try #require(await studio.clip(long, settings()))
    #expect(made.frameCount == 30 && made.frames.allSatisfy(isRed))
  }

  @Test func `A family of one's own does every verb`() async throws {
    let studio = try studio()
    let gray = Clip(
      frames: (0..<6).map {
        Frame(width: 32, height: 24, color: Color(red: 90, green: UInt8(90 + 2 * $0), blue: 90))
      }, framesPerSecond: 10)
    let path = folder["a.mp4"].path
    try gray.write(to: path)
    let source = try Clip.read(path)
    let extended = try #require(await studio.clip(.extend(path, by: 1, .after, "red"), settings()))
    #expect(extended.frameCount == 16 && extended[0..<6] == source && isRed(extended[15]))
    let before = try #require(await studio.clip(.extend(path, by: 1, .before, "red"), settings()))
    #expect(before[10...] == source && isRed(before[0]))
    let looped = try #require(await studio.clip(.loop(path, by: 1, "red"), settings()))
    #expect(looped.frameCount == 16 && isRed(looped[10]))
    let joined = try #require(await studio.clip(.connect(path, path, by: 1, "red"), settings()))
    #expect(joined.frameCount == 22 && isRed(joined[10]))
    let edited = try #require(await studio.clip(.edit(path, "red", strength: 1), settings()))
    #expect(edited.frameCount == 6 && edited.frames.allSatisfy(isRed))
    try source[0].write(to: folder["a.png"].path)
    let animated = try #require(
      await studio.clip(.animate(folder["a.png"].path, "red", seconds: 1), settings()))
    #expect(animated.frameCount == 10 && animated[0] == source[0] && isRed(animated[9]))
  }

  @Test func `A folder of no family is refused with those that there are`() throws {
    let error = #expect(throws: StudioError.self) { try Model(at: folder["toy"]) }
    #expect(error?.code == .invalidModel)
    #expect(error?.details.contains("ToyPipeline") == true)
    #expect(error?.details.contains("Wan") == true)
    #expect(throws: StudioError.self) { _ = try studio().model.wan() }
    // A profile that does not fit the family's latents.
    try ToyFamily.write(
      to: folder["other"], profile: #"{"preview": {"weights": [[1, 1, 1]], "bias": [0, 0, 0]}}"#)
    let other = #expect(throws: StudioError.self) {
      try Model(at: folder["other"], families: [ToyFamily.self])
    }
    #expect(other?.details.contains("3") == true)
  }

  @Test func `A sampler of one's own makes a clip of any family`() throws {
    let tiny = try TinyFolder()
    let models = try [
      Model(at: folder["toy"], families: [ToyFamily.self]), Model(at: tiny.model),
    ]
    for model in models {
      let pipeline = try model.family.load(.f32, on: .cpu)
      let canvas = try Canvas.free(model.latentShape(size: FrameSize(64, 32), frameCount: 5))
      let denoiser = try pipeline.denoiser(
        DenoiserRequest(["red"], guidance: ClassifierFreeGuidance(scale: 1)))
      let sampler = StraightSampler()
      let noise = canvas.noise(seed: 1)
      let latents = try withoutGradient {
        try sampler.sample(
          canvas, noise: noise,
          schedule: FlowMatchingSchedule(stepCount: 4, shift: 1, spacing: sampler.spacing),
          denoise: denoiser.denoise(canvas, noise: noise))
      }
      let pixels = withoutGradient { pipeline.decoding()(latents) }
      #expect(pixels.shape == [1, 3, 5, 32, 64] && pixels.floats().allSatisfy(\.isFinite))
      let frame = Frame(
        width: 64, height: 32, pixels: pixels.squeezing(0).slice(1, 0..<1).pixelBytes)
      if model.family is ToyFamily { #expect(isRed(frame)) }
    }
  }
}

/// Goes to the clean latents that are predicted, and back to the next step's noise by the same line.
private struct StraightSampler: Sampler {
  let spacing = FlowMatchingSchedule.Spacing.trailing

  func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Void,
    noise: inout StepNoise, velocity: (Tensor, Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    let slope = try velocity(latents, index)
    let clean = path.combine([latents, slope]) { [1, -path.sigma(index, of: $0)] }
    return (path.combine([clean, slope]) { [1, path.sigma(index + 1, of: $0)] }, clean)
  }
}
