import KinoNN
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoModels

/// Against diffusers, stage by stage.
struct DiffusionTransformerParityTests {
  let fixture: TransformerFixture
  var golden: Golden { fixture.golden }
  var model: DiffusionTransformer { fixture.model }

  init() throws { fixture = try TransformerFixture() }

  private func timesteps(_ run: String) -> Timesteps {
    let values = golden["\(run).timestep"]
    return run == "sample" ? .perSample(values) : .dense(values)
  }

  private func table() -> RotaryTable { model.rotaryTable(latentFrames: 3, height: 4, width: 6) }

  @Test func `The rotary table has the reference's angles`() {
    let table = table()
    for (found, name) in [(table.cosine, "rotary.cos"), (table.sine, "rotary.sin")] {
      // The reference holds every value twice in a row.
      expectClose(found.repeated(2, along: -1), golden[name], tolerance: 1e-6, name)
    }
  }

  @Test(arguments: ["sample", "token"])
  func `Timesteps are embedded as in the reference`(run: String) {
    let values = golden["\(run).timestep"]
    let rows = run == "sample" ? values.expandingDimension(at: 1) : values
    let sinusoid = model.timeEmbedder.sinusoid(rows)
    expectClose(
      sinusoid.reshaped(to: -1, 32), golden["\(run).tap.sinusoid"], tolerance: 1e-5, "sinusoid")
    let time = model.timeEmbedder(timesteps(run))
    let expected = golden["\(run).tap.time_embedding"]
    expectClose(time.rows.reshaped(to: expected.shape), expected, tolerance: 1e-5, "embedding")
    let projection = golden["\(run).tap.time_projection"]
    expectClose(
      time.projection.reshaped(to: projection.shape), projection, tolerance: 1e-5, "projection")
  }

  @Test(arguments: ["sample", "token"])
  func `Every part of a block agrees with the reference`(run: String) {
    let latents = golden["\(run).latents"]
    let grid = PatchGrid(latents, patch: [1, 2, 2])
    func tap(_ name: String) -> Tensor { golden["\(run).tap.\(name)"] }
    func expect(_ found: Tensor, _ name: String) {
      expectClose(found, tap(name), tolerance: 1e-5, name)
    }

    let tokens = model.patchEmbedding(grid.patches(of: latents))
    expect(tokens.transposed(1, 2).reshaped(to: 2, 32, 3, 2, 3), "patch_embedding")
    let text = model.textEmbedder(golden["\(run).text"])
    expect(text, "text_embedding")

    let (block, time) = (model.blocks[0], model.timeEmbedder(timesteps(run)))
    let (spatial, pointwise) = Modulation.pair(
      time, table: block.modulation, epsilon: block.epsilon)
    var x = tokens
    let attended = block.attention(
      spatial.input(x, computeType: .float32), rotary: table())
    expect(attended, "blocks.0.attn1")
    x = spatial.joined(x, attended)
    let memory = block.crossAttention.memory(text)
    let read = block.crossAttention(block.crossNorm?(x) ?? x, memory: memory, bias: nil)
    expect(read, "blocks.0.attn2")
    x = x + read
    expect(block.feedForward(pointwise.input(x, computeType: .float32)), "blocks.0.ffn")
  }

  @Test(arguments: ["sample", "token"])
  func `Each block maps the reference's input to its output`(run: String) {
    let text = model.textContext(golden["\(run).text"])
    let time = model.timeEmbedder(timesteps(run))
    let patches = golden["\(run).tap.patch_embedding"].reshaped(to: 2, 32, 18).transposed(1, 2)
    let inputs = [patches, golden["\(run).tap.blocks.0"]]
    for (index, block) in model.blocks.enumerated() {
      let found = block(
        inputs[index], time: time, memory: text.memories[index], textBias: nil, rotary: table(),
        computeType: .float32)
      expectClose(
        found, golden["\(run).tap.blocks.\(index)"], tolerance: 1e-5, "block \(index)")
    }
    expectClose(
      model.head(golden["\(run).tap.blocks.1"], time: time, computeType: .float32),
      golden["\(run).tap.proj_out"], tolerance: 1e-5, "head")
  }

  @Test(arguments: ["sample", "token"])
  func `The velocity agrees with the reference in float32`(run: String) {
    let text = model.textContext(golden["\(run).text"])
    let velocity = model(golden["\(run).latents"], timesteps: timesteps(run), text: text)
    expectClose(velocity, golden["\(run).velocity"], tolerance: 1e-4)
  }

  @Test(arguments: ["sample", "token"])
  func `The velocity agrees with the reference in bfloat16`(run: String) throws {
    let model = try TransformerFixture(computeType: .bfloat16).model
    let text = model.textContext(golden["\(run).text"], computeType: .bfloat16)
    let velocity = model(
      golden["\(run).latents"], timesteps: timesteps(run), text: text, computeType: .bfloat16)
    #expect(velocity.dtype == .float32)
    expectClose(velocity, golden["\(run).velocity"], tolerance: 2e-2)
  }

  @Test func `Keys and shapes are those of the checkpoint`() throws {
    let registry = ParameterRegistry(seed: 1)
    _ = DiffusionTransformer(registry.root, configuration: fixture.configuration)
    let found = Dictionary(
      uniqueKeysWithValues: registry.parameters.map { ($0.key, $0.value.shape) })
    #expect(found == (try golden.weights()).mapValues(\.shape))
    #expect(
      registry.parameters.map(\.value.count).reduce(0, +) == fixture.configuration.parameterCount)
  }
}
