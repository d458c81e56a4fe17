import Foundation
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

@Suite struct WeightConversionTests {
  private let folder: TemporaryFolder
  private let golden: URL

  /// Weights of a tiny transformer under the names of the Wan repositories, as GGUF.
  init() throws {
    folder = try TemporaryFolder()
    golden = try Golden("quantised-transformer").folder.appendingPathComponent("model.gguf")
    try FileManager.default.copyItem(at: golden, to: folder["in.gguf"])
    try folder.write(#"{"attention_head_dim": 16}"#, "config.json")
  }

  private func convert(
    _ input: String, _ output: String, _ precision: WeightPrecision?, replacing: Bool = false
  ) throws {
    try WeightConversion(precision: precision, isReplacing: replacing)
      .convert(folder[input], to: folder[output])
  }

  private static let key = "blocks.0.attn1.to_q.weight"

  @Test func `Blocks become plain numbers under our names, without loss in float32`() throws {
    try convert("in.gguf", "out.safetensors", .f32)
    let (before, after) = (
      try WeightSet(at: folder["in.gguf"]), try WeightSet(at: folder["out.safetensors"])
    )
    #expect(Set(after.tensors.map(\.type)) == [.float32])
    #expect(before.tensors.count == after.tensors.count)
    expectClose(
      try after.tensor(named: Self.key),
      try before.tensor(named: "blocks.0.self_attn.q.weight"), tolerance: 0)
    #expect(try folder.names == ["config.json", "in.gguf", "out.safetensors"])
  }

  @Test(arguments: [
    (WeightPrecision.q80, StoredType.q80, 0.01), (.f16, .float16, 1e-3), (.bf16, .bfloat16, 8e-3),
    (.f32, .float32, 1e-7),
  ])
  func `There and back the numbers stay within the type's rounding`(
    precision: WeightPrecision, type: StoredType, tolerance: Double
  ) throws {
    try convert("in.gguf", "plain.safetensors", .f32)
    try convert("plain.safetensors", "out.gguf", precision)
    let written = try WeightFile(at: folder["out.gguf"])
    #expect(written.format == .gguf)
    #expect(written.metadata["general.architecture"] == "wan")
    #expect(written["blocks.0.self_attn.q.weight"]?.type == type)
    // Five axes come back, though the format has four.
    #expect(written["patch_embedding.weight"]?.shape.count == 5)
    try convert("out.gguf", "back.safetensors", .f32)
    let (a, b) = (
      try WeightSet(at: folder["plain.safetensors"]), try WeightSet(at: folder["back.safetensors"])
    )
    #expect(a.shapes == b.shapes)
    for name in a.tensors.map(\.name) {
      let (x, y) = (try a.tensor(named: name), try b.tensor(named: name))
      #expect((x - y).abs().max().item() <= tolerance * x.abs().max().item(), "\(name)")
    }
  }

  @Test func `A model's folder keeps making its clip after a conversion`() async throws {
    let tiny = try TinyFolder()
    let output = tiny.url.appendingPathComponent("converted")
    try WeightConversion().convert(tiny.model, to: output)
    let clip = try await tiny.studio().clip(request())
    let again = try await Studio(model: .folder(output)).clip(request())
    #expect(clip == again && clip != nil)
    let half = tiny.url.appendingPathComponent("half")
    try WeightConversion(precision: .bf16).convert(tiny.model, to: half)
    #expect(
      try Model(at: half).wan().weights.transformer[Self.key]?.type == .bfloat16)
  }

  @Test func `A model runs from a GGUF file in its folder, its sizes told by config.json`()
    async throws
  {
    let tiny = try TinyFolder()
    let place = tiny.model.appendingPathComponent("transformer")
    let file = place.appendingPathComponent("diffusion_pytorch_model.safetensors")
    let before = try await tiny.studio().clip(request())
    try WeightConversion(precision: .f32).convert(
      file, to: place.appendingPathComponent("wan.gguf"))
    try FileManager.default.removeItem(at: file)
    let after = try await tiny.studio().clip(request())
    #expect(before == after && after != nil)
  }

  @Test func `What can't be converted is refused, and nothing is left`() throws {
    try folder.write("mine", "taken.gguf")
    try SafetensorsFile.write(["a": Tensor.ones([2])], to: folder["other.safetensors"])
    try convert("in.gguf", "plain.safetensors", .f32)
    var tensors: [String: Tensor] = [:]
    let plain = try WeightSet(at: folder["plain.safetensors"])
    for name in plain.tensors.map(\.name) { tensors[name] = try plain.tensor(named: name) * 1 }
    tensors[Self.key] = .full(1e6, shape: plain[Self.key]?.shape ?? [])
    try SafetensorsFile.write(tensors, to: folder["large.safetensors"])
    let names = try folder.names
    func refuses(_ input: String, _ output: String, _ precision: WeightPrecision?) {
      #expect(throws: (any Error).self) { try convert(input, output, precision) }
      #expect((try? folder.names) == names)
    }
    refuses("in.gguf", "taken.gguf", nil)
    refuses("in.gguf", "out.safetensors", .q80)
    refuses("other.safetensors", "out.safetensors", nil)
    refuses("nothing", "out.safetensors", nil)
    // More than float16 can hold: found by reading back.
    refuses("large.safetensors", "out.safetensors", .f16)
    #expect(try folder.bytes("taken.gguf") == Array("mine".utf8))
    try convert("in.gguf", "taken.gguf", .q80, replacing: true)
    #expect(try WeightFile(at: folder["taken.gguf"]).format == .gguf)
  }
}
