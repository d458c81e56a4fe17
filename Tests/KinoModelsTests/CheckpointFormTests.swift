import Foundation
import KinoModels
import KinoNN
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

/// Keys and shapes that a network asks for, at any size, without memory for them.
func contract(_ network: CheckpointForm.Network) -> [String: [Int]] {
  let registry = ParameterRegistry(names: []) { _ in nil }
  switch network {
  case .transformer(let sizes): _ = DiffusionTransformer(registry.root, configuration: sizes)
  case .autoencoder(let sizes): _ = VideoAutoencoder(registry.root, configuration: sizes)
  case .textEncoder(let sizes): _ = UMT5Encoder(registry.root, configuration: sizes)
  case .imageEncoder(let sizes): _ = ImageEncoder(registry.root, configuration: sizes)
  }
  return Dictionary(registry.parameters.map { ($0.key, $0.value.shape) }) { first, _ in first }
}

private func elementCount(_ shapes: [String: [Int]]) -> Int {
  shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
}

private func only(_ weights: WeightSet) throws -> CheckpointForm {
  let forms = try CheckpointForm.recognise(in: weights)
  #expect(forms.count == 1)
  return try #require(forms.first)
}

struct CheckpointFormTests {
  @Test func `Every set of weights in a folder is found, shards as one`() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-places-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let tensors = ["a": Tensor.ones([64]), "b": Tensor.ones([64])]
    try WeightSet.write(tensors, to: folder, maximumShardByteCount: 64)
    for name in ["Wan2.1_VAE.pth", "config.json", ".hidden.gguf", "x.gguf", "z.safetensors"] {
      try Data("?".utf8).write(to: folder.appendingPathComponent(name))
    }
    let names = try WeightSet.places(in: folder).map(\.lastPathComponent)
    #expect(
      names == [
        "diffusion_pytorch_model.safetensors.index.json", "Wan2.1_VAE.pth", "x.gguf",
        "z.safetensors",
      ])
  }

  private static let networks =
    PublishedCheckpoint.transformers + PublishedCheckpoint.autoencoders
    + [PublishedCheckpoint.textEncoder, PublishedCheckpoint.imageEncoder]

  @Test(arguments: networks)
  func `A published checkpoint is recognised, and fits its network to the key`(
    checkpoint: PublishedCheckpoint
  ) throws {
    let form = try only(SparseCheckpoint.open(checkpoint.shapes))
    #expect(form.style == .original)
    #expect(form.models.contains(checkpoint.name))
    let expected = contract(form.network)
    try KeyContract(shapes: expected).check(form.weights.shapes, at: checkpoint.name)
    #expect(expected.count == checkpoint.keyCount)
    #expect(elementCount(expected) == checkpoint.parameterCount)
  }

  @Test(arguments: networks)
  func `Under our names it is the same network`(checkpoint: PublishedCheckpoint) throws {
    let original = try only(SparseCheckpoint.open(checkpoint.shapes))
    let form = try only(SparseCheckpoint.open(original.weights.shapes))
    #expect(form.style == .diffusers)
    #expect(form.network == original.network)
    #expect(form.models == original.models)
    #expect(form.weights.shapes == original.weights.shapes)
  }

  @Test(arguments: [
    (PublishedCheckpoint.transformers, KeyStyles.transformer),
    ([PublishedCheckpoint.autoencoders[0]], KeyStyles.autoencoder),
    ([PublishedCheckpoint.autoencoders[1]], KeyStyles.residualAutoencoder),
    ([PublishedCheckpoint.textEncoder], KeyStyles.textEncoder),
  ])
  func `Names translate there and back`(
    checkpoints: [PublishedCheckpoint], rules: KeyRules
  ) throws {
    for checkpoint in checkpoints {
      var seen: Set<String> = []
      for key in checkpoint.shapes.keys {
        let ours = try #require(rules.ours(for: key), "\(key)")
        #expect(seen.insert(ours).inserted, "\(ours) twice")
        #expect(rules.foreign(for: ours) == key)
      }
    }
  }

  @Test(arguments: ["model.diffusion_model.", "diffusion_model.", "model.", "net."])
  func `What stands before the names is found`(prefix: String) throws {
    let shapes = PublishedCheckpoint.transformers[0].shapes
    let form = try only(
      SparseCheckpoint.open(
        Dictionary(uniqueKeysWithValues: shapes.map { (prefix + $0.key, $0.value) })))
    #expect(form.prefix == prefix)
    #expect(form.models == ["Wan 2.1 T2V 1.3B"])
    try KeyContract(shapes: contract(form.network)).check(form.weights.shapes, at: "")
  }

  @Test func `An all-in-one file holds three networks`() throws {
    let text = try only(SparseCheckpoint.open(PublishedCheckpoint.textEncoder.shapes))
    let parts = [
      ("model.diffusion_model.", PublishedCheckpoint.transformers[0].shapes),
      ("vae.", PublishedCheckpoint.autoencoders[0].shapes),
      ("text_encoders.umt5xxl.transformer.", text.weights.shapes),
    ]
    var shapes: [String: [Int]] = [:]
    for (prefix, part) in parts {
      for (key, shape) in part { shapes[prefix + key] = shape }
    }
    shapes["text_encoders.umt5xxl.transformer.spiece_model"] = [12]
    let forms = try CheckpointForm.recognise(in: SparseCheckpoint.open(shapes))
    #expect(forms.map(\.prefix) == parts.map(\.0))
    for form in forms {
      try KeyContract(shapes: contract(form.network)).check(form.weights.shapes, at: form.prefix)
    }
  }

  @Test func `Where shapes can't tell models apart, all are named, and the header may tell`() throws
  {
    let shapes = PublishedCheckpoint.transformers[2].shapes
    let form = try only(SparseCheckpoint.open(shapes))
    #expect(form.models.count == 3)
    #expect(form.expert == nil)
    for (text, expert) in [("high", CheckpointForm.Expert.highNoise), ("low", .lowNoise)] {
      let metadata = ["model_type": "Wan2_2-T2V-A14B-\(text)"]
      #expect(try only(SparseCheckpoint.open(shapes, metadata: metadata)).expert == expert)
    }
  }

  @Test func `The text encoder of GGUF and of ComfyUI is the same network`() throws {
    let original = try only(SparseCheckpoint.open(PublishedCheckpoint.textEncoder.shapes))
    var comfy = original.weights.shapes
    comfy["spiece_model"] = [4_548_313]
    comfy["encoder.embed_tokens.weight"] = comfy["shared.weight"]
    let llama = Dictionary(
      uniqueKeysWithValues: original.weights.shapes.map { key, shape in
        (KeyStyles.ggufTextEncoder.foreign(for: key) ?? key, shape)
      })
    #expect(llama["enc.blk.23.attn_rel_b.weight"] == [32, 64])
    #expect(llama["enc.blk.0.ffn_gate.weight"] == [10240, 4096])
    for (shapes, style) in [(comfy, CheckpointForm.Style.diffusers), (llama, .llama)] {
      let form = try only(SparseCheckpoint.open(shapes))
      #expect(form.style == style)
      #expect(form.network == original.network)
      #expect(form.weights.shapes == original.weights.shapes)
    }
  }

  @Test func `A patch embedding flattened to four axes gets its fifth back`() throws {
    var shapes = PublishedCheckpoint.transformers[0].shapes
    shapes["patch_embedding.weight"] = [1536 * 16, 1, 2, 2]
    let form = try only(SparseCheckpoint.open(shapes))
    #expect(form.models == ["Wan 2.1 T2V 1.3B"])
    #expect(form.weights["patch_embedding.weight"]?.shape == [1536, 16, 1, 2, 2])
  }
}

struct QuantisedTransformerTests {
  @Test(arguments: ["model.gguf", "scaled.safetensors", "state.pth"])
  func `A transformer in each form gives the reference's velocity`(name: String) throws {
    let golden = try Golden("quantised-transformer")
    let weights = try WeightSet(at: golden.folder.appendingPathComponent(name))
    let form = try #require(
      try CheckpointForm.recognise(in: weights, headDimension: 16).first)
    guard case .transformer(let configuration) = form.network else {
      Issue.record("found \(form.network)")
      return
    }
    let model = try form.weights.load { DiffusionTransformer($0, configuration: configuration) }
    let velocity = model(
      golden["latents"], timesteps: .perSample(golden["timestep"]),
      text: model.textContext(golden["text"]))
    expectClose(velocity, golden["velocity.\(name)"], tolerance: 1e-4)
  }
}

/// A file that is not, or not only, a model of Kino's.
struct ForeignCheckpoint: CustomTestStringConvertible, Sendable {
  let what: String
  let text: String
  let shapes: [String: [Int]]
  var testDescription: String { what }

  /// The 1.3B transformer with other tensors.
  private static func changed(_ change: (inout [String: [Int]]) -> Void) -> [String: [Int]] {
    var shapes = PublishedCheckpoint.transformers[0].shapes
    change(&shapes)
    return shapes
  }

  static let all: [ForeignCheckpoint] = [
    .init(what: "nothing", text: "no tensors", shapes: [:]),
    .init(what: "another network", text: "'a.weight'", shapes: ["a.weight": [2, 2]]),
    .init(
      what: "a LoRA", text: "a LoRA",
      shapes: ["diffusion_model.blocks.0.self_attn.q.lora_A.weight": [4, 8]]),
    .init(
      what: "VACE", text: "VACE",
      shapes: changed { $0["vace_blocks.0.after_proj.bias"] = [1536] }),
    .init(
      what: "a camera", text: "camera",
      shapes: changed { $0["control_adapter.conv.weight"] = [1536, 384] }),
    .init(
      what: "Animate", text: "Animate",
      shapes: changed { $0["face_adapter.fuser_blocks.0.linear2.bias"] = [1536] }),
    .init(
      what: "S2V", text: "S2V",
      shapes: changed { $0["casual_audio_encoder.weights"] = [1, 25, 1, 1] }),
    .init(
      what: "a reference", text: "reference",
      shapes: changed { $0["ref_conv.weight"] = [1536, 16, 2, 2] }),
    .init(
      what: "Fun Control", text: "48 channels come in",
      shapes: changed { $0["patch_embedding.weight"] = [1536, 48, 1, 2, 2] }),
    .init(
      what: "outputs beyond all bounds", text: "out_channels",
      shapes: changed { $0["head.head.weight"] = [1 << 60, 0] }),
    .init(
      what: "a block of a number beyond all bounds", text: "num_layers",
      shapes: changed { $0["blocks.9223372036854775807.modulation"] = [1, 6, 1536] }),
    .init(
      what: "an image encoder of boundless patches", text: "positions",
      shapes: {
        var shapes = PublishedCheckpoint.imageEncoder.shapes
        shapes["visual.patch_embedding.weight"] = [1280, 0, 1 << 40, 1 << 9]
        return shapes
      }()),
    .init(
      what: "heads of another width", text: "1000",
      shapes: changed {
        $0["patch_embedding.weight"] = [1000, 16, 1, 2, 2]
        $0["patch_embedding.bias"] = [1000]
      }),
    .init(
      what: "a patch embedding of two axes", text: "5 axes",
      shapes: changed { $0["patch_embedding.weight"] = [1536, 64] }),
    .init(
      what: "an autoencoder that doubles the size", text: "gives 12",
      shapes: {
        var shapes = PublishedCheckpoint.autoencoders[0].shapes
        shapes["decoder.head.2.weight"] = [12, 96, 3, 3, 3]
        return shapes
      }()),
    .init(
      what: "an autoencoder of other latents", text: "config.json",
      shapes: {
        var shapes = PublishedCheckpoint.autoencoders[0].shapes
        shapes["conv2.weight"] = [20, 20, 1, 1, 1]
        return shapes
      }()),
    .init(
      what: "a T5", text: "T5",
      shapes: {
        var shapes = PublishedCheckpoint.textEncoder.shapes
        shapes["blocks.7.pos_embedding.embedding.weight"] = nil
        return shapes
      }()),
  ]
}

struct ForeignCheckpointTests {
  @Test(arguments: ForeignCheckpoint.all)
  func `What Kino can't run is named and refused`(checkpoint: ForeignCheckpoint) throws {
    let weights = try SparseCheckpoint.open(checkpoint.shapes)
    let error = try #require(
      #expect(throws: ModelError.self) { try CheckpointForm.recognise(in: weights) })
    #expect(error.description.contains(checkpoint.text), "\(error)")
    #expect(error.description.count < 800)
  }

  @Test(arguments: [0, 1, 40])
  func `A missing tensor is named when the network is loaded`(index: Int) throws {
    var shapes = PublishedCheckpoint.transformers[0].shapes
    let keys = shapes.keys.filter { $0.hasPrefix("blocks.3.") || $0.hasPrefix("text_") }.sorted()
    let key = keys[index % keys.count]
    shapes[key] = nil
    let form = try only(SparseCheckpoint.open(shapes))
    let mismatch = KeyContract(shapes: contract(form.network)).mismatch(with: form.weights.shapes)
    #expect(mismatch.missing == [KeyStyles.transformer.ours(for: key)])
    #expect(mismatch.unused.isEmpty)
  }
}
