import KinoNN
import KinoTensor
import KinoTestSupport
import Testing

struct LayersTests {
  private let scope = ParameterRegistry(seed: 5).root

  private func draw(_ shape: [Int]) -> Tensor {
    var source = RandomSource(seed: 21)
    return source.normal(shape)
  }

  @Test func `bfloat16 products have bfloat16's rounding, whatever the processor`() {
    var source = RandomSource(seed: 9)
    let (x, weight, bias) = (
      source.normal([33, 70]), source.normal([20, 70]), source.normal([20])
    )
    let halves = [x, weight, bias].map { $0.cast(to: .bfloat16).requiringGradient() }
    let y = halves[0].linear(weight: halves[1], bias: halves[2])
    #expect(y.dtype == .bfloat16)
    let wide = halves.map { $0.detached().cast(to: .float32).requiringGradient() }
    let exact = wide[0].linear(weight: wide[1], bias: wide[2])
    expectClose(y.cast(to: .float32), exact, tolerance: 4e-3)
    y.cast(to: .float32).squared().sum().backward()
    exact.squared().sum().backward()
    for (half, whole) in zip(halves, wide) {
      guard let found = half.gradient, let expected = whole.gradient else {
        Issue.record("a gradient is missing")
        continue
      }
      #expect(found.dtype == .bfloat16)
      expectClose(found.cast(to: .float32), expected, tolerance: 2e-2)
    }
  }

  @Test func `A linear layer starts with Glorot weights and no bias`() throws {
    let layer = Linear(scope["a"], inputs: 4, outputs: 3)
    #expect(layer.weight?.shape == [3, 4] && layer.bias?.floats() == [0, 0, 0])
    #expect(Linear(scope["b"], inputs: 4, outputs: 3, bias: false).bias == nil)
    let x = draw([2, 5, 4])
    expectClose(layer(x), x.matmul(try #require(layer.weight).transposed(0, 1)), tolerance: 1e-6)
  }

  @Test func `Layers compute in the type of their input`() {
    let x = draw([1, 4, 6, 6]).cast(to: .bfloat16)
    #expect(Linear(scope["a"], inputs: 6, outputs: 3)(x).dtype == .bfloat16)
    #expect(
      Convolution(scope["b"], inputs: 4, outputs: 3, kernel: [3, 3])(x).dtype == .bfloat16)
    #expect(LayerNorm(scope["c"], width: 6, epsilon: 1e-6, isAffine: true)(x).dtype == .bfloat16)
    #expect(RMSNorm(scope["d"], width: 6, epsilon: 1e-6)(x).dtype == .bfloat16)
  }

  @Test func `A convolution has stride one and no padding unless told`() {
    let x = draw([1, 4, 3, 6, 5])
    let plain = Convolution(scope["a"], inputs: 4, outputs: 2, kernel: [3, 3, 3])
    #expect(plain(x).shape == [1, 2, 1, 4, 3])
    let other = Convolution(
      scope["b"], inputs: 4, outputs: 2, kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1])
    #expect(other(x).shape == [1, 2, 3, 3, 3])
    let bound = 1 / (4.0 * 27).squareRoot()
    #expect(plain.weight.abs().max().item() <= bound)
    #expect((plain.bias?.abs().max().item() ?? 1) <= bound)
    let zero = Convolution(scope["c"], inputs: 4, outputs: 2, kernel: [1], initializer: .zeros)
    #expect(zero.weight.equals(0).all() && zero.bias?.floats() == [0, 0])
  }

  @Test func `Norms are computed in float32 whatever the input's type`() {
    // In bfloat16 the sum of squares of 300 would lose what the mean takes away.
    let x = (draw([2, 300]) + 40).cast(to: .bfloat16)
    let norm = LayerNorm(scope["a"], width: 300, epsilon: 1e-6, isAffine: false)
    #expect(norm.weight == nil && norm.bias == nil)
    expectClose(
      norm(x), x.cast(to: .float32).layerNormalized(epsilon: 1e-6), tolerance: 4e-3)
    let affine = LayerNorm(scope["b"], width: 300, epsilon: 1e-6, isAffine: true)
    expectClose(affine(x), norm(x), tolerance: 0)
    let rms = RMSNorm(scope["c"], width: 300, epsilon: 1e-6)
    expectClose(
      rms(x), x.cast(to: .float32).rmsNormalized(epsilon: 1e-6), tolerance: 4e-3)
  }

  @Test func `An embedding picks rows`() {
    let registry = ParameterRegistry(seed: 1)
    let table = Embedding(registry.root, entries: 5, width: 2)
    let weight = registry.parameters[0].value
    let rows = table(Tensor([Int64(4), 0], shape: [2, 1]))
    #expect(rows.shape == [2, 1, 2])
    #expect(rows.select(0, 0).floats() == weight.select(0, 4).floats())
  }
}
