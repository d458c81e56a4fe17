import Foundation
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

@Suite struct ModelCatalogTests {
  private func models(_ places: URL..., verifying: Bool = false) -> [FoundModel] {
    ModelCatalog(searching: places, verifying: verifying).models
  }

  @Test func `A model that runs, and weights beside it, are told apart`() throws {
    let tiny = try TinyFolder()
    let golden = try Golden("quantised-transformer").folder
    try FileManager.default.copyItem(
      at: golden.appendingPathComponent("model.gguf"),
      to: tiny.url.appendingPathComponent("wan.gguf"))
    try SafetensorsFile.write(
      ["transformer.blocks.0.attn1.to_q.diff": Tensor.zeros([2])],
      to: tiny.url.appendingPathComponent("style.safetensors"))
    let found = models(tiny.url, tiny.url)
    #expect(found.map(\.name) == ["style.safetensors", "wan.gguf", "tiny"])
    #expect(found.map(\.isWhole) == [true, true, true])
    #expect(found[0].uses == ["a LoRA of 1 layers, for --lora"])
    #expect(found[1].form == "GGUF" && found[1].bytes > 0)
    // Nothing says how wide its heads are.
    #expect(found[1].notRun?.contains("heads of 128") == true)
    #expect(found[2].uses == ["text to video, and every verb of Kino"] && found[2].bytes > 0)
  }

  @Test func `Repositories of the hub's cache have their names, and unfinished downloads`() throws {
    let tiny = try TinyFolder()
    let manager = FileManager.default
    let repository = tiny.url.appendingPathComponent("hub/models--some--thing")
    let snapshot = repository.appendingPathComponent("snapshots/0123abcd")
    try manager.createDirectory(at: snapshot, withIntermediateDirectories: true)
    let blobs = repository.appendingPathComponent("blobs")
    try manager.createDirectory(at: blobs, withIntermediateDirectories: true)
    let blob = blobs.appendingPathComponent("ff00")
    try SafetensorsFile.write(["a": Tensor.ones([2])], to: blob)
    try manager.createSymbolicLink(
      atPath: snapshot.appendingPathComponent("a.safetensors").path,
      withDestinationPath: "../../blobs/ff00")
    try Data().write(to: blobs.appendingPathComponent("ee11.incomplete"))
    let found = models(tiny.url.appendingPathComponent("hub"))
    #expect(found.map(\.name) == ["some/thing/a.safetensors"])
    #expect(found.first?.missing == ["1 files whose download did not end"])
    #expect(found.first?.notRun?.contains("1 tensors of other names") == true)
  }

  @Test func `A number that no network has is found, in a file of the right length`() throws {
    let tiny = try TinyFolder()
    let file = tiny.model.appendingPathComponent(
      "transformer/diffusion_pytorch_model.safetensors")
    var bytes = try Data(contentsOf: file)
    let place = bytes.count - 1
    #expect(models(tiny.model, verifying: true).first?.isWhole == true)
    // The exponent's highest bit, of the last number.
    bytes[place] ^= 0x40
    try bytes.write(to: file)
    #expect(models(tiny.model).first?.isWhole == true)
    let faults = try #require(models(tiny.model, verifying: true).first).faults
    #expect(faults.count == 1 && faults.first?.contains("Bytes of the file were changed") == true)
  }

  @Test func `A download's checksum finds any changed byte`() throws {
    let tiny = try TinyFolder()
    let folder = tiny.url.appendingPathComponent("local")
    let file = folder.appendingPathComponent("split_files/a.safetensors")
    let note = folder.appendingPathComponent(
      ".cache/huggingface/download/split_files/a.safetensors.metadata")
    for url in [file, note] {
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    }
    try SafetensorsFile.write(["blocks.0.attn1.to_q.diff": Tensor.zeros([8])], to: file)
    let sum = try WeightSet(at: file).fileHash().hexadecimal
    try "0123abcd\n\(sum)\n1.5\n".write(to: note, atomically: true, encoding: .utf8)
    #expect(models(folder, verifying: true).first?.faults == [])
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count - 4] ^= 1
    try bytes.write(to: file)
    let faults = try #require(models(folder, verifying: true).first).faults
    #expect(faults.count == 1 && faults.first?.contains("SHA-256 \(sum.prefix(12))") == true)
  }

  @Test func `Every file at fault is found, not only the first`() throws {
    let tiny = try TinyFolder()
    let transformer = tiny.model.appendingPathComponent("transformer")
    let file = transformer.appendingPathComponent("diffusion_pytorch_model.safetensors")
    let set = try WeightSet(at: file)
    var tensors: [String: Tensor] = [:]
    for name in set.tensors.map(\.name) { tensors[name] = try set.tensor(named: name) * 1 }
    try WeightSet.write(tensors, to: transformer, maximumShardByteCount: 20_000)
    let shards = try FileManager.default.contentsOfDirectory(atPath: transformer.path).sorted()
      .filter { $0.hasSuffix(".safetensors") }
    try #require(shards.count >= 4)
    func url(_ shard: Int) -> URL { transformer.appendingPathComponent(shards[shard]) }
    #expect(models(tiny.model, verifying: true).first?.isWhole == true)

    let bytes = try Data(contentsOf: url(0))
    try bytes.prefix(bytes.count - 1).write(to: url(0))
    try Data("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8).write(to: url(1))
    try Data(repeating: 0xFF, count: 100).write(to: url(2))
    try FileManager.default.removeItem(at: url(3))
    try Data("version https://git-lfs.github.com/spec/v1\n".utf8)
      .write(to: tiny.model.appendingPathComponent("tokenizer/spiece.model"))
    let found = try #require(models(tiny.model, verifying: true).first)
    #expect(found.missing.count == 1 && found.missing.first?.contains(shards[3]) == true)
    #expect(found.faults.count == 4, "\(found.faults)")
    let pointers = found.faults.filter { $0.contains("Git LFS pointer") }
    #expect(pointers.count == 2)
    #expect(found.uses.isEmpty)
    // Without opening every file, the first fault tells that there is one.
    #expect(models(tiny.model).first?.isWhole == false)
  }
}
