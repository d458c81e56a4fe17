import Foundation
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

/// A tiny model and, beside it, a LoRA in the names of diffusers for the queries of its first block.
private struct Adapted {
  let folder: TinyFolder
  let down: Tensor
  let up: Tensor
  static let key = "blocks.0.attn1.to_q.weight"

  init(extra: [String: Tensor] = [:]) throws {
    folder = try TinyFolder()
    var random = RandomSource(seed: 3)
    (down, up) = (random.normal([4, 32]), random.normal([32, 4]))
    var tensors = extra
    tensors["transformer.blocks.0.attn1.to_q.lora_A.weight"] = down
    tensors["transformer.blocks.0.attn1.to_q.lora_B.weight"] = up
    try SafetensorsFile.write(tensors, to: file)
  }

  var file: URL { folder.url.appendingPathComponent("style.safetensors") }

  func studio(_ weight: Double...) async throws -> Studio {
    try await Studio(
      model: .folder(folder.model), loras: weight.map { LoRAFile(file, weight: $0) })
  }
}

@Suite struct LoRATests {
  @Test func `A merged weight is the sum by hand, and the clip follows the weight`() async throws {
    let place = try Adapted()
    let plain = try await place.folder.studio()
    let half = try await place.studio(0.5)
    let base = try plain.model.wan().weights.transformer.tensor(named: Adapted.key)
    expectClose(
      try half.model.wan().weights.transformer.tensor(named: Adapted.key),
      base + place.up.matmul(place.down) * 0.5, tolerance: 1e-5)
    expectClose(
      try await place.studio(1, -0.5).model.wan().weights.transformer.tensor(named: Adapted.key),
      base + place.up.matmul(place.down) * 0.5, tolerance: 1e-5)

    let clip = try #require(try await plain.clip(request()))
    let zero = try #require(try await place.studio(0).clip(request()))
    let one = try #require(try await place.studio(1).clip(request()))
    #expect(zero == clip)
    #expect(one != clip)
  }

  @Test func `The recipe names file, weight and hash, and the model stays the model`() async throws
  {
    let place = try Adapted()
    var recipes: [Recipe] = []
    for studio in [try await place.folder.studio(), try await place.studio(0.75)] {
      for try await event in studio.events(of: request()) {
        if case .warning(let text) = event { Issue.record("\(text)") }
        if case .finished(let result) = event { recipes.append(result.recipe) }
      }
    }
    try #require(recipes.count == 2)
    #expect(recipes[0].loras.isEmpty && !recipes[0].json.contains("lora"))
    #expect(recipes[0].modelHash == recipes[1].modelHash)
    #expect(recipes[0].model == recipes[1].model)
    let lora = try #require(recipes[1].loras.first)
    #expect(lora.weight == 0.75 && lora.hash.count == 64)
    #expect(lora.report == "2 of 2 keys used")
    #expect(recipes[1].command.contains(" --lora '\(place.file.path)':0.75 "))
    let read = try #require(Recipe(json: recipes[1].json))
    #expect(read == recipes[1] && read.json == recipes[1].json)
    #expect(Recipe(json: recipes[0].json)?.loras == [])
  }

  @Test func `Keys without a place are a warning, in plans too`() async throws {
    let place = try Adapted(extra: [
      "transformer.blocks.7.attn1.to_q.diff": .zeros([32, 32])
    ])
    let studio = try await place.studio(1)
    let warnings = try await studio.plan(request()).warnings
    #expect(warnings.count == 1)
    #expect(warnings.first?.contains("2 of 3 keys used; 1 have no place") == true)
  }

  @Test func `A LoRA of another model, or none, is an error`() async throws {
    let place = try Adapted()
    let other = place.folder.url.appendingPathComponent("other.safetensors")
    try SafetensorsFile.write(
      ["transformer.blocks.0.attn1.to_q.diff": Tensor.zeros([64, 64])], to: other)
    let weights = place.folder.model
      .appendingPathComponent("transformer/diffusion_pytorch_model.safetensors")
    for file in [other, weights, place.folder.url.appendingPathComponent("nothing")] {
      await #expect(throws: (any Error).self) {
        _ = try await Studio(model: .folder(place.folder.model), loras: [LoRAFile(file)])
      }
    }
    await #expect(throws: StudioError.self) { _ = try await place.studio(.infinity) }
  }

  @Test func `Files and weights are read from one argument`() {
    #expect(LoRAFile(parsing: "a.safetensors")?.weight == 1)
    let half = LoRAFile(parsing: "x:y/a b.safetensors:-0.5")
    #expect(half?.url.relativePath == "x:y/a b.safetensors" && half?.weight == -0.5)
    #expect(LoRAFile(parsing: "C:file")?.url.relativePath == "C:file")
    for text in ["", ":1", "a:nan", "a:inf"] { #expect(LoRAFile(parsing: text) == nil) }
  }
}
