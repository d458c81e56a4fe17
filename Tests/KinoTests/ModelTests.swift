import Foundation
import Kino
import KinoTestSupport
import Testing

@Suite struct ModelTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  private func replace(_ file: String, _ edit: (String) -> String) throws {
    let url = folder.model.appendingPathComponent(file)
    try edit(String(contentsOf: url, encoding: .utf8))
      .write(to: url, atomically: true, encoding: .utf8)
  }

  @Test func `A model says what it is`() throws {
    let model = try Model(at: folder.model)
    #expect(model.name == "tiny")
    #expect(model.sizeMultiple == 32)
    #expect(model.windowFrames == 17)
    #expect(try model.hash() == Model(at: folder.model).hash())
  }

  @Test func `A missing model is named with where it was looked for`() async throws {
    for source in [ModelSource.named("no-such-model"), .named("../x"), .folder(folder.url)] {
      await #expect(throws: (any Error).self) { try await Studio(model: source) }
    }
    let error = await #expect(throws: StudioError.self) {
      try await Studio(model: .named("no-such-model"))
    }
    #expect(error?.code == .modelNotFound)
    #expect(error?.details.contains("no-such-model") == true)
  }

  @Test(arguments: [
    ("transformer/config.json", "\"in_channels\" : 16", "\"in_channels\" : 8"),
    ("transformer/config.json", "\"text_dim\" : 32", "\"text_dim\" : 33"),
    ("text_encoder/config.json", "\"vocab_size\" : ", "\"vocab_size\" : -"),
    ("vae/config.json", "\"z_dim\" : 16", "\"z_dim\" : 17"),
    ("scheduler/scheduler_config.json", "3.0", "0"),
    ("scheduler/scheduler_config.json", "3.0", "\"three\""),
    ("kino.json", "\"64x64\"", "\"64\""),
    ("kino.json", "\"steps\": 3", "\"steps\": 0"),
    ("kino.json", "\"maximum_pixels\": 65536", "\"maximum_pixels\": -1"),
    ("kino.json", "\"bias\": [0, 0, 0]", "\"bias\": [0, 0]"),
    ("kino.json", "}", ""),
    ("model_index.json", "\"transformer\"", "\"transformer_2\""),
  ])
  func `A model whose parts do not fit is refused`(
    file: String, old: String, new: String
  ) throws {
    try replace(file) {
      #expect($0.contains(old))
      return $0.replacing(old, with: new)
    }
    #expect(throws: (any Error).self) { try Model(at: folder.model) }
  }

  @Test(arguments: ["vae", "transformer"])
  func `Weights that are cut off or not the model's are refused`(component: String) async throws {
    let url = folder.model.appendingPathComponent(
      component + "/diffusion_pytorch_model.safetensors")
    let bytes = try Data(contentsOf: url)
    try bytes.prefix(bytes.count / 2).write(to: url)
    await #expect(throws: (any Error).self) { try await folder.studio().warmUp() }
    let other = component == "vae" ? "transformer" : "vae"
    let from = folder.model.appendingPathComponent(other + "/diffusion_pytorch_model.safetensors")
    try FileManager.default.removeItem(at: url)
    try FileManager.default.copyItem(at: from, to: url)
    await #expect(throws: (any Error).self) { try await folder.studio().warmUp() }
  }

  @Test func `A device that is not there is refused`() async throws {
    let error = await #expect(throws: StudioError.self) {
      try await Studio(model: .folder(folder.model), device: .mps)
    }
    #expect(error?.code == .unsupported)
  }

  @Test func `Inspection tells parameters and recipes`() throws {
    let model = try Inspection(folder.model.path)
    #expect(model.facts.contains { $0.name == "hash" })
    #expect(model.description.contains("parameters: "))
    let weights = try Inspection(folder.model.path + "/vae/diffusion_pytorch_model.safetensors")
    #expect(weights.description.contains("decoder.conv_in.weight: F32 [32, 16, 3, 3, 3]"))
    #expect(throws: StudioError.self) { try Inspection(folder.path("nothing")) }
    #expect(throws: StudioError.self) { try Inspection(folder.url.path) }
  }
}
