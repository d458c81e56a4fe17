import Foundation
import KinoWeights
import Testing

struct WeightSetTests {
  private static let tensors = (0..<10).map {
    StoredTensor(
      name: "blocks.\($0).weight", type: $0 % 3 == 0 ? .bfloat16 : .float32, shape: [$0, 5])
  }

  @discardableResult
  private func write(
    _ tensors: [StoredTensor] = Self.tensors, to folder: TemporaryFolder, limit: Int
  ) throws -> URL {
    try WeightSet.write(tensors, to: folder.url, maximumShardByteCount: limit) { tensor, take in
      try pattern(tensor).withUnsafeBytes(take)
    }
  }

  private func expectWhole(_ set: WeightSet) throws {
    #expect(Set(set.tensors) == Set(Self.tensors))
    for tensor in Self.tensors {
      #expect(set[tensor.name] == tensor)
      #expect(try set.withUnsafeBytes(of: tensor.name) { Array($0) } == pattern(tensor))
    }
  }

  @Test func `small weights are one file without an index`() throws {
    let folder = try TemporaryFolder()
    try write(to: folder, limit: 1_000_000)
    #expect(try folder.names == ["diffusion_pytorch_model.safetensors"])
    try expectWhole(WeightSet(inFolder: folder.url))
  }

  @Test(arguments: [1, 100, 200, 400])
  func `shards stay within the limit and hold everything`(limit: Int) throws {
    let folder = try TemporaryFolder()
    let url = try write(to: folder, limit: limit)
    #expect(url.lastPathComponent == "diffusion_pytorch_model.safetensors.index.json")
    let set = try WeightSet(inFolder: folder.url)
    try expectWhole(set)
    #expect(set.files.count > 1)
    for file in set.files {
      let byteCount = file.tensors.reduce(0) { $0 + $1.byteCount }
      #expect(byteCount <= limit || file.tensors.filter { $0.byteCount > 0 }.count == 1)
    }
    let index = try ConfigurationFile(at: url)
    let total = Self.tensors.reduce(0) { $0 + $1.byteCount }
    #expect(index.values["metadata"] == .object(["total_size": .integer(total)]))
  }

  @Test func `a new checkpoint takes the place of an older one of the same stem only`() throws {
    let folder = try TemporaryFolder()
    for name in ["config.json", "diffusion_pytorch_model.fp16.safetensors", "other.safetensors"] {
      try folder.write("kept", name)
    }
    try write(to: folder, limit: 100)
    try write(to: folder, limit: 300)
    try expectWhole(WeightSet(inFolder: folder.url))
    try write(to: folder, limit: 1_000_000)
    try expectWhole(WeightSet(inFolder: folder.url))
    #expect(
      try folder.names == [
        "config.json", "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.safetensors", "other.safetensors",
      ])
  }

  @Test func `a name in two shards is refused`() throws {
    let folder = try TemporaryFolder()
    let twice = [Self.tensors[4], Self.tensors[4]]
    #expect(weightsError { try write(twice, to: folder, limit: 1) }?.code == .duplicateKey)
    #expect(try folder.names == [])
  }

  @Test func `a writer stopped between shards leaves no checkpoint`() throws {
    struct Stop: Error {}
    let folder = try TemporaryFolder()
    #expect(throws: Stop.self) {
      try WeightSet.write(Self.tensors, to: folder.url, maximumShardByteCount: 100) {
        tensor, take in
        if tensor.name == "blocks.9.weight" { throw Stop() }
        try pattern(tensor).withUnsafeBytes(take)
      }
    }
    #expect(weightsError { _ = try WeightSet(inFolder: folder.url) }?.code == .notFound)
  }

  @Test func `a folder with two sets of weights, or none, is refused`() throws {
    let folder = try TemporaryFolder()
    #expect(weightsError { _ = try WeightSet(inFolder: folder.url) }?.code == .notFound)
    try folder.write(safetensors("{}"), "model.safetensors")
    #expect(try WeightSet(inFolder: folder.url).tensors.isEmpty)
    try folder.write("{}", "model.safetensors.index.json")
    #expect(weightsError { _ = try WeightSet(inFolder: folder.url) }?.code == .ambiguous)
  }

  @Test(arguments: [
    (#"{"weight_map":{"a":"../other/model.safetensors"}}"#, WeightsError.Code.unsafePath),
    (#"{"weight_map":{"a":"/etc/passwd"}}"#, .unsafePath),
    (#"{"weight_map":{"a":".."}}"#, .unsafePath),
    (#"{"weight_map":{"a":""}}"#, .unsafePath),
    (#"{"weight_map":{"a":"sub\\file"}}"#, .unsafePath),
    (#"{"weight_map":{"a":"x\u0000y"}}"#, .unsafePath),
    (#"{"weight_map":{"a":"none.safetensors"}}"#, .missingShard),
    (#"{"weight_map":{"a":"one.safetensors","c":"one.safetensors"}}"#, .missingTensor),
    (#"{"weight_map":{}}"#, nil),
    (#"{"weight_map":{"a":"two.safetensors"}}"#, .unlistedTensor),
    (#"{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}"#, .duplicateKey),
    (#"{"weight_map":{},"weight_map":{}}"#, .duplicateKey),
    (#"{"metadata":{"total_size":1.5e3,"x":[null,true,{"y":"z"}]}}"#, .missingKey),
    (#"{"weight_map":[]}"#, .notJSON),
    (#"{"weight_map":{"a":1}}"#, .notJSON),
    (#"{"weight_map":{}} trailing"#, .notJSON),
    (#"{"metadata":\#(String(repeating: "[", count: 100_000))"#, .notJSON),
    (#"{"metadata":tru,"weight_map":{}}"#, .notJSON),
    ("", .notJSON),
  ])
  func `an index is read as strictly as a file`(text: String, code: WeightsError.Code?) throws {
    let folder = try TemporaryFolder()
    try folder.write(safetensors("{\(entry("a"))}", data: 4), "one.safetensors")
    let two = "{\(entry("a")),\(entry("b", "U8", [1], [4, 5]))}"
    try folder.write(safetensors(two, data: 5), "two.safetensors")
    let url = try folder.write(text, "model.safetensors.index.json")
    guard let code else {
      #expect(try WeightSet(at: url).tensors.isEmpty)
      return
    }
    #expect(weightsError { _ = try WeightSet(at: url) }?.code == code)
  }

  @Test func `shards behind links are read, as in a download cache`() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(safetensors("{\(entry("a"))}", data: 4), "blob")
    try FileManager.default.createSymbolicLink(
      at: folder["one.safetensors"], withDestinationURL: url)
    let index = try folder.write(
      #"{"weight_map":{"a":"one.safetensors"}}"#, "model.safetensors.index.json")
    #expect(try WeightSet(at: index).tensors.count == 1)
  }
}
