import KinoNN
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoModels

struct DiffusionTransformerTests {
  let fixture: TransformerFixture
  let latents: Tensor
  let hiddenStates: Tensor
  var model: DiffusionTransformer { fixture.model }

  init() throws {
    fixture = try TransformerFixture()
    latents = fixture.golden["sample.latents"]
    hiddenStates = fixture.golden["sample.text"]
  }

  private func velocity(_ timesteps: Timesteps) -> Tensor {
    model(latents, timesteps: timesteps, text: model.textContext(hiddenStates))
  }

  @Test func `Tokens of a middle block come beside the same velocity`() {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let text = model.textContext(hiddenStates)
    let plain = velocity(timesteps)
    for count in 0...model.configuration.layerCount {
      let (velocity, tokens) = model.velocityAndTokens(
        latents, timesteps: timesteps, text: text, after: count)
      #expect(velocity.floats() == plain.floats())
      #expect(tokens.shape == [2, 18, model.configuration.width])
    }
  }

  // MARK: - Timesteps

  @Test func `A timestep per token is a timestep per sample where all are equal`() {
    let perSample = Tensor([Float(640), 31])
    let dense = perSample.expandingDimension(at: 1).expanded(to: 2, 18)
    expectClose(velocity(.dense(dense)), velocity(.perSample(perSample)), tolerance: 1e-6)
  }

  @Test func `Numbered timesteps give what the same timesteps per token give`() {
    let values = Tensor([Float(0), 640, 999, 12.5], shape: [2, 2])
    let index = (0..<36).map { Int64($0 < 6 || $0 % 5 == 0 ? 0 : 1) }
    let numbers: [Float] = [0, 640, 999, 12.5]
    let dense = index.enumerated().map { numbers[$0 / 18 * 2 + Int($1)] }
    expectClose(
      velocity(.perToken(values: values, index: Tensor(index, shape: [2, 18]))),
      velocity(.dense(Tensor(dense, shape: [2, 18]))), tolerance: 1e-6)
  }

  @Test func `Rows are spread over tokens exactly`() {
    let values = Tensor([Float(3), 640, 999, 12.5], shape: [2, 2])
    let index = Tensor((0..<36).map { Int64($0 % 2) }, shape: [2, 18])
    // Even tokens have a sample's first timestep, so they must equal a batch that has only that.
    let mixed = velocity(.perToken(values: values, index: index))
    let swapped = velocity(
      .perToken(values: values.flipped(along: 1), index: (index - 1).abs()))
    expectClose(mixed, swapped, tolerance: 0)
  }

  // MARK: - Text

  @Test func `A text context serves every step`() {
    let text = model.textContext(hiddenStates)
    for step: Float in [999, 400] {
      let timesteps = Timesteps.perSample(Tensor([step, step]))
      expectClose(
        model(latents, timesteps: timesteps, text: text), velocity(timesteps), tolerance: 0)
    }
    #expect(text.batchSize == 2 && text.length == 7)
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `A masked text is a shorter text`(computeType: DType) {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let mask = Tensor([Float](repeating: 1, count: 4) + [0, 0, 0]).expanded(to: 2, 7)
    let masked = model.textContext(hiddenStates, mask: mask, computeType: computeType)
    let short = model.textContext(hiddenStates.slice(1, 0..<4), computeType: computeType)
    expectClose(
      model(latents, timesteps: timesteps, text: masked, computeType: computeType),
      model(latents, timesteps: timesteps, text: short, computeType: computeType),
      tolerance: computeType == .float32 ? 1e-6 : 1e-2)
  }

  @Test func `A row that counts n times stands for n rows alike`() {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let padding = Tensor.zeros([2, 500, 24])
    let whole = model.textContext(concatenate([hiddenStates, padding], along: 1))
    let counts = Tensor([Float](repeating: 1, count: 7) + [500]).expanded(to: 2, 8)
    let counted = model.textContext(
      concatenate([hiddenStates, padding.slice(1, 0..<1)], along: 1), mask: counts)
    expectClose(
      model(latents, timesteps: timesteps, text: counted),
      model(latents, timesteps: timesteps, text: whole), tolerance: 1e-5)
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `Padding with zeros to a fixed number of rows need not compute them`(computeType: DType) {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let mask = Tensor([Float](repeating: 1, count: 11) + [0, 0, 0], shape: [2, 7])
    let text = hiddenStates * mask.expandingDimension(at: -1)
    let whole = model.textContext(
      concatenate([text, Tensor.zeros([2, 505, 24])], along: 1), computeType: computeType)
    let short = model.textContext(
      // What the encoder makes of padding must not matter.
      hiddenStates, mask: mask, paddedTo: 512, computeType: computeType)
    #expect(short.length == 8)
    expectClose(
      model(latents, timesteps: timesteps, text: short, computeType: computeType),
      model(latents, timesteps: timesteps, text: whole, computeType: computeType),
      tolerance: computeType == .float32 ? 1e-5 : 1e-2)
  }

  @Test func `Texts of different lengths share a batch`() {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let mask = Tensor([Float](repeating: 1, count: 10) + [0, 0, 0, 0], shape: [2, 7])
    let both = model(
      latents, timesteps: timesteps, text: model.textContext(hiddenStates, mask: mask))
    for (sample, length) in [(0, 7), (1, 3)] {
      let row = sample..<sample + 1
      let text = model.textContext(hiddenStates.slice(0, row).slice(1, 0..<length))
      let one = model(
        latents.slice(0, row), timesteps: .perSample(Tensor([[Float(640), 31][sample]])),
        text: text)
      expectClose(both.slice(0, row), one, tolerance: 1e-5, "sample \(sample)")
    }
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `Contexts of single texts join to a batch`(computeType: DType) throws {
    let lengths = [7, 3]
    let contexts = lengths.enumerated().map { sample, length in
      model.textContext(
        hiddenStates.slice(0, sample..<sample + 1).slice(1, 0..<length),
        mask: Tensor.ones([1, length]), paddedTo: 512, computeType: computeType)
    }
    let joined = try #require(TextContext.batch(contexts))
    #expect(joined.batchSize == 2 && joined.length == 8)
    let both = model(
      latents, timesteps: .perSample(Tensor([Float(640), 31])), text: joined,
      computeType: computeType)
    for (sample, timestep) in [Float(640), 31].enumerated() {
      let row = sample..<sample + 1
      let one = model(
        latents.slice(0, row), timesteps: .perSample(Tensor([timestep])), text: contexts[sample],
        computeType: computeType)
      expectClose(
        both.slice(0, row), one, tolerance: computeType == .float32 ? 1e-5 : 1e-2,
        "sample \(sample)")
    }
    // Without a bias nothing could say that the padding does not count.
    #expect(TextContext.batch([model.textContext(hiddenStates), contexts[0]]) == nil)
  }

  // MARK: - Leaving blocks out

  private func velocity(_ timestep: Float, _ cache: StepCache) -> Tensor {
    model(
      latents, timesteps: .perSample(Tensor([timestep, timestep])),
      text: model.textContext(hiddenStates), cache: cache)
  }

  @Test func `A step cache with threshold 0 changes nothing`() {
    let cache = StepCache(threshold: 0)
    for timestep: Float in [900, 900, 899] {
      let plain = velocity(.perSample(Tensor([timestep, timestep])))
      expectClose(velocity(timestep, cache), plain, tolerance: 0)
    }
    #expect(cache.fullCount == 3 && cache.reusedCount == 0)
  }

  @Test func `A step cache takes over what has hardly changed and computes what has`() {
    let cache = StepCache(threshold: 0.05)
    let first = velocity(900, cache)
    // The same input is the same result, to the rounding of a sum.
    expectClose(velocity(900, cache), first, tolerance: 1e-5)
    #expect(cache.reusedCount == 1)
    // The fastest of the timestep's waves turns by one radian a unit.
    let near = velocity(899.99, cache)
    #expect(cache.reusedCount == 2)
    let exact = velocity(.perSample(Tensor([Float(899.99), 899.99])))
    #expect(relativeError(near, exact) < 0.05)
    expectClose(
      velocity(10, cache), velocity(.perSample(Tensor([Float(10), 10]))), tolerance: 0)
    #expect(cache.fullCount == 2)
  }

  @Test func `A step cache compares with the last whole evaluation, so that drift adds up`() {
    let cache = StepCache(threshold: 0.05)
    for timestep in stride(from: Float(900), through: 899, by: -0.02) {
      _ = velocity(timestep, cache)
    }
    #expect(cache.fullCount > 1 && cache.reusedCount > cache.fullCount)
  }

  // MARK: - Positions

  @Test func `Only distances between positions matter`() {
    let timesteps = Timesteps.perSample(Tensor([Float(640), 31]))
    let text = model.textContext(hiddenStates)
    let plain = model(latents, timesteps: timesteps, text: text)
    func moved(_ table: RotaryTable) -> Tensor {
      model(latents, timesteps: timesteps, text: text, rotary: table)
    }
    let later = model.rotaryTable(latentFrames: 3, height: 4, width: 6, frameOffset: 12.5)
    expectClose(moved(later), plain, tolerance: 1e-5)
    let slower = RotaryTable(
      frames: 3, height: 2, width: 3, headDimension: 16, frameScale: 3, spatialScale: 2)
    #expect(relativeError(moved(slower), plain) > 1e-3)
  }

  @Test func `Latents that do not fit the patch or the table are errors`() {
    let odd = latents.slice(3, 0..<3)
    #expect(throws: TensorError.self) {
      try withTensorErrors { _ = PatchGrid(odd, patch: [1, 2, 2]).patches(of: odd) }
    }
    let table = model.rotaryTable(latentFrames: 2, height: 4, width: 6)
    let text = model.textContext(hiddenStates)
    #expect(throws: TensorError.self) {
      try withTensorErrors {
        _ = model(
          latents, timesteps: .perSample(Tensor([Float(640), 31])), text: text, rotary: table)
      }
    }
  }

  // MARK: - Training

  @Test func `A new model predicts zero and can learn`() {
    let registry = ParameterRegistry(seed: 3)
    let model = DiffusionTransformer(registry.root, configuration: fixture.configuration)
    let velocity = model(
      latents, timesteps: .perSample(Tensor([Float(640), 31])),
      text: model.textContext(hiddenStates))
    #expect(velocity.abs().max().item() == 0)
    (velocity - latents).squared().mean().backward()
    let head = registry.parameters.first { $0.key == "proj_out.weight" }
    #expect((head?.value.gradient?.abs().max().item() ?? 0) > 0)
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `Gradients reach every parameter and the text`(computeType: DType) throws {
    let fixture = try TransformerFixture(isTrainable: true)
    let text = hiddenStates.requiringGradient()
    let values = Tensor([Float(0), 640, 0, 12], shape: [2, 2])
    let index = Tensor((0..<36).map { Int64($0 % 18 < 6 ? 0 : 1) }, shape: [2, 18])
    let velocity = fixture.model(
      latents, timesteps: .perToken(values: values, index: index),
      text: fixture.model.textContext(text, computeType: computeType), computeType: computeType)
    (velocity * latents).sum().backward()
    for (key, value) in fixture.registry.parameters + [("text", text)] {
      let gradient = value.gradient
      #expect((gradient?.abs().max().item() ?? 0) > 0, "\(key) has no gradient")
      #expect(gradient?.isFinite().all() == true, "\(key)")
    }
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `Blocks computed again in the backward pass give the same gradients`(computeType: DType)
    throws
  {
    func gradients(recomputing: Bool) throws -> (loss: Tensor, gradients: [Tensor?]) {
      let fixture = try TransformerFixture(isTrainable: true)
      var model = fixture.model
      model.recomputesBlocks = recomputing
      let text = hiddenStates.requiringGradient()
      let values = Tensor([Float(0), 640, 0, 12], shape: [2, 2])
      let index = Tensor((0..<36).map { Int64($0 % 18 < 6 ? 0 : 1) }, shape: [2, 18])
      let velocity = model(
        latents, timesteps: .perToken(values: values, index: index),
        text: model.textContext(text, computeType: computeType), computeType: computeType)
      let loss = (velocity * latents).sum()
      loss.backward()
      return (loss, fixture.registry.parameters.map(\.value.gradient) + [text.gradient])
    }
    let (kept, again) = try (gradients(recomputing: false), gradients(recomputing: true))
    expectClose(again.loss, kept.loss, tolerance: 0)
    for (expected, found) in zip(kept.gradients, again.gradients) {
      expectClose(try #require(found), try #require(expected), tolerance: 1e-6)
    }
  }

  @Test(arguments: [
    "blocks.0.attn1.to_q.weight", "blocks.1.scale_shift_table",
    "condition_embedder.time_embedder.linear_1.weight", "blocks.0.attn2.norm_k.weight",
    "patch_embedding.weight",
  ])
  func `Gradients are those of finite differences`(key: String) throws {
    let golden = fixture.golden
    var weights = try golden.weights()
    let direction = RandomSource(seed: 5).direction(weights[key]?.shape ?? [])
    let values = Tensor([Float(0), 640, 0, 12], shape: [2, 2])
    let index = Tensor((0..<36).map { Int64($0 % 18 < 6 ? 0 : 1) }, shape: [2, 18])
    let original = try #require(weights[key])

    func loss(moved: Double, trainable: Bool = false) -> (loss: Tensor, registry: ParameterRegistry)
    {
      weights[key] = original + direction * moved
      let stored = weights
      let registry = ParameterRegistry(names: Set(stored.keys), isTrainable: trainable) {
        stored[$0]
      }
      let model = DiffusionTransformer(registry.root, configuration: fixture.configuration)
      let velocity = model(
        latents, timesteps: .perToken(values: values, index: index),
        text: model.textContext(hiddenStates))
      return ((velocity.cast(to: .float64) * latents.cast(to: .float64)).sum(), registry)
    }

    let (value, registry) = loss(moved: 0, trainable: true)
    value.backward()
    let gradient = try #require(registry.parameters.first { $0.key == key }?.value.gradient)
    let exact = (gradient * direction).sum().item()
    let step = 1e-2
    let difference = (loss(moved: step).loss - loss(moved: -step).loss).item() / (2 * step)
    #expect(abs(difference - exact) <= 1e-2 * max(abs(exact), 1), "\(difference), \(exact)")
  }
}

extension RandomSource {
  /// A random direction of length one.
  fileprivate func direction(_ shape: [Int]) -> Tensor {
    var source = self
    let draw = source.normal(shape)
    return draw / draw.squared().sum().squareRoot()
  }
}
