import Foundation
import KinoDiffusion
import KinoTensor
import Testing

@Suite struct SamplerTests {
  struct Stop: Error {}

  /// The error at sigma 0.1 of `count` steps from sigma 0.9, even in the log signal-to-noise ratio.
  func error(_ sampler: any Sampler, steps count: Int) throws -> Double {
    let shape = try LatentShape.small()
    let canvas = try Canvas(
      shape: shape, content: shape.latents(seed: 1), noiseLevel: .uniform(0.9))
    let data = GaussianData()
    let sigmas = (0...count).map { 1 / (1 + pow(9, 2 * Double($0) / Double(count) - 1)) }
    var steps = try sampler.steps(
      on: canvas, noise: canvas.noise(seed: 3), schedule: FlowMatchingSchedule(sigmas: sigmas),
      denoise: data.denoise(canvas))
    let expected = data.moved(steps.latents, from: sigmas[0], to: sigmas[count])
    for _ in 0..<count { _ = try steps.next() }
    return (steps.latents - expected).squared().mean().squareRoot().item()
  }

  @Test func `Euler converges with order one, Heun, UniPC and DPM++ with order two`() throws {
    for (sampler, order) in [
      (EulerSampler(), 1.0), (HeunSampler(), 2.0), (UniPCSampler(), 2.0),
      (DPMPlusPlus2MSampler(), 2.0),
    ] as [(any Sampler, Double)] {
      let errors = try [32, 64, 128].map { try error(sampler, steps: $0) }
      for (coarse, fine) in zip(errors, errors.dropFirst()) {
        let measured = log2(coarse / fine)
        #expect(measured > order - 0.25, "\(sampler): \(errors), order \(measured)")
        if order == 1 { #expect(measured < 1.25, "\(sampler): \(errors), order \(measured)") }
      }
    }
  }

  @Test func `samplers reach the data's distribution from pure noise`() throws {
    let canvas = try Canvas.free(.small())
    let noise = canvas.noise(seed: 3)
    let data = GaussianData()
    for (sampler, bound) in [
      (EulerSampler(), 0.05), (HeunSampler(), 0.005), (UniPCSampler(), 0.005),
      (DPMPlusPlus2MSampler(), 0.01),
    ] as [(any Sampler, Double)] {
      let end = try sampler.sample(
        canvas, noise: noise,
        schedule: FlowMatchingSchedule(stepCount: 20, shift: 1, spacing: .uniPC),
        denoise: { latents, moment in data.velocity(latents, Tensor(moment.sigma)) })
      let error = (end - data.moved(noise, from: 1, to: 0)).squared().mean().squareRoot().item()
      #expect(error < bound, "\(sampler)")
    }
  }

  @Test func `UniPC is more exact than Euler at the same cost`() throws {
    #expect(try error(UniPCSampler(), steps: 12) * 4 < error(EulerSampler(), steps: 12))
  }

  @Test(arguments: samplers.indices)
  func `known tokens end as their content bit for bit, even where the model gives NaN`(
    index: Int
  ) throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let canvas = try Canvas(
      shape: shape, content: content, noiseLevel: .frames([0, 1, 0.5, 0, 1]))
    let known = canvas.sigmas(at: 1).equals(0)
    let data = GaussianData()
    let schedule = try FlowMatchingSchedule(stepCount: 6, shift: 3, spacing: .uniPC)
    var steps = try samplers[index].steps(
      on: canvas, noise: canvas.noise(seed: 2), schedule: schedule
    ) { latents, moment in
      try data.denoise(canvas)(latents, moment)
        .replacing(with: .full(.nan, shape: shape.axes), where: known)
    }
    while let step = try steps.next() {
      for frame in [0, 3] {
        #expect(step.latents.select(1, frame).floats() == content.select(1, frame).floats())
      }
    }
    #expect(steps.latents.select(1, 2).floats() != content.select(1, 2).floats())
  }

  @Test(arguments: samplers.indices, [0.0, 0.02, 0.37, 0.6, 0.9371, 1.0])
  func `a token is sampled as if its level were the whole canvas's`(
    index: Int, level: Double
  ) throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let mixed = try Canvas(
      shape: shape, content: content, noiseLevel: .frames([1, level, 0, 0.5, 0.8]))
    let uniform = try Canvas(shape: shape, content: content, noiseLevel: .uniform(level))
    let schedule = try FlowMatchingSchedule(stepCount: 7, shift: 3, spacing: .uniPC)
    let ends = try [mixed, uniform].map { canvas in
      try samplers[index].sample(
        canvas, noise: canvas.noise(seed: 2), schedule: schedule,
        denoise: GaussianData().denoise(canvas))
    }
    #expect(
      relativeError(ends[0].select(1, 1).floats(), ends[1].select(1, 1).floats()) < 1e-6)
  }

  @Test(arguments: pathSamplers.indices, [0.3, 0.55, 0.9])
  func `a token that enters late follows the schedule cut at its level`(
    index: Int, level: Double
  ) throws {
    let shape = try LatentShape.small()
    let canvas = try Canvas(
      shape: shape, content: shape.latents(seed: 1), noiseLevel: .uniform(level))
    let whole = try FlowMatchingSchedule(stepCount: 10, shift: 3, spacing: .euler)
    let cut = try FlowMatchingSchedule(
      sigmas: [level] + whole.sigmas.filter { $0 < level && $0 > 0 })
    let data = GaussianData()
    let ends = try [whole, cut].map {
      try pathSamplers[index].sample(
        canvas, noise: canvas.noise(seed: 2), schedule: $0,
        denoise: { latents, moment in data.velocity(latents, canvas.sigmas(at: moment.sigma)) })
    }
    #expect(relativeError(ends[0].floats(), ends[1].floats()) < 2e-6)
  }

  @Test(arguments: samplers.indices)
  func `a token that stands still keeps its noised content until it enters`(index: Int) throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let canvas = try Canvas(shape: shape, content: content, noiseLevel: .frames([1, 1, 0.5, 1, 1]))
    let noise = canvas.noise(seed: 2)
    let schedule = try FlowMatchingSchedule(stepCount: 8, shift: 1, spacing: .euler)
    let waiting = (content * 0.5 + noise * 0.5).select(1, 2).floats()
    var steps = try samplers[index].steps(
      on: canvas, noise: noise, schedule: schedule, denoise: GaussianData().denoise(canvas))
    while let step = try steps.next() {
      let frame = step.latents.select(1, 2).floats()
      #expect((frame == waiting) == (step.sigma >= 0.5), "sigma \(step.sigma)")
    }
  }

  @Test(arguments: samplers.indices)
  func `strength 0 gives the content and strength 1 what a free canvas gives`(index: Int) throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let schedule = try FlowMatchingSchedule(stepCount: 5, shift: 3, spacing: .uniPC)
    func end(_ canvas: Canvas) throws -> [Float] {
      try samplers[index].sample(
        canvas, noise: canvas.noise(seed: 2), schedule: schedule,
        denoise: GaussianData().denoise(canvas)
      ).floats()
    }
    #expect(try end(.edited(content, strength: 0)) == content.floats())
    #expect(try end(.edited(content, strength: 1)) == end(.free(shape)))
    let changes = try [0.2, 0.5, 0.9].map { strength in
      try relativeError(end(.edited(content, strength: strength)), content.floats())
    }
    #expect(changes == changes.sorted() && changes[0] > 0)
  }

  @Test func `the seed alone decides the result`() throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 4, shift: 3, spacing: .uniPC)
    let ends = try [7, 7, 8].map { seed in
      try UniPCSampler().sample(
        canvas, noise: canvas.noise(seed: seed), schedule: schedule,
        denoise: GaussianData().denoise(canvas)
      ).floats()
    }
    #expect(ends[0] == ends[1])
    #expect(ends[0] != ends[2])
  }

  @Test(arguments: samplers.indices)
  func `an error ends the call, and the step can be tried again`(index: Int) throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 4, shift: 3, spacing: .uniPC)
    let model = GaussianData().denoise(canvas)
    let noise = canvas.noise(seed: 1)
    let whole = try samplers[index].sample(
      canvas, noise: noise, seed: 1, schedule: schedule, denoise: model)
    for failing in 0..<4 * samplers[index].evaluationsPerStep {
      var calls = 0
      var steps = try samplers[index].steps(on: canvas, noise: noise, seed: 1, schedule: schedule) {
        calls += 1
        if calls == failing + 1 { throw Stop() }
        return try model($0, $1)
      }
      var failures = 0
      while steps.index < steps.count {
        let before = (steps.index, steps.latents.floats())
        do { _ = try steps.next() } catch is Stop {
          failures += 1
          #expect(before == (steps.index, steps.latents.floats()))
        }
      }
      // Heun's last step makes one evaluation.
      #expect(failures == (failing < calls ? 1 : 0))
      #expect(steps.latents.floats() == whole.floats())
    }
  }

  @Test(arguments: samplers.indices)
  func `a sampler evaluates as often as it says, and keeps to its spacing`(index: Int) throws {
    let canvas = try Canvas.free(.small())
    let sampler = samplers[index]
    let schedule = try FlowMatchingSchedule(stepCount: 5, shift: 3, spacing: sampler.spacing)
    var calls: [Int: Int] = [:]
    _ = try sampler.sample(canvas, noise: canvas.noise(seed: 1), schedule: schedule) {
      calls[$1.index, default: 0] += 1
      return try GaussianData().denoise(canvas)($0, $1)
    }
    #expect(calls[0] == 1 && calls.values.reduce(0, +) <= 5 * sampler.evaluationsPerStep)
    #expect(calls.values.reduce(0, +) > 5 * (sampler.evaluationsPerStep - 1))
  }

  @Test func `steps report where they are, and denoised is the clean prediction`() throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let canvas = try Canvas.keeping(start: content.slice(1, 0..<2), in: shape)
    let schedule = try FlowMatchingSchedule(stepCount: 3, shift: 3, spacing: .euler)
    var calls = 0
    var steps = try EulerSampler().steps(
      on: canvas, noise: canvas.noise(seed: 1), schedule: schedule
    ) { latents, moment in
      #expect(moment.index == calls && moment.count == 3)
      #expect(moment.timesteps.values == [0, moment.timestep])
      calls += 1
      return Tensor.ones(shape.axes, dtype: .bfloat16)
    }
    let start = steps.latents
    let first = try #require(try steps.next())
    #expect(first.sigma == schedule.sigmas[1] && !first.isLast)
    #expect(first.latents.dtype == .float32)
    #expect(
      relativeError(
        first.denoised.slice(1, from: 2).floats(), (start - 1).slice(1, from: 2).floats()) < 1e-6)
    #expect(first.denoised.slice(1, 0..<2).floats() == content.slice(1, 0..<2).floats())
    _ = try steps.next()
    let last = try #require(try steps.next())
    #expect(last.isLast && last.sigma == 0)
    #expect(last.latents.floats() == steps.latents.floats())
    #expect(try steps.next() == nil)
    #expect(calls == 3)
  }

  @Test func `a velocity of the wrong shape or with NaN is an error`() throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 2, shift: 3, spacing: .uniPC)
    for (velocity, code) in [
      (Tensor.zeros([3, 5, 4, 5]), DiffusionError.Code.shape),
      (Tensor.full(.nan, shape: canvas.shape.axes), .notFinite),
    ] {
      for sampler in samplers {
        let error = #expect(throws: DiffusionError.self) {
          try sampler.sample(canvas, noise: canvas.noise(seed: 1), schedule: schedule) { _, _ in
            velocity
          }
        }
        #expect(error?.code == code)
      }
    }
    #expect(throws: DiffusionError.self) {
      try EulerSampler().steps(on: canvas, noise: Tensor.zeros([1]), schedule: schedule) { x, _ in x
      }
    }
    #expect(throws: DiffusionError.self) { try UniPCSampler(order: 4) }
  }

  @Test func `a token that enters just before a step's end stays close to its neighbours`() throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let schedule = try FlowMatchingSchedule(stepCount: 10, shift: 3, spacing: .uniPC)
    for sampler in [UniPCSampler(), DPMPlusPlus2MSampler()] as [any Sampler] {
      let ends = try [0, 1e-9, 1e-6, 1e-4].map { above in
        let canvas = try Canvas(
          shape: shape, content: content, noiseLevel: .uniform(schedule.sigmas[5] + above))
        return try sampler.sample(
          canvas, noise: canvas.noise(seed: 2), schedule: schedule,
          denoise: GaussianData().denoise(canvas)
        ).floats()
      }
      for end in ends { #expect(relativeError(end, ends[0]) < 2e-3) }
    }
  }

  @Test func `DPM++ makes the step of the paper, in its own variables`() throws {
    let shape = try LatentShape.small()
    let canvas = try Canvas(
      shape: shape, content: shape.latents(seed: 1), noiseLevel: .uniform(0.9))
    let sigmas = [0.9, 0.6, 0.35, 0.2]
    var run = try DPMPlusPlus2MSampler().steps(
      on: canvas, noise: canvas.noise(seed: 1), schedule: FlowMatchingSchedule(sigmas: sigmas),
      denoise: GaussianData().denoise(canvas))
    func lambda(_ index: Int) -> Double { log((1 - sigmas[index]) / sigmas[index]) }
    let first = try #require(try run.next())
    let second = try #require(try run.next())
    let third = try #require(try run.next())
    // x = s'/s x - a' (exp(-h) - 1) D, with D = (1 + 1 / 2r) D1 - 1 / 2r D0 and r = h0 / h.
    let (before, length) = (lambda(2) - lambda(1), lambda(3) - lambda(2))
    let ratio = before / length
    let mixed = third.denoised * (1 + 1 / (2 * ratio)) - second.denoised * (1 / (2 * ratio))
    let expected = second.latents * (0.2 / 0.35) - mixed * (0.8 * (exp(-length) - 1))
    #expect(relativeError(third.latents.floats(), expected.floats()) < 1e-6)
    #expect(first.denoised.floats() != second.denoised.floats())
    // From sigma 0.2 to 0 it is the clean prediction.
    let last = try #require(try run.next())
    #expect(last.isLast && relativeError(last.latents.floats(), last.denoised.floats()) < 1e-6)
  }
}
