import Foundation
import KinoDiffusion
import KinoTensor
import Testing

/// Samplers that add noise of their own.
@Suite struct NoisySamplerTests {
  static let samplers: [any Sampler] = [EulerAncestralSampler(), LCMSampler()]

  /// The mean and the deviation of all values.
  func moments(_ values: Tensor) -> (mean: Double, deviation: Double) {
    let mean: Double = values.mean().item()
    return (mean, (values - mean).squared().mean().squareRoot().item())
  }

  @Test(arguments: samplers.indices)
  func `Where the clean latents are known, every step ends with its sigma's noise`(
    index: Int
  ) throws {
    let shape = try LatentShape(channels: 8, frames: 6, height: 32, width: 32)
    let canvas = try Canvas.free(shape)
    let clean = shape.latents(seed: 1)
    var steps = try Self.samplers[index].steps(
      on: canvas, noise: canvas.noise(seed: 2), seed: 2,
      schedule: FlowMatchingSchedule(stepCount: 6, shift: 3, spacing: .trailing)
    ) { latents, moment in (latents - clean) / moment.sigma }
    var before: Tensor?
    while let step = try steps.next() {
      if step.isLast {
        #expect(relativeError(step.latents.floats(), clean.floats()) < 1e-5)
        break
      }
      let noise = (step.latents - clean * (1 - step.sigma)) / step.sigma
      let (mean, deviation) = moments(noise)
      // 49152 values: the bounds are four of their deviations.
      #expect(abs(mean) < 0.018 && abs(deviation - 1) < 0.013, "sigma \(step.sigma)")
      // LCM forgets all noise; the ancestral step, some.
      let share: Double? = before.map { ($0 * noise).mean().item() }
      if let share {
        #expect(index == 1 ? abs(share) < 0.018 : (0.1...0.9).contains(share), "\(share)")
      }
      before = noise
    }
  }

  @Test func `Ancestral steps reach the data's deviation with order one`() throws {
    let shape = try LatentShape(channels: 16, frames: 8, height: 32, width: 32)
    let canvas = try Canvas.free(shape)
    let data = GaussianData()
    let errors = try [8, 16, 32].map { count in
      let end = try EulerAncestralSampler().sample(
        canvas, noise: canvas.noise(seed: 3), seed: 3,
        schedule: FlowMatchingSchedule(stepCount: count, shift: 1, spacing: .trailing)
      ) { latents, moment in data.velocity(latents, Tensor(moment.sigma)) }
      let (mean, deviation) = moments(end)
      #expect(abs(mean - data.mean) < 0.005)
      return abs(deviation - data.deviation)
    }
    for (coarse, fine) in zip(errors, errors.dropFirst()) {
      #expect((1.5...3).contains(coarse / fine), "\(errors)")
    }
  }

  @Test func `An eta of 0 is Euler's method, and half adds less noise than all`() throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 6, shift: 3, spacing: .trailing)
    func end(_ sampler: any Sampler) throws -> Tensor {
      try sampler.sample(
        canvas, noise: canvas.noise(seed: 3), seed: 3, schedule: schedule,
        denoise: GaussianData().denoise(canvas))
    }
    let euler = try end(EulerSampler())
    #expect(relativeError(try end(EulerAncestralSampler(eta: 0)).floats(), euler.floats()) < 2e-6)
    let distances = try [0.5, 1].map { eta -> Double in
      (try end(EulerAncestralSampler(eta: eta)) - euler).squared().mean().item()
    }
    #expect(0 < distances[0] && distances[0] < distances[1])
    for eta in [-0.1, 1.1, .nan] {
      #expect(throws: DiffusionError.self) { try EulerAncestralSampler(eta: eta) }
    }
  }

  @Test(arguments: samplers.indices)
  func `A window of a clip draws the noise that the whole clip draws`(index: Int) throws {
    let (whole, part) = (try LatentShape.small(frames: 9), try LatentShape.small(frames: 5))
    let schedule = try FlowMatchingSchedule(stepCount: 4, shift: 3, spacing: .trailing)
    let ends = try [(whole, 0), (part, 4)].map { shape, first in
      let canvas = try Canvas.free(shape)
      return try Self.samplers[index].sample(
        canvas, noise: canvas.noise(seed: 2, firstFrame: first), seed: 2, firstFrame: first,
        schedule: schedule, denoise: GaussianData().denoise(canvas))
    }
    #expect(ends[0].slice(1, 4..<9).floats() == ends[1].floats())
  }

  @Test func `Seeds, steps, draws and frames all have noise of their own`() throws {
    let shape = try LatentShape.small(frames: 2)
    var drawn: Set<[Float]> = []
    for seed: UInt64 in [1, 2] {
      let canvas = try Canvas.free(shape).noise(seed: seed)
      for frame in 0..<2 { drawn.insert(canvas.select(1, frame).floats()) }
      for step in 0..<3 {
        var noise = StepNoise(for: shape, seed: seed, step: step)
        for _ in 0..<2 {
          let values = noise.next()
          for frame in 0..<2 { drawn.insert(values.select(1, frame).floats()) }
        }
      }
    }
    #expect(drawn.count == 2 * (2 + 3 * 2 * 2))
    var (one, again) = (
      StepNoise(for: shape, seed: 1, step: 5), StepNoise(for: shape, seed: 1, step: 5)
    )
    #expect(one.next().floats() == again.next().floats())
  }
}
