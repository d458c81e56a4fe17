import KinoTensor
import KinoTestSupport
import Synchronization
import Testing

/// One operation with the shapes of its operands, all float64.
struct GradientCase: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let shapes: [[Int]]
  let operation: @Sendable ([Tensor]) -> Tensor

  init(_ name: String, _ shapes: [Int]..., operation: @escaping @Sendable ([Tensor]) -> Tensor) {
    (testDescription, self.shapes, self.operation) = (name, shapes, operation)
  }
}

struct GradientTests {
  private static let elementwise: [GradientCase] = [
    GradientCase("sum with broadcast", [2, 1, 3], [4, 1]) { $0[0] + $0[1] },
    GradientCase("difference", [2, 3], [3]) { $0[0] - $0[1] },
    GradientCase("product", [2, 3], [2, 1]) { $0[0] * $0[1] },
    GradientCase("quotient", [2, 3], [3]) { $0[0] / ($0[1].squared() + 1) },
    GradientCase("number over tensor", [5]) { 2 / ($0[0].squared() + 1) - $0[0] / 3 },
    GradientCase("exp, sin, cos, tanh", [5]) { $0[0].exp() * $0[0].sin() + $0[0].cos().tanh() },
    GradientCase("log, roots", [5]) {
      let x = $0[0].squared() + 0.5
      return x.log() + x.squareRoot() + x.reciprocalSquareRoot() + x.reciprocal()
    },
    GradientCase("sigmoid, silu, softplus", [5]) {
      $0[0].sigmoid() + $0[0].silu() * 2 - $0[0].softplus()
    },
    GradientCase("gelu", [5]) { $0[0].gelu() + $0[0].geluTanh() * 2 },
    GradientCase("abs, relu, power", [5]) { $0[0].abs() + $0[0].relu() * 3 + $0[0].power(3) },
    GradientCase("extremes", [5], [5]) { $0[0].maximum($0[1]) - $0[0].minimum($0[1]) * 2 },
    GradientCase("choice", [5], [5]) {
      $0[0].replacing(with: $0[1], where: $0[0].detached().greater(than: 0)).clamped(to: -9...9)
    },
  ]

  private static let reductions: [GradientCase] = [
    GradientCase("sum and mean", [2, 3, 2]) { $0[0].sum(along: 1) * $0[0].mean(along: 0, 2).sum() },
    GradientCase("variance", [3, 4]) { $0[0].variance(along: 1) + $0[0].variance() },
    GradientCase("max and min", [3, 4]) { $0[0].max(along: 1) + $0[0].min(along: -1) * 2 },
    GradientCase("softmax", [3, 4]) { $0[0].softmax(along: 1) },
    GradientCase("cumulative sum", [3, 4]) { $0[0].cumulativeSum(along: 0) },
  ]

  private static let shapes: [GradientCase] = [
    GradientCase("reorder", [2, 3, 4]) {
      $0[0].permuted(2, 0, 1).reshaped(to: 4, 6).transposed(0, 1).flipped(along: 0)
    },
    GradientCase("slice and select", [4, 5]) {
      $0[0].slice(1, 0..<5, step: 2).select(0, 2) * $0[0].chunked(2, along: 0)[1].sum()
    },
    GradientCase("join", [2, 3], [2, 3]) {
      concatenate($0, along: 1).sum(along: 1) * stack($0).mean(along: 0, 2).sum()
    },
    GradientCase("gather and repeat", [3, 2]) {
      $0[0].gathered(Tensor([Int64(2), 2, 0]), along: 0).repeated(2, along: 1)
    },
    GradientCase("pad", [1, 2, 4]) {
      let modes: [Tensor.PadMode] = [.constant, .reflect, .replicate]
      return concatenate(modes.map { [x = $0[0]] in x.padded([(2, 1)], mode: $0) }, along: 1)
    },
    GradientCase("expand", [1, 3]) { $0[0].expanded(to: 4, -1) },
    GradientCase("resize", [1, 2, 4, 4]) {
      $0[0].areaResized(height: 2, width: 2).upsampledNearest(to: [4, 4]) * $0[0]
    },
  ]

  private static let networks: [GradientCase] = [
    GradientCase("matmul", [2, 3, 4], [4, 2]) { $0[0].matmul($0[1]) },
    GradientCase("linear", [2, 3], [4, 3], [4]) { $0[0].linear(weight: $0[1], bias: $0[2]) },
    GradientCase("convolution of pictures", [2, 2, 5, 4], [3, 2, 3, 3], [3]) {
      $0[0].convolved(weight: $0[1], bias: $0[2], stride: [2, 1], padding: [1, 0])
    },
    GradientCase("convolution of clips", [1, 2, 3, 4, 3], [2, 2, 2, 3, 1], [2]) {
      $0[0].channelsLast()
        .convolved(weight: $0[1], bias: $0[2], stride: [1, 2, 1], padding: [1, 1, 0])
    },
    GradientCase("layer norm", [3, 4], [4], [4]) {
      $0[0].layerNormalized(weight: $0[1], bias: $0[2], epsilon: 1e-5)
    },
    GradientCase("RMS norm", [3, 4], [4]) { $0[0].rmsNormalized(weight: $0[1], epsilon: 1e-5) },
    GradientCase("unit norm", [3, 4]) { $0[0].unitNormalized(along: 1) },
    GradientCase("channel norm", [2, 4, 2, 3], [4, 1, 1]) {
      $0[0].channelNormalized(gain: $0[1], appliesSiLU: true)
    },
    GradientCase("embedding", [4, 3]) { $0[0].embedded(Tensor([Int64(3), 1, 3])) },
    GradientCase("attention", [1, 2, 3, 4], [1, 2, 5, 4], [1, 2, 5, 4], [1, 1, 3, 5]) {
      scaledDotProductAttention(
        queries: $0[0], keys: $0[1], values: $0[2], bias: $0[3], scale: 0.7)
    },
  ]

  @Test(arguments: elementwise + reductions + shapes + networks)
  func `Gradients agree with finite differences`(example: GradientCase) {
    var source = RandomSource(seed: 11)
    let inputs = example.shapes.map { source.normal($0).cast(to: .float64).requiringGradient() }
    let weights = source.normal(example.operation(inputs).shape).cast(to: .float64)
    func loss(_ inputs: [Tensor]) -> Tensor { (example.operation(inputs) * weights).sum() }
    loss(inputs).backward()
    let step = 1e-6
    for (position, input) in inputs.enumerated() {
      let values = input.scalars(Double.self)
      let slopes = values.indices.map { index in
        let sides = [step, -step].map { change in
          var moved = values
          moved[index] += change
          var operands = inputs.map { $0.detached() }
          operands[position] = Tensor(moved, shape: input.shape)
          return loss(operands).item()
        }
        return (sides[0] - sides[1]) / (2 * step)
      }
      guard let gradient = input.gradient else {
        Issue.record("operand \(position) has no gradient")
        continue
      }
      expectClose(
        gradient, Tensor(slopes, shape: input.shape), tolerance: 1e-6, "operand \(position)")
    }
  }

  @Test func `Gradients add up until they are cleared`() {
    let x = Tensor([Float(3)]).requiringGradient()
    x.squared().sum().backward()
    x.squared().sum().backward()
    #expect(x.gradient?.item() == 12)
    x.clearGradient()
    #expect(x.gradient == nil)
  }

  @Test func `A seed gradient weighs the outputs`() {
    let x = Tensor([Float(1), 2]).requiringGradient()
    x.squared().backward(Tensor([Float(1), 10]))
    #expect(x.gradient?.floats() == [2, 40])
  }

  @Test func `A leaf shares its storage and a detached tensor passes no gradient`() {
    let value = Tensor([Float(1)])
    let leaf = value.requiringGradient()
    #expect(leaf.requiresGradient && !value.requiresGradient && !leaf.detached().requiresGradient)
    leaf.assign(inPlace: Tensor([Float(7)]))
    #expect(value.item() == 7)
    (leaf.detached() * 2 + leaf).sum().backward()
    #expect(leaf.gradient?.item() == 1)
  }

  @Test func `Nothing is recorded without gradient, on this thread alone`() async throws {
    let x = Tensor([Float(3)]).requiringGradient()
    let y = withoutGradient { x * 2 }
    #expect(!y.requiresGradient && (x * 2).requiresGradient)
    struct Fault: Error {}
    #expect(throws: Fault.self) { try withoutGradient { throw Fault() } }
    #expect((x * 2).requiresGradient)
    let nested = withoutGradient {
      withoutGradient { x * 2 }.requiresGradient || (x * 2).requiresGradient
    }
    #expect(!nested)
  }

  @Test func `In-place arithmetic is not recorded`() {
    let x = Tensor([Float(3)]).requiringGradient()
    x.add(inPlace: Tensor([Float(1)]), scale: 2)
    x.scale(inPlace: 10)
    #expect(x.item() == 50 && x.requiresGradient)
    x.squared().sum().backward()
    #expect(x.gradient?.item() == 100)
  }
}

struct RecomputedTests {
  @Test func `Work done again has the gradients of work kept`() {
    var source = RandomSource(seed: 2)
    let (x, weight) = (source.normal([4, 6]), source.normal([6, 6]).requiringGradient())
    func gradients(_ body: (Tensor, Tensor) -> Tensor) -> [Tensor?] {
      weight.clearGradient()
      let (first, second) = (x.requiringGradient(), (x * 2).requiringGradient())
      (body(first, second) * first).sum().backward()
      return [first, second, weight].map { $0.gradient?.copied() }
    }
    let kept = gradients { ($0.matmul(weight) * $1).silu() }
    let again = gradients { a, b in
      recomputed([a, b]) { [weight] in ($0[0].matmul(weight) * $0[1]).silu() }
    }
    for (expected, found) in zip(kept, again) {
      #expect(expected != nil && found != nil)
      if let expected, let found { expectClose(found, expected, tolerance: 1e-6) }
    }
  }

  @Test func `Work that fails is an error, not a crash`() {
    let x = Tensor.ones([2, 3]).requiringGradient()
    #expect(throws: TensorError.self) {
      try withTensorErrors { _ = recomputed([x]) { $0[0].matmul($0[0]) } }
    }
  }

  @Test func `Without a gradient to follow, the work is done once`() {
    let runs = Mutex(0)
    let y = withoutGradient {
      recomputed([Tensor.ones([3]).requiringGradient()]) { inputs in
        runs.withLock { $0 += 1 }
        return inputs[0] * 2
      }
    }
    #expect(y.floats() == [2, 2, 2] && !y.requiresGradient)
    #expect(runs.withLock { $0 } == 1)
  }
}
