import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoNN

struct ParameterRegistryTests {
  /// Two layers and a norm, whose keys are `blocks.0.*`, `blocks.1.*` and `norm.weight`.
  private func build(_ scope: ParameterScope) -> [Linear] {
    let layers = (0..<2).map { Linear(scope["blocks"][$0], inputs: 3, outputs: 2, bias: $0 == 0) }
    _ = RMSNorm(scope["norm"], width: 2, epsilon: 1e-6)
    return layers
  }

  private let keys = ["blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "norm.weight"]

  private func stored() -> [String: Tensor] {
    let registry = ParameterRegistry(seed: 3)
    _ = build(registry.root)
    let pairs = registry.parameters.map { ($0.key, $0.value.detached()) }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  private func registry(
    _ weights: [String: Tensor], computeType: DType? = nil, isTrainable: Bool = false
  ) -> ParameterRegistry {
    ParameterRegistry(
      names: Set(weights.keys), computeType: computeType, isTrainable: isTrainable
    ) { weights[$0] }
  }

  @Test func `Parameters are listed by key in the order they are asked for`() throws {
    let registry = ParameterRegistry(seed: 1)
    _ = build(registry.root)
    #expect(registry.parameters.map(\.key) == keys)
    #expect(registry.parameters.map(\.value.shape) == [[2, 3], [2], [2, 3], [2]])
    #expect(registry.root["a"][3]["b"].path == "a.3.b")
    try registry.validate()
  }

  @Test func `A starting value depends on the seed and the key alone`() {
    let registry = ParameterRegistry(seed: 1)
    let first = registry.root.parameter(
      "x", shape: [40], initializer: .normal(standardDeviation: 2))
    let second = registry.root.parameter(
      "y", shape: [40], initializer: .normal(standardDeviation: 2))
    #expect(first.floats() != second.floats())
    let other = ParameterRegistry(seed: 1, isTrainable: false)
    let again = other.root.parameter("y", shape: [40], initializer: .normal(standardDeviation: 2))
    #expect(again.floats() == second.floats() && !again.requiresGradient)
    let reseeded = ParameterRegistry(seed: 2).root
      .parameter("y", shape: [40], initializer: .normal(standardDeviation: 2))
    #expect(reseeded.floats() != second.floats())
  }

  @Test func `Initialisers keep to their distribution`() {
    func draw(_ initializer: Initializer, _ shape: [Int]) -> Tensor {
      ParameterRegistry(seed: 6).root.parameter("w", shape: shape, initializer: initializer)
    }
    #expect(draw(.zeros, [3]).floats() == [0, 0, 0] && draw(.ones, [2]).floats() == [1, 1])
    #expect(draw(.constant(0.5), [2]).floats() == [0.5, 0.5])
    let normal = draw(.normal(standardDeviation: 3), [20_000])
    #expect(abs(normal.variance().item().squareRoot() - 3) < 0.08)
    // [out, in, kernel...]: both fans count the kernel.
    let xavier = draw(.xavierUniform, [30, 20, 3, 3])
    let bound = (6.0 / (50 * 9)).squareRoot()
    #expect(xavier.abs().max().item() <= bound && xavier.abs().max().item() > 0.99 * bound)
    #expect(abs(xavier.mean().item()) < 0.02 * bound)
    let fan = draw(.fanInUniform(16), [5000])
    #expect(fan.abs().max().item() <= 0.25 && fan.abs().max().item() > 0.249)
  }

  @Test func `A checkpoint gives the values back`() throws {
    let weights = stored()
    let registry = registry(weights)
    let layers = build(registry.root)
    try registry.validate()
    #expect(layers[1].weight?.floats() == weights["blocks.1.weight"]?.floats())
    #expect(layers[1].weight?.requiresGradient == false)
  }

  @Test func `One report names every key that is missing, unused or of another shape`() throws {
    var weights = stored()
    weights["blocks.0.bias"] = nil
    weights["norm.weight"] = nil
    weights["blocks.1.weight"] = .zeros([3, 2])
    weights["extra.b"] = .zeros([1])
    weights["extra.a"] = .zeros([1])
    let registry = registry(weights)
    let layers = build(registry.root)
    #expect(layers[1].weight?.shape == [2, 3])
    let fault = try #require(throws: ParameterMismatch.self) { try registry.validate() }
    #expect(fault.missing == ["blocks.0.bias", "norm.weight"])
    #expect(fault.unused == ["extra.a", "extra.b"])
    #expect(fault.misshaped == ["blocks.1.weight: expected [2, 3], found [3, 2]"])
    #expect(fault.description.contains("2 missing: blocks.0.bias, norm.weight;"))
    #expect(fault.description.contains("2 not part of the model: extra.a, extra.b;"))
    #expect(fault.description.contains("config.json"))
  }

  @Test func `A long report is cut`() throws {
    let registry = registry([:])
    for index in 0..<9 { _ = registry.root[index].parameter("w", shape: [1], initializer: .zeros) }
    let fault = try #require(throws: ParameterMismatch.self) { try registry.validate() }
    #expect(fault.missing.count == 9)
    #expect(fault.description.contains("9 missing: 0.w, 1.w, 2.w, 3.w, 4.w, 5.w, ..."))
  }

  @Test func `Large products take the compute type and exact parameters stay float32`() throws {
    let weights = stored().mapValues { $0.cast(to: .bfloat16) }
    let kept = registry(weights)
    _ = build(kept.root)
    #expect(kept.parameters.map(\.value.dtype) == [.bfloat16, .bfloat16, .bfloat16, .float32])
    let converted = registry(weights, computeType: .float16)
    _ = build(converted.root)
    #expect(converted.parameters.map(\.value.dtype) == [.float16, .float16, .float16, .float32])
  }

  @Test func `Trainable parameters are float32 copies that record gradients`() throws {
    let weights = stored()
    let registry = registry(weights, computeType: .bfloat16, isTrainable: true)
    let layers = build(registry.root)
    #expect(
      registry.parameters.allSatisfy { $0.value.requiresGradient && $0.value.dtype == .float32 })
    layers[0].weight?.assign(inPlace: .zeros([2, 3]))
    #expect(weights["blocks.0.weight"]?.floats() != layers[0].weight?.floats())
    layers[0](.ones([1, 3])).sum().backward()
    #expect(registry.parameters[1].value.gradient?.floats() == [1, 1])
  }

  @Test func `Asking twice for one key traps`() async {
    await #expect(processExitsWith: .failure) {
      let scope = ParameterRegistry(seed: 1).root
      for _ in 0..<2 { _ = scope.parameter("x", shape: [1], initializer: .zeros) }
    }
  }

  @Test func `The hash of keys is FNV-1a`() {
    #expect(stableHash("") == 0xcbf2_9ce4_8422_2325)
    #expect(stableHash("a") == 0xaf63_dc4c_8601_ec8c)
    #expect(stableHash("foobar") == 0x8594_4171_f739_67e8)
  }
}
