import KinoTensor
import KinoTestSupport
import Testing

struct OptimizerTests {
  /// A parameter whose gradient is `gradient`.
  private func parameter(_ values: [Float], gradient: [Float]) -> Tensor {
    let leaf = Tensor(values).requiringGradient()
    leaf.backward(Tensor(gradient))
    return leaf
  }

  @Test func `AdamW takes the steps that its formula says`() {
    var expected = (p: 0.5, m: 0.0, v: 0.0)
    let options = AdamWOptions(
      learningRate: 0.1, beta1: 0.8, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.05)
    let p = Tensor([Float(0.5)]).requiringGradient()
    let (m, v) = (Tensor.zeros([1]), Tensor.zeros([1]))
    for (index, gradient) in [2.0, -1, 0.25].enumerated() {
      let step = Double(index + 1)
      let scaled = gradient * 0.5
      expected.p *= 1 - 0.1 * 0.05
      expected.m = 0.8 * expected.m + 0.2 * scaled
      expected.v = 0.9 * expected.v + 0.1 * scaled * scaled
      let (c1, c2) = (1 - power(0.8, step), 1 - power(0.9, step))
      expected.p -= 0.1 * (expected.m / c1) / ((expected.v / c2).squareRoot() + 1e-3)

      p.clearGradient()
      p.backward(Tensor([Float(gradient)]))
      adamW(
        parameters: [p], first: [m], second: [v], decays: [true], options: options,
        gradientScale: 0.5, step: index + 1)
      for (found, wanted) in [(p, expected.p), (m, expected.m), (v, expected.v)] {
        #expect(abs(found.item() - wanted) < 1e-6)
      }
    }
  }

  private func power(_ base: Double, _ exponent: Double) -> Double {
    (0..<Int(exponent)).reduce(1) { product, _ in product * base }
  }

  @Test func `Weight decay is apart from the gradient, and only where it is asked for`() {
    let p = [parameter([2], gradient: [0]), parameter([2], gradient: [0])]
    let moments = p.map { _ in Tensor.zeros([1]) }
    adamW(
      parameters: p, first: moments, second: moments.map { $0.copied() }, decays: [true, false],
      options: AdamWOptions(learningRate: 0.1, weightDecay: 0.5), gradientScale: 1, step: 1)
    #expect(abs(p[0].item() - 1.9) < 1e-6 && p[1].item() == 2)
    #expect(moments[0].item() == 0)
  }

  @Test func `Parameters without a gradient stay as they are`() {
    let p = Tensor([Float(2)]).requiringGradient()
    let m = Tensor.ones([1])
    adamW(
      parameters: [p], first: [m], second: [m.copied()], decays: [true],
      options: AdamWOptions(learningRate: 0.1), gradientScale: 1, step: 1)
    #expect(p.item() == 2 && m.item() == 1)
  }

  @Test(arguments: [[6, 6], [4, 40], [40, 4], [4, 2, 3, 3]])
  func `Muon steps by a nearly orthogonal matrix`(shape: [Int]) {
    var random = RandomSource(seed: 5)
    let start = random.normal(shape)
    let p = start.copied().requiringGradient()
    p.backward(random.normal(shape) * 1e-3)
    let m = Tensor.zeros(shape)
    muon(
      parameters: [p], momentum: [m], options: MuonOptions(learningRate: 0.5), gradientScale: 1)
    let columns = shape.dropFirst().reduce(1, *)
    let step = ((start - p.detached()) / (0.5 * 0.2 * Double(max(shape[0], columns)).squareRoot()))
      .reshaped(to: shape[0], columns)
    let isTall = shape[0] > columns
    let small = isTall ? step.transposed(0, 1) : step
    // The identity, if all singular values are one.
    let gram = small.matmul(small.transposed(0, 1)).floats()
    let size = min(shape[0], columns)
    for row in 0..<size {
      for column in 0..<size {
        let value = gram[row * size + column]
        #expect(
          row == column ? 0.4...1.6 ~= value : abs(value) < 0.4, "\(row), \(column): \(value)")
      }
    }
    #expect((m - (p.gradient ?? m) * 0.05).abs().floats().allSatisfy { $0 < 1e-9 })
  }

  @Test func `Muon goes downhill, forgets a share, and leaves what has no gradient`() {
    let p = Tensor([Float(1), 0, 0, 1], shape: [2, 2]).requiringGradient()
    p.backward(Tensor([Float(3), 0, 0, 5], shape: [2, 2]))
    let still = Tensor.ones([2, 2]).requiringGradient()
    let momenta = [Tensor.zeros([2, 2]), Tensor.zeros([2, 2])]
    muon(
      parameters: [p, still], momentum: momenta,
      options: MuonOptions(learningRate: 0.1, weightDecay: 0.5), gradientScale: 0.5)
    let values = p.detached().floats()
    #expect(values[0] < 0.95 && values[3] < 0.95 && abs(values[1]) < 1e-6 && abs(values[2]) < 1e-6)
    #expect(still.detached().floats() == [1, 1, 1, 1])
  }

  @Test func `The gradient norm spans all parameters`() {
    let p = [parameter([0, 0], gradient: [3, 0]), parameter([1], gradient: [-4])]
    #expect(abs(gradientNorm(of: p) - 5) < 1e-6)
    #expect(gradientNorm(of: [Tensor.ones([2])]) == 0 && gradientNorm(of: []) == 0)
    #expect(gradientNorm(of: [parameter([0], gradient: [.nan])]).isNaN)
  }

  @Test func `Averages move a part of the way`() {
    let averages = [Tensor([Float(0), 10]), Tensor.zeros([1])]
    interpolate(averages, towards: [Tensor([Float(10), 0]), Tensor([Float(1)])], weight: 0.25)
    #expect(averages[0].floats() == [2.5, 7.5] && averages[1].item() == 0.25)
    let values = [Tensor([Float(4)]).cast(to: .bfloat16)]
    interpolate([averages[1]], towards: values, weight: 1)
    #expect(averages[1].item() == 4 && averages[1].dtype == .float32)
  }
}
