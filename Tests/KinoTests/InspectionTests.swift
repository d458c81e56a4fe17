import Foundation
import Kino
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@Suite struct InspectionTests {
  @Test func `Inspection of a clip tells what will be seen`() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-inspection-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let frames = (0..<7).map { index in
      let level = UInt8(30 * index)
      return Frame(width: 32, height: 16, color: Color(red: level, green: level, blue: level))
    }
    func inspect(_ name: String, rate: Double) throws -> [String: JSONValue] {
      let path = folder.appendingPathComponent(name).path
      try Clip(frames: frames, framesPerSecond: rate).write(to: path)
      return Dictionary(
        uniqueKeysWithValues: try Inspection(path).facts.map { ($0.name, $0.value) })
    }
    let broadcast = try inspect("a.mp4", rate: 29.97)
    #expect(broadcast["frames"] == .integer(7) && broadcast["size"] == .string("32x16"))
    #expect(broadcast["rate"] == .string("30000/1001"))
    #expect(broadcast["colors"] == .string("BT.709, limited range"))
    #expect(broadcast["sound"] == nil && broadcast["rotation"] == nil)
    let animation = try inspect("a.webp", rate: 12)
    #expect(animation["frames"] == .integer(7) && animation["rate"] == nil)
    #expect(animation["frames_per_second"] == .number(12))
    #expect(animation["colors"] == .string("RGB"))
  }

  private func facts(_ url: URL) throws -> [String: JSONValue] {
    Dictionary(uniqueKeysWithValues: try Inspection(url.path).facts.map { ($0.name, $0.value) })
  }

  @Test func `Weights are told by their content, whatever their names`() throws {
    let folder = try TemporaryFolder()
    let golden = try Golden("quantised-transformer").folder
    try folder.write(#"{"attention_head_dim": 16}"#, "config.json")
    for (name, format) in [
      ("model.gguf", "GGUF"), ("state.pth", "PyTorch"), ("scaled.safetensors", "safetensors"),
    ] {
      let file = folder["unnamed"]
      try? FileManager.default.removeItem(at: file)
      try FileManager.default.copyItem(at: golden.appendingPathComponent(name), to: file)
      let facts = try facts(file)
      #expect(facts["kind"] == .string("weights") && facts["format"] == .string(format))
      guard case .object(let transformer) = facts["transformer"] else {
        Issue.record("\(name): \(facts)")
        continue
      }
      #expect(transformer["use"]?.stringValue?.hasPrefix("text to video") == true)
      #expect(transformer["names"]?.stringValue?.hasPrefix("the Wan repositories") == true)
    }
  }

  @Test func `What Kino can't run is said with the reason, in bounded output`() throws {
    let folder = try TemporaryFolder()
    let tensors = Dictionary(
      uniqueKeysWithValues: (0..<100).map { ("layer.\($0).weight", Tensor.zeros([2])) })
    try SafetensorsFile.write(
      tensors, to: folder["a.safetensors"],
      metadata: ["long": String(repeating: "x", count: 100_000)])
    let facts = try facts(folder["a.safetensors"])
    #expect(facts["not_run"]?.stringValue?.contains("100 tensors of other names") == true)
    #expect(facts["more_tensors"] == .integer(68))
    #expect(try Inspection(folder["a.safetensors"].path).json.utf8.count < 8000)

    try SafetensorsFile.write(
      ["blocks.0.attn1.to_q.diff": Tensor.zeros([2])], to: folder["b.safetensors"])
    #expect(try self.facts(folder["b.safetensors"])["lora"] != nil)
    try folder.write("version https://git-lfs.github.com/spec/v1\n", "c")
    let error = #expect(throws: WeightsError.self) { try self.facts(folder["c"]) }
    #expect(error?.description.contains("Git LFS pointer") == true)
  }
}
