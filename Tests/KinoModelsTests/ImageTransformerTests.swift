import Foundation
import KinoModels
import KinoNN
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

/// Transformers that read pictures, against diffusers.
struct ImageTransformerTests {
  private func load(_ golden: Golden) throws -> DiffusionTransformer {
    let configuration: DiffusionTransformer.Configuration = try golden.configuration()
    try configuration.validate()
    return try WeightSet(inFolder: golden.folder).load {
      DiffusionTransformer($0, configuration: configuration)
    }
  }

  private func context(_ model: DiffusionTransformer, _ golden: Golden) -> TextContext {
    let text = golden["text"]
    return model.textContext(
      text, mask: .ones([text.size(0), text.size(1)]), paddedTo: 512, images: golden["images"])
  }

  @Test(arguments: ["image-transformer", "first-last-transformer"])
  func `The velocity agrees with the reference`(name: String) throws {
    let golden = try Golden(name)
    let model = try load(golden)
    let velocity = model(
      golden["latents"], timesteps: .perSample(golden["timestep"]), text: context(model, golden))
    expectClose(velocity, golden["velocity"], tolerance: 1e-4)
  }

  @Test(arguments: ["image-transformer", "first-last-transformer"])
  func `Pictures change the velocity, and a batch of contexts is each of them`(name: String) throws
  {
    let golden = try Golden(name)
    let model = try load(golden)
    let whole = context(model, golden)
    let parts = (0..<2).map { index in
      model.textContext(
        golden["text"].slice(0, index..<index + 1), mask: .ones([1, golden["text"].size(1)]),
        paddedTo: 512, images: golden["images"].slice(0, index..<index + 1))
    }
    let joined = try #require(TextContext.batch(parts))
    func velocity(_ text: TextContext) -> Tensor {
      model(golden["latents"], timesteps: .perSample(golden["timestep"]), text: text)
    }
    expectClose(velocity(joined), velocity(whole), tolerance: 1e-6)
    let blind = model.textContext(
      golden["text"], mask: .ones([2, golden["text"].size(1)]), paddedTo: 512)
    #expect(relativeError(velocity(blind), golden["velocity"]) > 0.05)
    #expect(TextContext.batch([parts[0], blind]) == nil)
  }

  @Test func `Blocks that are computed again give the same gradients`() throws {
    let golden = try Golden("image-transformer")
    let configuration: DiffusionTransformer.Configuration = try golden.configuration()
    func gradients(_ recomputes: Bool) throws -> [Tensor] {
      let set = try WeightSet(inFolder: golden.folder)
      let loaded = try set.loadWithParameters(isTrainable: true) {
        DiffusionTransformer($0, configuration: configuration)
      }
      var model = loaded.network
      model.recomputesBlocks = recomputes
      let velocity = model(
        golden["latents"], timesteps: .perSample(golden["timestep"]), text: context(model, golden))
      velocity.squared().mean().backward()
      return try [
        "blocks.0.attn2.add_k_proj.weight", "condition_embedder.image_embedder.norm1.bias",
      ]
      .map { key in try #require(loaded.parameters.first { $0.key == key }?.value.gradient) }
    }
    for (again, kept) in zip(try gradients(true), try gradients(false)) {
      expectClose(again, kept, tolerance: 1e-5)
    }
  }

  @Test(arguments: ["image-transformer", "first-last-transformer"])
  func `Keys, shapes and their number are those of the checkpoint`(name: String) throws {
    let golden = try Golden(name)
    let configuration: DiffusionTransformer.Configuration = try golden.configuration()
    let expected = contract(.transformer(configuration))
    #expect(expected == (try golden.weights()).mapValues(\.shape))
    #expect(expected.values.reduce(0) { $0 + $1.reduce(1, *) } == configuration.parameterCount)
    let form = try #require(
      CheckpointForm.recognise(
        in: WeightSet(inFolder: golden.folder), headDimension: configuration.headDimension
      ).first)
    #expect(form.network == .transformer(configuration))
  }
}

struct ImageEncoderTests {
  @Test func `States agree with the reference`() throws {
    let golden = try Golden("image-encoder")
    let configuration: ImageEncoder.Configuration = try golden.configuration()
    try configuration.validate()
    let encoder = try WeightSet(inFolder: golden.folder).load {
      ImageEncoder($0, configuration: configuration)
    }
    expectClose(encoder(golden["pictures"]), golden["hidden_states"], tolerance: 1e-5)
  }

  @Test func `In the names of newer transformers it gives the same states`() throws {
    let golden = try Golden("image-encoder")
    let configuration: ImageEncoder.Configuration = try golden.configuration()
    let weights = try WeightSet(inFolder: golden.folder).renamed { name in
      name.hasPrefix("vision_model.") ? String(name.dropFirst("vision_model.".count)) : nil
    }
    #expect(weights["embeddings.class_embedding"] != nil)
    let form = try #require(CheckpointForm.recognise(in: weights).first)
    let encoder = try form.weights.load { ImageEncoder($0, configuration: configuration) }
    expectClose(encoder(golden["pictures"]), golden["hidden_states"], tolerance: 1e-5)
  }

  @Test func `In OpenCLIP's names it gives the same states`() throws {
    let golden = try Golden("image-encoder")
    let configuration: ImageEncoder.Configuration = try golden.configuration()
    let weights = try WeightSet(at: golden.folder.appendingPathComponent("openclip.safetensors"))
    let form = try #require(CheckpointForm.recognise(in: weights).first)
    #expect(form.style == .original)
    // Heads can't be told from shapes at this size.
    let encoder = try form.weights.load { ImageEncoder($0, configuration: configuration) }
    expectClose(encoder(golden["pictures"]), golden["hidden_states"], tolerance: 1e-5)
  }
}
