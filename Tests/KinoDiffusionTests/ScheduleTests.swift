import Foundation
import KinoDiffusion
import KinoTensor
import Testing

@Suite struct ScheduleTests {
  @Test(arguments: [FlowMatchingSchedule.Spacing.euler, .uniPC, .trailing], [1, 2, 50, 1000])
  func `sigmas fall from 1 to 0`(spacing: FlowMatchingSchedule.Spacing, count: Int) throws {
    let schedule = try FlowMatchingSchedule(stepCount: count, shift: 5, spacing: spacing)
    #expect(schedule.stepCount == count && schedule.sigmas.count == count + 1)
    #expect(schedule.initialSigma == 1 && schedule.sigmas.last == 0)
    #expect(zip(schedule.sigmas, schedule.sigmas.dropFirst()).allSatisfy { $0 > $1 })
    #expect(schedule.timesteps.allSatisfy { (0...1000).contains($0) })
  }

  @Test func `trailing steps lie where models distilled to four steps were trained`() throws {
    let even = try FlowMatchingSchedule(stepCount: 4, shift: 1, spacing: .trailing)
    #expect(even.timesteps == [1000, 750, 500, 250])
    let shifted = try FlowMatchingSchedule(stepCount: 4, shift: 5, spacing: .trailing)
    #expect(shifted.timesteps.map { $0.rounded() } == [1000, 938, 833, 625])
  }

  @Test func `bad step counts, shifts and sigmas are refused`() {
    for (count, shift) in [
      (0, 3.0), (-1, 3), (1001, 3), (Int.max, 3), (4, 0), (4, -1), (4, .nan), (4, .infinity),
      (100, 1e12),
    ] {
      for spacing in [FlowMatchingSchedule.Spacing.euler, .uniPC, .trailing] {
        #expect(throws: DiffusionError.self, "\(count) \(shift)") {
          try FlowMatchingSchedule(stepCount: count, shift: shift, spacing: spacing)
        }
      }
    }
    for sigmas in [[], [0], [0.5, 0.5], [0.5, 0.7], [1.1], [.nan], [1, .nan], [1, 0]] {
      #expect(throws: DiffusionError.self) { try FlowMatchingSchedule(sigmas: sigmas) }
    }
  }

  @Test func `a first sigma below 1 starts from noised content`() throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let canvas = try Canvas(shape: shape, content: content)
    let noise = canvas.noise(seed: 2)
    let steps = try EulerSampler().steps(
      on: canvas, noise: noise, schedule: FlowMatchingSchedule(sigmas: [0.25, 0.1])
    ) { x, _ in x }
    #expect(relativeError(steps.latents.floats(), (content * 0.75 + noise * 0.25).floats()) < 1e-6)
  }

  @Test func `the shift grows with the square root of the tokens, within its range`() throws {
    let shift = try ResolutionShift(base: 3, baseTokens: 1000, range: 1...6)
    #expect(shift.shift(tokens: 1000) == 3)
    #expect(abs(shift.shift(tokens: 2000) - 3 * 2.0.squareRoot()) < 1e-12)
    let shifts = [0, 1, 50, 500, 1000, 3000, 4000, 1_000_000, Int.max].map {
      shift.shift(tokens: $0)
    }
    #expect(shifts == shifts.sorted())
    #expect(shifts.first == 1 && shifts.last == 6)
    for (base, tokens) in [(0.0, 1), (.nan, 1), (1, 0), (.infinity, 1), (1, -4)] {
      #expect(throws: DiffusionError.self) { try ResolutionShift(base: base, baseTokens: tokens) }
    }
  }

  @Test func `training sigmas are logit-normal, then shifted`() throws {
    let count = 40_000
    let sampling = try TrainingSigmas(density: .logitNormal(mean: -0.4, deviation: 1.3))
    var random = RandomSource(seed: 9)
    let sigmas = sampling.draw(count, shift: 1, from: &random)
    #expect(sigmas.allSatisfy { $0 > 0 && $0 < 1 })
    let logits = sigmas.map { log($0 / (1 - $0)) }
    let mean = logits.reduce(0, +) / Double(count)
    let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    #expect(abs(mean + 0.4) < 0.03)
    #expect(abs(variance.squareRoot() - 1.3) < 0.03)
    #expect(random.drawCount == 1)

    var again = RandomSource(seed: 9)
    let shifted = sampling.draw(count, shift: 3, from: &again)
    #expect(
      zip(sigmas, shifted).allSatisfy { abs(FlowMatchingSchedule.shift($0, by: 3) - $1) < 1e-12 })
    var uniform = RandomSource(seed: 9)
    let flat = try TrainingSigmas(density: .uniform).draw(count, shift: 1, from: &uniform)
    #expect(abs(flat.reduce(0, +) / Double(count) - 0.5) < 0.01)
  }

  @Test func `the loss weight is the caller's, and bad densities are refused`() throws {
    #expect(try TrainingSigmas().lossWeight(0.3) == 1)
    #expect(try TrainingSigmas(lossWeight: { 1 - $0 }).lossWeight(0.25) == 0.75)
    for (mean, deviation) in [(Double.nan, 1.0), (0, 0), (0, -1), (0, .nan), (.infinity, 1)] {
      #expect(throws: DiffusionError.self) {
        try TrainingSigmas(density: .logitNormal(mean: mean, deviation: deviation))
      }
    }
  }
}
