import KinoTensor
import KinoTestSupport
import Testing

/// Results that may take the place of an operand: nobody who still holds it may see that.
@Suite struct ReuseTests {
  private let gain = Tensor.full(3, shape: [8, 1, 1])

  private func numbers(_ shape: [Int] = [1, 8, 4, 4]) -> Tensor {
    var source = RandomSource(seed: 1)
    return source.normal(shape).channelsLast()
  }

  @Test func `Adding in place gives the sum`() {
    withoutGradient {
      var x = numbers()
      x += Tensor.ones([1, 8, 4, 4])
      #expect(x.floats() == (numbers() + 1).floats())
    }
  }

  @Test func `Adding broadcasts and widens as the sum does`() {
    withoutGradient {
      var x = numbers([1, 8, 4, 1])
      x += Tensor.ones([1, 8, 4, 4])
      #expect(x.shape == [1, 8, 4, 4])
      var half = numbers().cast(to: .bfloat16)
      half += Tensor.ones([1, 8, 4, 4])
      #expect(half.dtype == .float32)
    }
  }

  @Test func `Whoever holds a tensor, a view of it or its memory keeps its numbers`() {
    withoutGradient {
      let before = numbers().floats()
      let held = numbers()
      var copy = held
      copy += Tensor.ones(held.shape)
      #expect(held.floats() == before)

      var viewed = numbers()
      let view = viewed.permuted(0, 2, 3, 1)
      viewed += Tensor.ones(held.shape)
      #expect(view.permuted(0, 3, 1, 2).floats() == before)

      var part = held.slice(2, from: 0)
      part += Tensor.ones(held.shape)
      #expect(held.floats() == before)
    }
  }

  @Test func `Normalising what is given away gives the same numbers`() {
    withoutGradient {
      let held = numbers()
      let expected = held.channelNormalized(gain: gain, appliesSiLU: true).floats()
      #expect(held.floats() == numbers().floats())
      let given = numbers()
      #expect(
        (consume given).channelNormalized(gain: gain, appliesSiLU: true).floats() == expected)
      let view = held.permuted(0, 2, 3, 1)
      _ = (consume view).channelNormalized(gain: .ones([4, 1, 1]), appliesSiLU: true)
      #expect(held.floats() == numbers().floats())
    }
  }

  @Test func `What a gradient needs is not overwritten`() throws {
    let x = numbers().requiringGradient()
    var y = x * 2
    let square = y.squared()
    y += Tensor.ones(y.shape)
    (square + y).sum().backward()
    expectClose(try #require(x.gradient), x.detached() * 8 + 2, tolerance: 1e-6)
  }

  @Test func `Large tensors start anew though they lie where others lay`() {
    for value in [1.0, 2, 3] {
      let count = 3 << 20  // 12 MB
      let x = Tensor.full(value, shape: [count])
      let y = Tensor.zeros([count])
      #expect(x.sum().item() == value * Double(count) && y.abs().max().item() == 0)
    }
  }
}
