import Foundation
import KinoModels
import KinoNN
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

/// A tiny transformer's weights in a folder of their own, and adapters beside them.
private final class Workplace {
  let url = FileManager.default.temporaryDirectory
    .appendingPathComponent("kino-lora-\(UUID().uuidString)")
  let base: WeightSet
  let golden: Golden
  var source = RandomSource(seed: 11)

  init(_ name: String = "transformer") throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    golden = try Golden(name)
    base = try WeightSet(inFolder: golden.folder)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func adapter(_ tensors: [String: Tensor], metadata: [String: String] = [:]) throws -> LoRA {
    let file = url.appendingPathComponent("\(UUID().uuidString).safetensors")
    try SafetensorsFile.write(tensors, to: file, metadata: metadata)
    return try LoRA(at: file)
  }

  func normal(_ shape: Int...) -> Tensor { source.normal(shape) }

  /// The weight that a merge gives.
  func merged(
    _ key: String, _ tensors: [String: Tensor], strength: Double = 1,
    metadata: [String: String] = [:]
  ) throws -> Tensor {
    try adapter(tensors, metadata: metadata).merged(into: base, strength: strength)
      .weights.tensor(named: key)
  }
}

struct LoRATests {
  private static let key = "blocks.1.attn2.to_k.weight"

  /// Ways to name the query layer's pair, each with its alpha if its makers write one.
  private static let styles: [(name: String, down: String, up: String, alpha: String?)] = [
    (
      "diffusers", "transformer.blocks.1.attn2.to_k.lora_A.weight",
      "transformer.blocks.1.attn2.to_k.lora_B.weight", nil
    ),
    (
      "PEFT", "base_model.model.transformer.blocks.1.attn2.to_k.lora_A.default.weight",
      "base_model.model.transformer.blocks.1.attn2.to_k.lora_B.default.weight", nil
    ),
    (
      "diffusion-pipe", "diffusion_model.blocks.1.cross_attn.k.lora_A.weight",
      "diffusion_model.blocks.1.cross_attn.k.lora_B.weight", nil
    ),
    (
      "DiffSynth", "blocks.1.cross_attn.k.lora_A.default.weight",
      "blocks.1.cross_attn.k.lora_B.default.weight", nil
    ),
    (
      "musubi", "lora_unet_blocks_1_cross_attn_k.lora_down.weight",
      "lora_unet_blocks_1_cross_attn_k.lora_up.weight", "lora_unet_blocks_1_cross_attn_k.alpha"
    ),
    (
      "Wan-Fun", "lora_unet__blocks_1_cross_attn_k.lora_down.weight",
      "lora_unet__blocks_1_cross_attn_k.lora_up.weight", "lora_unet__blocks_1_cross_attn_k.alpha"
    ),
    (
      "lightx2v", "diffusion_model.blocks.1.cross_attn.k.lora_down.weight",
      "diffusion_model.blocks.1.cross_attn.k.lora_up.weight",
      "diffusion_model.blocks.1.cross_attn.k.alpha"
    ),
    (
      "LyCORIS", "lycoris_blocks_1_attn2_to_k.lora_down.weight",
      "lycoris_blocks_1_attn2_to_k.lora_up.weight", "lycoris_blocks_1_attn2_to_k.alpha"
    ),
  ]

  @Test(arguments: styles.map(\.name))
  func `A pair in any style is added to its weight`(name: String) throws {
    let style = try #require(Self.styles.first { $0.name == name })
    let place = try Workplace()
    let (down, up) = (place.normal(4, 32), place.normal(32, 4))
    var tensors = [style.down: down, style.up: up]
    var factor = 1.0
    if let alpha = style.alpha {
      tensors[alpha] = Tensor([Int64(2)], shape: []).cast(to: .int64)
      factor = 0.5
    }
    let merged = try place.merged(Self.key, tensors, strength: 0.8)
    let base = try place.base.tensor(named: Self.key)
    expectClose(merged, base + up.matmul(down) * (factor * 0.8), tolerance: 1e-6)
    let (_, report) = try place.adapter(tensors).merged(into: place.base)
    #expect(report.used == tensors.keys.sorted())
    #expect(report.description == "\(tensors.count) of \(tensors.count) keys used")
  }

  @Test(arguments: [DType.float32, .float16, .bfloat16, .int64, .int32])
  func `Alpha may be of any type`(type: DType) throws {
    let place = try Workplace()
    let (down, up) = (place.normal(4, 32), place.normal(32, 4))
    let start = "diffusion_model.blocks.1.cross_attn.k."
    let merged = try place.merged(
      Self.key,
      [
        start + "lora_down.weight": down, start + "lora_up.weight": up,
        start + "alpha": Tensor(8).cast(to: type),
      ])
    let base = try place.base.tensor(named: Self.key)
    expectClose(merged, base + up.matmul(down) * 2, tolerance: 1e-6)
  }

  @Test func `The header's alpha counts where none stands beside the pair`() throws {
    let place = try Workplace()
    let (down, up) = (place.normal(4, 32), place.normal(32, 4))
    let text = #"{"transformer.r": 4, "transformer.lora_alpha": 12, "text_encoder.r": 9}"#
    let merged = try place.merged(
      Self.key,
      [
        "transformer.blocks.1.attn2.to_k.lora_A.weight": down,
        "transformer.blocks.1.attn2.to_k.lora_B.weight": up,
      ], metadata: ["lora_adapter_metadata": text])
    let base = try place.base.tensor(named: Self.key)
    expectClose(merged, base + up.matmul(down) * 3, tolerance: 1e-6)
  }

  @Test func `Whole differences go to weights, biases, norms and modulations`() throws {
    let place = try Workplace()
    let tensors = [
      "diffusion_model.blocks.0.ffn.0.diff_b": place.normal(96),
      "diffusion_model.blocks.0.norm3.diff": place.normal(32),
      "diffusion_model.blocks.0.norm3.diff_b": place.normal(32),
      "diffusion_model.blocks.0.self_attn.norm_q.diff": place.normal(32),
      "diffusion_model.blocks.1.diff_m": place.normal(1, 6, 32),
      "diffusion_model.head.head.diff": place.normal(24, 32),
      "diffusion_model.head.diff_m": place.normal(1, 2, 32),
      "diffusion_model.time_projection.1.diff_b": place.normal(192),
      "diffusion_model.patch_embedding.diff": place.normal(32, 6, 1, 2, 2),
    ]
    let expected = [
      "blocks.0.ffn.net.0.proj.bias", "blocks.0.norm2.weight", "blocks.0.norm2.bias",
      "blocks.0.attn1.norm_q.weight", "blocks.1.scale_shift_table", "proj_out.weight",
      "scale_shift_table", "condition_embedder.time_proj.bias", "patch_embedding.weight",
    ]
    let names = [
      "blocks.0.ffn.0.diff_b", "blocks.0.norm3.diff", "blocks.0.norm3.diff_b",
      "blocks.0.self_attn.norm_q.diff", "blocks.1.diff_m", "head.head.diff", "head.diff_m",
      "time_projection.1.diff_b", "patch_embedding.diff",
    ]
    let (weights, report) = try place.adapter(tensors).merged(into: place.base, strength: 0.5)
    #expect(report.used.count == 9)
    for (key, name) in zip(expected, names) {
      let change = try #require(tensors["diffusion_model." + name])
      let base = try place.base.tensor(named: key)
      expectClose(try weights.tensor(named: key), base + change * 0.5, tolerance: 1e-6, key)
    }
    // What the adapter does not name stays in the file's pages, as it was.
    let other = "blocks.0.attn1.to_q.weight"
    let (kept, base) = (try weights.tensor(named: other), try place.base.tensor(named: other))
    #expect(kept.floats() == base.floats())
  }

  @Test(arguments: [false, true])
  func `With magnitudes each row gets the length it learnt`(isVector: Bool) throws {
    let place = try Workplace()
    let (down, up) = (place.normal(4, 32), place.normal(32, 4))
    let magnitude = place.normal(32).abs() + 1
    let start = "diffusion_model.blocks.1.cross_attn.k."
    let merged = try place.merged(
      Self.key,
      [
        start + "lora_A.weight": down, start + "lora_B.weight": up,
        start + (isVector ? "lora_magnitude_vector" : "dora_scale"):
          isVector ? magnitude : magnitude.reshaped(to: 32, 1),
      ])
    let lengths = merged.squared().sum(along: 1).squareRoot()
    expectClose(lengths, magnitude, tolerance: 1e-5)
    let direction = try place.base.tensor(named: Self.key) + up.matmul(down)
    let norms = direction.squared().sum(along: 1, keepingDimensions: true).squareRoot()
    expectClose(merged, direction / norms * magnitude.reshaped(to: 32, 1), tolerance: 1e-5)
  }

  @Test func `Products of LyCORIS are added`() throws {
    let place = try Workplace()
    let base = try place.base.tensor(named: Self.key)
    let start = "lycoris_blocks_1_attn2_to_k."
    let (a, b) = (place.normal(4, 2), place.normal(8, 16))
    let kronecker = (a.reshaped(to: 4, 1, 2, 1) * b.reshaped(to: 1, 8, 1, 16)).reshaped(to: 32, 32)
    let merged = try place.merged(
      Self.key, [start + "lokr_w1": a, start + "lokr_w2": b, start + "alpha": Tensor(1e9)])
    expectClose(merged, base + kronecker, tolerance: 1e-6, "LoKr")

    let parts = (0..<2).map { _ in (place.normal(32, 4), place.normal(4, 32)) }
    let tensors = [
      start + "hada_w1_a": parts[0].0, start + "hada_w1_b": parts[0].1,
      start + "hada_w2_a": parts[1].0, start + "hada_w2_b": parts[1].1,
      start + "alpha": Tensor(2),
    ]
    let product = parts[0].0.matmul(parts[0].1) * parts[1].0.matmul(parts[1].1)
    expectClose(try place.merged(Self.key, tensors), base + product * 0.5, tolerance: 1e-6, "LoHa")
  }

  @Test func `Several adapters add up`() throws {
    let place = try Workplace()
    let name = "diffusion_model.blocks.1.cross_attn.k.diff"
    let changes = [place.normal(32, 32), place.normal(32, 32)]
    let first = try place.adapter([name: changes[0]]).merged(into: place.base).weights
    let both = try place.adapter([name: changes[1]]).merged(into: first, strength: -2).weights
    let base = try place.base.tensor(named: Self.key)
    expectClose(
      try both.tensor(named: Self.key), base + changes[0] - changes[1] * 2, tolerance: 1e-6)
  }

  /// A transformer of one block in Q8_0, and its velocity with weights kept in some way.
  private struct QuantisedTransformer {
    let golden: Golden
    let form: CheckpointForm

    init() throws {
      golden = try Golden("quantised-transformer")
      let set = try WeightSet(at: golden.folder.appendingPathComponent("model.gguf"))
      form = try #require(CheckpointForm.recognise(in: set, headDimension: 16).first)
    }

    func velocity(_ weights: WeightSet, _ kept: ProductWeights = .plain) throws -> Tensor {
      guard case .transformer(let configuration) = form.network else { return .zeros([0]) }
      let loaded = try weights.loadWithParameters(productWeights: kept) {
        DiffusionTransformer($0, configuration: configuration)
      }
      #expect(loaded.unpackedWeights.isEmpty == (kept == .plain))
      return loaded.network(
        golden["latents"], timesteps: .perSample(golden["timestep"]),
        text: loaded.network.textContext(golden["text"]))
    }
  }

  @Test(arguments: styles.map(\.name))
  func `An adapter beside quantised weights does what it does merged`(name: String) throws {
    let style = try #require(Self.styles.first { $0.name == name })
    let (place, model) = (try Workplace(), try QuantisedTransformer())
    func first(_ key: String) -> String {
      key.replacing("blocks.1.", with: "blocks.0.").replacing("blocks_1_", with: "blocks_0_")
    }
    var tensors = [
      first(style.down): place.normal(4, 32), first(style.up): place.normal(32, 4),
    ]
    if let alpha = style.alpha { tensors[first(alpha)] = Tensor(2) }
    let weights = try place.adapter(tensors).merged(into: model.form.weights, strength: 0.7).weights
    let (beside, merged) = (
      try model.velocity(weights, .unpacked), try model.velocity(weights)
    )
    expectClose(beside, merged, tolerance: 1e-5)
    #expect(relativeError(merged, try model.velocity(model.form.weights)) > 1e-3)
  }

  @Test func `Weights that adapters change in other ways are merged, not kept packed`() throws {
    let (place, model) = (try Workplace(), try QuantisedTransformer())
    let start = "diffusion_model.blocks.0."
    let adapter = try place.adapter([
      start + "self_attn.q.lora_A.weight": place.normal(4, 32),
      start + "self_attn.q.lora_B.weight": place.normal(32, 4),
      start + "self_attn.q.dora_scale": place.normal(32, 1).abs(),
      start + "ffn.0.diff": place.normal(64, 32), start + "ffn.0.diff_b": place.normal(64),
    ])
    let (weights, report) = try adapter.merged(into: model.form.weights)
    #expect(report.used.count >= 3)
    expectClose(
      try model.velocity(weights, .unpacked), try model.velocity(weights), tolerance: 1e-5)
  }

  @Test func `A merged network gives another velocity, on quantised weights too`() throws {
    let (place, model) = (try Workplace(), try QuantisedTransformer())
    let start = "diffusion_model.blocks.0.self_attn.q."
    let adapter = try place.adapter([
      start + "lora_A.weight": place.normal(4, 32), start + "lora_B.weight": place.normal(32, 4),
    ])
    let expected = model.golden["velocity.model.gguf"]
    let weights = model.form.weights
    let changed = try model.velocity(adapter.merged(into: weights).weights)
    #expect(relativeError(changed, expected) > 1e-3)
    let unchanged = try model.velocity(adapter.merged(into: weights, strength: 0).weights)
    expectClose(unchanged, expected, tolerance: 1e-4)
  }
}

struct LoRAReportTests {
  private func pair(_ start: String, _ place: Workplace, width: Int = 32) -> [String: Tensor] {
    [
      start + "lora_A.weight": place.normal(4, width),
      start + "lora_B.weight": place.normal(width, 4),
    ]
  }

  @Test func `What has no place is said`() throws {
    let place = try Workplace()
    var tensors = pair("diffusion_model.blocks.0.self_attn.q.", place)
    // Keys of a model that reads pictures, and of a text encoder.
    tensors.merge(pair("diffusion_model.blocks.0.cross_attn.k_img.", place)) { $1 }
    tensors["lora_te_text_model.alpha"] = Tensor(1)
    tensors["diffusion_model.blocks.0.self_attn.k.diff"] = place.normal(3, 3)
    tensors["diffusion_model.blocks.0.self_attn.v.lora_A.weight"] = place.normal(4, 32)
    tensors["diffusion_model.blocks.0.self_attn.o.oft_blocks"] = place.normal(4, 8, 8)
    tensors["note"] = place.normal(1)
    let report = try place.adapter(tensors).merged(into: place.base).report
    #expect(report.used.count == 2)
    #expect(report.misshapen == ["diffusion_model.blocks.0.self_attn.k.diff"])
    #expect(report.unused.count == 6)
    #expect(report.description.hasPrefix("2 of 9 keys used; 6 have no place: "))
    #expect(report.description.contains("1 do not fit their layers"))
  }

  @Test func `An adapter for another model is an error`() throws {
    let place = try Workplace()
    for tensors in [
      pair("diffusion_model.blocks.0.self_attn.q.", place, width: 5120),
      pair("diffusion_model.double_blocks.0.img_attn.qkv.", place),
    ] {
      let adapter = try place.adapter(tensors)
      let error = #expect(throws: ModelError.self) { try adapter.merged(into: place.base) }
      #expect(error?.description.contains("another model") == true)
      #expect(error?.description.contains("0 of 2 keys used") == true)
    }
  }

  @Test(arguments: [
    ["lora_A.weight": [4, 32], "lora_B.weight": [32, 3]],
    ["lora_A.weight": [4, 32], "lora_B.weight": [31, 4]],
    ["lora_A.weight": [4, 32], "lora_B.weight": [32, 4], "alpha": [2]],
    ["lora_A.weight": [4, 32], "lora_B.weight": [32, 4], "dora_scale": [7]],
    ["lora_A.weight": [128], "lora_B.weight": [32, 4]],
    ["lokr_w1": [1 << 40, 0], "lokr_w2": [1 << 40, 0]],
    ["lokr_w1": [4, 2], "lokr_w2": [8, 15]],
    ["lokr_w1_a": [4, 2], "lokr_w1_b": [3, 2], "lokr_w2": [8, 16]],
    ["hada_w1_a": [32, 4], "hada_w1_b": [4, 32], "hada_w2_a": [32, 4], "hada_w2_b": [4, 31]],
    ["diff": [32, 31]], ["diff_b": [32, 1]], ["diff_m": [0, 32]],
  ])
  func `Parts that do not fit are named, never applied`(shapes: [String: [Int]]) throws {
    let place = try Workplace()
    let start = "diffusion_model.blocks.0.self_attn.q."
    let tensors = Dictionary(
      uniqueKeysWithValues: shapes.map { (start + $0.key, Tensor.zeros($0.value)) })
    let adapter = try place.adapter(tensors)
    let error = #expect(throws: ModelError.self) { try adapter.merged(into: place.base) }
    #expect(error?.description.contains("\(shapes.count) do not fit their layers") == true)
  }

  @Test func `Two names of one part count once`() throws {
    let place = try Workplace()
    var tensors = pair("diffusion_model.blocks.0.self_attn.q.", place)
    tensors["diffusion_model.blocks.0.self_attn.q.lora_A.default.weight"] = place.normal(4, 32)
    let report = try place.adapter(tensors).merged(into: place.base).report
    #expect(report.used.count == 2)
    #expect(report.unused.count == 1)
  }

  @Test func `A model is no adapter`() throws {
    let place = try Workplace()
    let error = #expect(throws: ModelError.self) { try LoRA(place.base) }
    #expect(error?.code == .unsupported)
  }

  @Test func `A file for two experts gives each its part`() throws {
    let place = try Workplace()
    let key = "blocks.0.attn1.to_q.weight"
    let changes = [place.normal(32, 32), place.normal(32, 32)]
    let adapter = try place.adapter([
      "transformer.blocks.0.attn1.to_q.diff": changes[0],
      "transformer_2.blocks.0.attn1.to_q.diff": changes[1],
    ])
    let base = try place.base.tensor(named: key)
    for (expert, change) in [
      (CheckpointForm.Expert.highNoise, changes[0]), (.lowNoise, changes[1]),
    ] {
      let (weights, report) = try adapter.merged(into: place.base, expert: expert)
      #expect(report.description == "1 of 1 keys used")
      expectClose(try weights.tensor(named: key), base + change, tolerance: 1e-6)
    }
  }
}
