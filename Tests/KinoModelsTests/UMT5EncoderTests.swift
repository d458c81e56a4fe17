import Foundation
import KinoNN
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoModels

struct UMT5EncoderTests {
  let fixture: TextEncoderFixture
  let identifiers: Tensor
  let mask: Tensor
  var golden: Golden { fixture.golden }

  init() throws {
    fixture = try TextEncoderFixture()
    identifiers = fixture.golden["input_ids"]
    mask = fixture.golden["attention_mask"]
  }

  // MARK: - Parity

  @Test func `Distances fall into the reference's buckets`() {
    let distances = golden["bucket.distances"].scalars(Int64.self)
    let buckets = distances.map {
      Int64(RelativePositions.bucket(Int($0), configuration: fixture.configuration))
    }
    #expect(buckets == golden["bucket.indices"].scalars(Int64.self))
  }

  @Test func `Positions are those of the key seen from the query`() {
    let table = RelativePositions(length: 3, configuration: fixture.configuration)
    #expect(table.indices.scalars(Int64.self) == [0, 17, 18, 1, 0, 17, 2, 1, 0])
  }

  @Test func `Every block agrees with the reference`() {
    let model = fixture.model
    let positions = RelativePositions(length: 150, configuration: fixture.configuration).indices
    let bias = ((mask.cast(to: .float32) - 1) * 30000).reshaped(to: 2, 1, 1, 150)
    var x = model.embedding(identifiers)
    let attended = model.blocks[0].attention(
      model.blocks[0].attentionNorm(x), positions: positions, maskBias: bias)
    expectClose(attended, golden["tap.blocks.0.attention"], tolerance: 1e-5, "attention")
    for (index, block) in model.blocks.enumerated() {
      x = block(x, positions: positions, maskBias: bias, computeType: .float32)
      expectClose(x, golden["tap.blocks.\(index)"], tolerance: 1e-5, "block \(index)")
    }
  }

  @Test func `Hidden states agree with the reference in float32`() {
    let states = fixture.model(inputIDs: identifiers, mask: mask)
    expectClose(states, golden["hidden_states"], tolerance: 1e-4)
    let rows = mask.cast(to: .float32).expandingDimension(at: -1)
    expectClose(states * rows, golden["prompt_embeds"], tolerance: 1e-4)
  }

  @Test func `Hidden states agree with the reference in bfloat16`() throws {
    let model = try TextEncoderFixture(computeType: .bfloat16).model
    let states = model(inputIDs: identifiers, mask: mask, computeType: .bfloat16)
    #expect(states.dtype == .float32)
    expectClose(states, golden["hidden_states"], tolerance: 2e-2)
  }

  // MARK: - Masks and keys

  @Test func `Padding changes nothing before it`() {
    let boolean = mask.equals(1)
    let whole = fixture.model(inputIDs: identifiers, mask: boolean)
    let length = Int(mask.select(0, 1).cast(to: .float32).sum().item())
    let short = fixture.model(
      inputIDs: identifiers.slice(0, 1..<2).slice(1, 0..<length), mask: Tensor.ones([1, length]))
    expectClose(whole.slice(0, 1..<2).slice(1, 0..<length), short, tolerance: 1e-5)
  }

  @Test func `Keys and shapes are those of the checkpoint`() throws {
    let registry = ParameterRegistry(seed: 1)
    _ = UMT5Encoder(registry.root, configuration: fixture.configuration)
    let found = Dictionary(
      uniqueKeysWithValues: registry.parameters.map { ($0.key, $0.value.shape) })
    #expect(found == (try golden.weights(file: "model.safetensors")).mapValues(\.shape))
  }

  @Test(arguments: [
    ["encoder.embed_tokens.weight"], ["shared.weight"],
    ["shared.weight", "encoder.embed_tokens.weight"],
  ])
  func `The embedding is found under either of its names`(names: [String]) {
    let stored = UMT5Encoder.storedKeys(of: names + ["encoder.final_layer_norm.weight"])
    #expect(
      stored == [
        "shared.weight": names[0],
        "encoder.final_layer_norm.weight": "encoder.final_layer_norm.weight",
      ])
  }

  @Test func `Gradients reach every parameter`() throws {
    let fixture = try TextEncoderFixture(isTrainable: true)
    let states = fixture.model(inputIDs: identifiers, mask: mask)
    (states * golden["tap.blocks.0"]).sum().backward()
    for (key, value) in fixture.registry.parameters {
      #expect((value.gradient?.abs().max().item() ?? 0) > 0, "\(key) has no gradient")
    }
  }

  @Test func `A new encoder keeps the size of its activations`() {
    let registry = ParameterRegistry(seed: 9, isTrainable: false)
    let model = UMT5Encoder(registry.root, configuration: fixture.configuration)
    let states = model(inputIDs: identifiers, mask: mask)
    #expect((0.8...1.2).contains(states.squared().mean().item()))
  }

  // MARK: - Configuration

  @Test func `A configuration survives writing and reading`() throws {
    let data = try JSONEncoder().encode(fixture.configuration)
    let again = try JSONDecoder().decode(UMT5Encoder.Configuration.self, from: data)
    #expect(again == fixture.configuration)
    #expect(String(decoding: data, as: UTF8.self).contains(#""model_type":"umt5""#))
  }

  @Test(arguments: [
    (#"{"d_kv": 0}"#, "d_kv"), (#"{"relative_attention_num_buckets": 6}"#, "num_buckets"),
    (#"{"relative_attention_max_distance": 8}"#, "max_distance"),
    (#"{"feed_forward_proj": "relu"}"#, "feed_forward_proj"),
    (#"{"pad_token_id": 250112}"#, "pad_token_id"), (#"{"layer_norm_epsilon": 2}"#, "epsilon"),
    (#"{"vocab_size": -3}"#, "vocab_size"),
  ])
  func `Impossible configurations are refused by key`(json: String, key: String) throws {
    let decoder = JSONDecoder()
    let configuration = try decoder.decode(
      UMT5Encoder.Configuration.self, from: Data(json.utf8))
    let error = #expect(throws: ModelError.self) { try configuration.validate() }
    #expect(error?.description.contains(key) == true)
  }
}
