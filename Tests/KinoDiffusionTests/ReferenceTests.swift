import KinoDiffusion
import KinoTensor
import Testing

@Suite struct ReferenceTests {
  let goldens: Goldens

  init() throws { goldens = try Goldens() }

  static let cases = ["euler", "unipc1", "unipc2", "unipc3"].flatMap { solver in
    [1, 3, 5].flatMap { shift in [4, 10, 20].map { (solver, shift, $0) } }
  }

  @Test(arguments: cases)
  func `sigmas, timesteps and paths are those of the reference`(
    solver: String, shift: Int, steps: Int
  ) throws {
    let key = "\(solver).shift\(shift).steps\(steps)"
    let schedule = try FlowMatchingSchedule(
      stepCount: steps, shift: Double(shift), spacing: solver == "euler" ? .euler : .uniPC)
    #expect(relativeError(schedule.sigmas.map(Float.init), goldens["\(key).sigmas"]) < 1e-7)
    #expect(relativeError(schedule.timesteps.map(Float.init), goldens["\(key).timesteps"]) < 1e-7)

    let sampler: any Sampler =
      solver == "euler" ? EulerSampler() : try UniPCSampler(order: Int(solver.suffix(1)) ?? 0)
    let (slope, drift) = (Tensor(goldens["toy.slope"]), Tensor(goldens["toy.drift"]))
    let shape = try LatentShape(
      channels: 1, frames: 1, height: 1, width: 6, patch: .init(height: 1, width: 1))
    let states = goldens["\(key).states"]
    var run = try sampler.steps(
      on: .free(shape), noise: Tensor(goldens["toy.start"], shape: shape.axes), schedule: schedule
    ) { latents, moment in latents * slope + drift * (moment.timestep / 1000) }
    while let step = try run.next() {
      let expected = Array(states[(step.index + 1) * 6..<(step.index + 2) * 6])
      #expect(relativeError(step.latents.floats(), expected) < 1e-5, "step \(step.index)")
    }
    #expect(run.index == steps)
  }

  @Test(arguments: [1, 3, 5], [4, 10, 20])
  func `DPM++ 2M goes the way of the reference along its sigmas`(shift: Int, steps: Int) throws {
    let key = "dpm2m.shift\(shift).steps\(steps)"
    let sigmas = goldens["\(key).sigmas"].dropLast().map(Double.init)
    let timesteps = goldens["\(key).timesteps"].map(Double.init)
    let (slope, drift) = (Tensor(goldens["toy.slope"]), Tensor(goldens["toy.drift"]))
    let shape = try LatentShape(
      channels: 1, frames: 1, height: 1, width: 6, patch: .init(height: 1, width: 1))
    let states = goldens["\(key).states"]
    // The reference starts from its noise as it is, though its first sigma is below 1.
    let start = Tensor(goldens["toy.start"], shape: shape.axes) / sigmas[0]
    var run = try DPMPlusPlus2MSampler().steps(
      on: .free(shape), noise: start, schedule: FlowMatchingSchedule(sigmas: sigmas)
    ) { latents, moment in latents * slope + drift * (timesteps[moment.index] / 1000) }
    while let step = try run.next() {
      let expected = Array(states[(step.index + 1) * 6..<(step.index + 2) * 6])
      #expect(relativeError(step.latents.floats(), expected) < 1e-5, "step \(step.index)")
    }
    #expect(run.index == steps)
  }
}
