import KinoDiffusion
import KinoTensor
import KinoTestSupport
import Testing

struct LatentStatisticsTests {
  /// Normal latents `[2, 3, 8, 8]` of a mean and a deviation.
  private func latents(_ seed: UInt64, mean: Double = 0, deviation: Double = 1) -> Tensor {
    var source = RandomSource(seed: seed)
    return source.normal([2, 3, 8, 8]) * deviation + mean
  }

  @Test func `The middle and the spread are those of a normal distribution`() {
    let statistics = LatentStatistics(latents(1, mean: 0.5, deviation: 2))
    for channel in 0..<2 {
      #expect(abs(statistics.medians[channel] - 0.5) < 0.4)
      #expect(abs(statistics.spreads[channel] - 2) < 0.4)
    }
  }

  @Test func `A thing that covers a tenth of the picture changes little`() {
    let ground = latents(2)
    let thing = Tensor.zeros([2, 3, 8, 8])
    thing.slice(2, 0..<1).add(inPlace: Tensor.ones([2, 3, 1, 8]) * 20)
    let (alone, both) = (LatentStatistics(ground), LatentStatistics(ground + thing))
    for channel in 0..<2 {
      #expect(abs(both.medians[channel] - alone.medians[channel]) < 0.3)
      #expect(abs(both.spreads[channel] - alone.spreads[channel]) < 0.8)
    }
  }

  @Test func `Latents like the first stay, and others come nearer by the share asked for`() {
    let first = latents(3)
    let reference = LatentStatistics(first)
    expectClose(reference.pulling(first, strength: 0.5), first, tolerance: 1e-6)
    let drifted = first * 1.44 + 0.3
    let half = LatentStatistics(reference.pulling(drifted, strength: 0.5))
    let all = LatentStatistics(reference.pulling(drifted, strength: 1))
    let own = LatentStatistics(drifted)
    for channel in 0..<2 {
      let middle = (own.medians[channel] + reference.medians[channel]) / 2
      #expect(abs(half.medians[channel] - middle) < 1e-5)
      // Grain goes all the way, and is most of the spread of noise.
      let (least, most) = (reference.spreads[channel], reference.spreads[channel] * 1.2)
      #expect((least...most).contains(half.spreads[channel]))
      #expect(abs(all.medians[channel] - reference.medians[channel]) < 1e-5)
      #expect(abs(all.spreads[channel] - reference.spreads[channel]) < 1e-4)
    }
  }

  @Test func `The spread of large forms comes nearer by the share asked for`() {
    var source = RandomSource(seed: 6)
    let forms = source.normal([2, 3, 4, 4]).repeated(8, along: 2).repeated(8, along: 3)
    let reference = LatentStatistics(forms)
    let half = LatentStatistics(reference.pulling(forms * 1.44 + 0.3, strength: 0.5))
    for channel in 0..<2 {
      #expect(abs(half.spreads[channel] - reference.spreads[channel] * 1.2) < 1e-4)
    }
  }

  @Test func `Small detail that grew is brought back, and large forms stay`() {
    var source = RandomSource(seed: 5)
    let forms = source.normal([2, 3, 2, 2]).repeated(8, along: 2).repeated(8, along: 3)
    let grain = source.normal([2, 3, 16, 16]) * 0.1
    let reference = LatentStatistics(forms + grain)
    let pulled = reference.pulling(forms + grain * 1.5, strength: 0.5)
    for (grown, kept) in zip(LatentStatistics(pulled).grains, reference.grains) {
      #expect(abs(grown / kept - 1) < 0.07)
    }
    expectClose(pulled, forms + grain, tolerance: 0.1)
  }

  @Test func `An object that pales is brought back, and the ground stays`() {
    var source = RandomSource(seed: 7)
    let ground = source.normal([2, 3, 4, 4]).repeated(8, along: 2).repeated(8, along: 3)
    func scene(_ strength: Double) -> Tensor {
      let scene = ground.copied()
      let place = scene.slice(2, 8..<16).slice(3, 8..<16)
      place.add(inPlace: Tensor.ones([2, 3, 8, 8]) * strength)
      return scene
    }
    let reference = LatentStatistics(scene(8))
    let (pale, pulled) = (scene(6), reference.pulling(scene(6), strength: 1))
    func middle(_ latents: Tensor) -> Double {
      Double(latents.slice(2, 9..<15).slice(3, 9..<15).mean().item())
    }
    #expect(middle(pulled) > middle(pale) + 1.5 && middle(pulled) < middle(scene(8)) + 0.5)
    // Nor are objects made up that are not there.
    let empty = reference.pulling(ground, strength: 1)
    #expect(LatentStatistics(empty).highTails[0] < 0.7 * reference.highTails[0])
    #expect((pulled - pale).abs().slice(2, 24..<32).max().item() < 1)
  }

  @Test func `A picture one latent high or wide has statistics too`() {
    for shape in [[2, 3, 1, 8], [2, 3, 8, 1], [2, 1, 1, 1]] {
      let statistics = LatentStatistics(.ones(shape))
      #expect(statistics.grains == [0, 0] && statistics.medians == [1, 1])
    }
  }

  @Test func `Latents without any spread are only moved`() {
    let flat = Tensor.ones([2, 3, 8, 8])
    let pulled = LatentStatistics(latents(4)).pulling(flat, strength: 1)
    #expect(pulled.isFinite().all())
    #expect(pulled.max().item() < 1)
  }
}
