// Only public declarations, of one module: what anyone can write.
import KinoDiffusion
import Testing

/// Takes the mean of this step's velocity and the last one's, plus a little noise.
private struct AveragingSampler: Sampler {
  let spacing = FlowMatchingSchedule.Spacing.trailing

  struct Memory: Sendable {
    var slope: Tensor?
    var stepCount = 0
  }

  func start() -> Memory { Memory() }

  func step(
    _ latents: Tensor, at index: Int, along path: SamplingPath, memory: inout Memory,
    noise: inout StepNoise, velocity: (Tensor, Int) throws -> Tensor
  ) throws -> (latents: Tensor, denoised: Tensor) {
    // Remembered before the velocity is asked for, which may fail.
    memory.stepCount += 1
    let drawn = noise.next()
    let slope = try velocity(latents, index)
    let next = path.combine([latents, slope, memory.slope ?? slope, drawn]) { level in
      let length = path.sigma(index + 1, of: level) - path.sigma(index, of: level)
      return [1, length / 2, length / 2, 0.1 * path.sigma(index + 1, of: level)]
    }
    memory.slope = slope
    let share = Double(memory.stepCount) / Double(path.schedule.stepCount)
    return (next, path.combine([latents]) { _ in [share] })
  }
}

@Suite struct CustomSamplerTests {
  struct Stop: Error {}

  @Test func `A method of one's own remembers, draws and can be tried again`() throws {
    let sampler: any Sampler = AveragingSampler()
    let canvas = try Canvas.free(LatentShape(channels: 2, frames: 3, height: 4, width: 4))
    let schedule = try FlowMatchingSchedule(stepCount: 4, shift: 3, spacing: sampler.spacing)
    let noise = canvas.noise(seed: 5)
    var fails = false
    var steps = try sampler.steps(on: canvas, noise: noise, seed: 5, schedule: schedule) { x, _ in
      if fails { throw Stop() }
      return x * 0.5 + 1
    }
    for index in 0..<4 {
      let latents = steps.latents
      fails = true
      for _ in 0..<2 { #expect(throws: Stop.self) { try steps.next() } }
      fails = false
      let step = try #require(try steps.next())
      // The step count in memory shows in the prediction: failures were not counted.
      #expect(step.denoised.floats() == (latents * (Double(index + 1) / 4)).floats())
    }
    let whole = try sampler.sample(canvas, noise: noise, seed: 5, schedule: schedule) { x, _ in
      x * 0.5 + 1
    }
    #expect(steps.latents.floats() == whole.floats())
    let other = try sampler.sample(canvas, noise: noise, seed: 6, schedule: schedule) { x, _ in
      x * 0.5 + 1
    }
    #expect(other.floats() != whole.floats())
  }

  @Test func `Two runs do not share a memory`() throws {
    let canvas = try Canvas.free(LatentShape(channels: 2, frames: 3, height: 4, width: 4))
    let schedule = try FlowMatchingSchedule(stepCount: 3, shift: 3, spacing: .trailing)
    var first = try AveragingSampler().steps(
      on: canvas, noise: canvas.noise(seed: 5), schedule: schedule
    ) { x, moment in x * moment.sigma }
    _ = try first.next()
    var second = first
    let (one, other) = (try first.next(), try first.next())
    #expect(try second.next()?.latents.floats() == one?.latents.floats())
    #expect(try second.next()?.latents.floats() == other?.latents.floats())
  }
}
