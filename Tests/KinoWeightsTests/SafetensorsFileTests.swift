import Foundation
import KinoWeights
import Testing

struct SafetensorsFileTests {
  private func reference() throws -> SafetensorsFile {
    let url = try #require(
      Bundle.module.url(
        forResource: "reference", withExtension: "safetensors", subdirectory: "Fixtures"))
    return try SafetensorsFile(at: url)
  }

  private func values<Value: BitwiseCopyable>(_ name: String, as type: Value.Type) throws -> [Value]
  {
    try reference().withUnsafeBytes(of: name) { bytes in
      (0..<bytes.count / MemoryLayout<Value>.stride).map {
        bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.stride, as: type)
      }
    }
  }

  @Test func `a file of the reference implementation has the tensors that were saved`() throws {
    let file = try reference()
    #expect(file.tensors.count == 13)
    #expect(file.metadata["format"] == "pt")
    #expect(file["empty"]?.shape == [0, 4])
    #expect(file["empty"]?.byteCount == 0)
    #expect(file["scalar"]?.shape == [])
    #expect(file["scalar"]?.elementCount == 1)
    #expect(file["имя \"q\" \\ ü"]?.type == .float16)
    #expect(file["nothing"] == nil)
    for (name, type) in [
      "double": StoredType.float64, "single": .float32, "half": .float16, "brain": .bfloat16,
      "long": .int64, "integer": .int32, "short": .int16, "signed": .int8, "byte": .uint8,
      "flag": .bool,
    ] {
      #expect(file[name]?.type == type)
      #expect(file[name]?.shape == [2, 3])
    }
  }

  @Test func `a file of the reference implementation has the values that were saved`() throws {
    #expect(try values("double", as: Double.self) == (0..<6).map { Double($0) / 3 })
    #expect(try values("single", as: Float.self) == (0..<6).map { Float($0) / 3 })
    // 0, 1/3, 2/3, 1, 4/3, 5/3, rounded to nearest even.
    #expect(try values("half", as: UInt16.self) == [0, 0x3555, 0x3955, 0x3C00, 0x3D55, 0x3EAB])
    #expect(try values("brain", as: UInt16.self) == [0, 0x3EAB, 0x3F2B, 0x3F80, 0x3FAB, 0x3FD5])
    #expect(try values("long", as: Int64.self) == [-3, -2, -1, 0, 1, 2])
    #expect(try values("integer", as: Int32.self) == [-3, -2, -1, 0, 1, 2])
    #expect(try values("short", as: Int16.self) == [-3, -2, -1, 0, 1, 2])
    #expect(try values("signed", as: Int8.self) == [-3, -2, -1, 0, 1, 2])
    #expect(try values("byte", as: UInt8.self) == [250, 251, 252, 253, 254, 255])
    #expect(try values("flag", as: UInt8.self) == [0, 1, 0, 1, 0, 1])
    #expect(try values("scalar", as: Float.self) == [0.1])
    #expect(try values("empty", as: Float.self) == [])
    #expect(try values("имя \"q\" \\ ü", as: UInt16.self) == [0x3E00])
  }

  @Test func `escapes in names are decoded, pairs of surrogates too`() throws {
    let folder = try TemporaryFolder()
    let header =
      #"{"a\"\\\/\b\f\n\r\t\u00e9\ud83c\udfac":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#
    let file = try SafetensorsFile(at: folder.write(safetensors(header, data: 1)))
    #expect(file.tensors.first?.name == "a\"\\/\u{8}\u{c}\n\r\té🎬")
  }

  @Test func `entries may stand in any order, with spaces between and behind`() throws {
    let folder = try TemporaryFolder()
    let header = """
      {\n "b" : {"data_offsets":[4 , 8], "shape":[ 4 ], "dtype":"U8"} ,\t"__metadata__":{ },
       \(entry("a")) }
      """
    let file = try SafetensorsFile(at: folder.write(safetensors(header + "   \n", data: 8)))
    #expect(file.tensors.map(\.name) == ["a", "b"])
    #expect(file.metadata.isEmpty)
  }

  @Test func `a file without tensors is a file`() throws {
    let folder = try TemporaryFolder()
    #expect(try SafetensorsFile(at: folder.write(safetensors("{}"))).tensors.isEmpty)
  }

  @Test func `tensors of no bytes may share a place`() throws {
    let folder = try TemporaryFolder()
    let header =
      "{"
      + [
        entry("a", "F32", [0], [4, 4]), entry("b"), entry("c", "F32", [3, 0], [0, 0]),
        entry("d", "F32", [0], [4, 4]),
      ].joined(separator: ",") + "}"
    let file = try SafetensorsFile(at: folder.write(safetensors(header, data: 4)))
    #expect(file.tensors.count == 4)
    #expect(try file.bytes("b") == [7, 7, 7, 7])
    #expect(try file.bytes("d") == [])
  }

  @Test func `a file changed while open is an error, not a crash`() throws {
    let folder = try TemporaryFolder()
    let url = folder["a.safetensors"]
    try writeFile([StoredTensor(name: "a", type: .uint8, shape: [100_000])], to: url)
    let file = try SafetensorsFile(at: url)
    let handle = try FileHandle(forWritingTo: url)
    try handle.truncate(atOffset: 1000)
    try handle.close()
    #expect(weightsError { _ = try file.bytes("a") }?.code == .changedOnDisk)
  }

  @Test func `a file replaced by renaming stays readable for those who opened it`() throws {
    let folder = try TemporaryFolder()
    let url = folder["a.safetensors"]
    let old = StoredTensor(name: "a", type: .uint8, shape: [5000])
    try writeFile([old], to: url)
    let file = try SafetensorsFile(at: url)
    try writeFile([StoredTensor(name: "b", type: .uint8, shape: [1])], to: url)
    #expect(try file.bytes("a") == pattern(old))
    #expect(try SafetensorsFile(at: url).tensors.map(\.name) == ["b"])
  }

  @Test func `asking for a tensor that is not there names it and the file`() throws {
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(at: folder.write(safetensors("{}")))
    let error = weightsError { _ = try file.bytes("blocks.0.weight") }
    #expect(error?.code == .missingTensor)
    #expect(error?.description.contains("blocks.0.weight") == true)
    #expect(error?.path.hasSuffix("file.safetensors") == true)
  }
}
