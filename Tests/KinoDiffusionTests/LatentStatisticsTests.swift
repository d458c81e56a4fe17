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
      #expect(abs(half.spreads[channel] - reference.spreads[channel] * 1.2) < 1e-4)
      #expect(abs(all.medians[channel] - reference.medians[channel]) < 1e-5)
      #expect(abs(all.spreads[channel] - reference.spreads[channel]) < 1e-4)
    }
  }

  @Test func `Latents without any spread are only moved`() {
    let flat = Tensor.ones([2, 3, 8, 8])
    let pulled = LatentStatistics(latents(4)).pulling(flat, strength: 1)
    #expect(pulled.isFinite().all())
    #expect(pulled.max().item() < 1)
  }
}
