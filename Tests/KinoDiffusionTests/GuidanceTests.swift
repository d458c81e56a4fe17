import KinoDiffusion
import KinoTensor
import Testing

@Suite struct GuidanceTests {
  let positive = Tensor([1, 2, 4, -3] as [Float])
  let negative = Tensor([0, 1, 5, 1] as [Float])

  @Test(arguments: [0.0, 1, 2.5, 7])
  func `the combination is linear in the scale`(scale: Double) throws {
    let guidance = try ClassifierFreeGuidance(scale: scale)
    let expected = zip(positive.floats(), negative.floats()).map { $1 + Float(scale) * ($0 - $1) }
    #expect(guidance.combine(positive: positive, negative: negative).floats() == expected)
  }

  @Test func `rescaling brings the deviation back`() throws {
    let deviation = { (x: Tensor) in x.variance().squareRoot().item() }
    let ends = try [0, 0.5, 1].map { rescale in
      deviation(
        try ClassifierFreeGuidance(scale: 6, rescale: rescale)
          .combine(positive: positive, negative: negative))
    }
    #expect(abs(ends[2] - deviation(positive)) < 1e-5)
    #expect(abs(ends[1] - (ends[0] + ends[2]) / 2) < 1e-4)
    let zero = Tensor.zeros([4])
    let still = try ClassifierFreeGuidance(scale: 6, rescale: 1).combine(
      positive: zero, negative: zero)
    #expect(still.isFinite().all())
  }

  @Test func `only the branches that count are asked for`() throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 4, shift: 1, spacing: .euler)
    func branches(_ guidance: ClassifierFreeGuidance) throws -> [Int] {
      var counts: [Int] = []
      _ = try EulerSampler().sample(
        canvas, noise: canvas.noise(seed: 1), schedule: schedule,
        denoise: guidance.denoise { latents, _, branches in
          counts.append(branches.count)
          #expect(branches[0] == .positive)
          return branches.map { $0 == .positive ? latents : latents * 0.5 }
        })
      return counts
    }
    #expect(try branches(ClassifierFreeGuidance(scale: 1)) == [1, 1, 1, 1])
    #expect(try branches(ClassifierFreeGuidance(scale: 5)) == [2, 2, 2, 2])
    #expect(try branches(ClassifierFreeGuidance(scale: 5, sigmas: 0.2...0.8)) == [1, 2, 2, 1])
  }

  @Test func `guidance reaches the sampler`() throws {
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(sigmas: [1])
    let noise = canvas.noise(seed: 1)
    let end = try EulerSampler().sample(
      canvas, noise: noise, schedule: schedule,
      denoise: ClassifierFreeGuidance(scale: 3).denoise { latents, _, branches in
        branches.map { .full($0 == .positive ? 2 : 1, shape: latents.shape) }
      })
    #expect(relativeError(end.floats(), (noise - 4).floats()) < 1e-6)
  }

  @Test func `bad scales and a wrong number of velocities are refused`() throws {
    for (scale, rescale) in [
      (-1.0, 0.0), (.nan, 0), (.infinity, 0), (2, -0.1), (2, .nan), (2, 1.5),
    ] {
      #expect(throws: DiffusionError.self) {
        try ClassifierFreeGuidance(scale: scale, rescale: rescale)
      }
    }
    let canvas = try Canvas.free(.small())
    let schedule = try FlowMatchingSchedule(stepCount: 2, shift: 1, spacing: .euler)
    for count in [0, 1, 3] {
      #expect(throws: DiffusionError.self) {
        try EulerSampler().sample(
          canvas, noise: canvas.noise(seed: 1), schedule: schedule,
          denoise: ClassifierFreeGuidance(scale: 3).denoise { latents, _, _ in
            Array(repeating: latents, count: count)
          })
      }
    }
  }
}
