import Foundation
import KinoWeights
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

struct SafetensorsWriterTests {
  private static let every = StoredType.allCases.filter { $0.blockLength == 1 }.enumerated().map {
    number, type in
    StoredTensor(name: "tensor.\(type.rawValue)", type: type, shape: [3, number])
  }

  @Test func `every element type comes back as it was written`() throws {
    let folder = try TemporaryFolder()
    let metadata = ["format": "pt", "note": "\"quotes\", \\, \n, \u{1}, имя"]
    try writeFile(Self.every, to: folder["a.safetensors"], metadata: metadata)
    let file = try SafetensorsFile(at: folder["a.safetensors"])
    #expect(Set(file.tensors) == Set(Self.every))
    #expect(file.metadata == metadata)
    for tensor in Self.every { #expect(try file.bytes(tensor.name) == pattern(tensor)) }
    #expect(try folder.names == ["a.safetensors"])
  }

  @Test func `sorted order aligns every tensor, given order keeps the caller's`() throws {
    let folder = try TemporaryFolder()
    let tensors = [
      StoredTensor(name: "b", type: .uint8, shape: [3]),
      StoredTensor(name: "a", type: .float32, shape: [2]),
      StoredTensor(name: "c", type: .float64, shape: []),
      StoredTensor(name: "A", type: .float32, shape: [1]),
    ]
    try writeFile(tensors, to: folder["sorted"])
    try writeFile(tensors, to: folder["given"], order: .given)
    #expect(try SafetensorsFile(at: folder["sorted"]).tensors.map(\.name) == ["c", "A", "a", "b"])
    let given = try SafetensorsFile(at: folder["given"])
    #expect(given.tensors.map(\.name) == ["b", "a", "c", "A"])
    // Three bytes in, hence unaligned in the file.
    #expect(try given.bytes("a") == pattern(tensors[1]))
  }

  @Test func `the data starts at a multiple of eight, and the same content is the same file`()
    throws
  {
    let folder = try TemporaryFolder()
    for length in 1...9 {
      let tensors = [
        StoredTensor(name: String(repeating: "x", count: length), type: .int8, shape: [1])
      ]
      try writeFile(tensors, to: folder["one"], metadata: ["b": "1", "a": "2"])
      try writeFile(tensors, to: folder["two"], metadata: ["a": "2", "b": "1"])
      let bytes = try Data(contentsOf: folder["one"])
      #expect(bytes.count % 8 == 1)
      #expect(try bytes == Data(contentsOf: folder["two"]))
    }
  }

  @Test func `a name twice and the reserved name are refused before anything is written`() throws {
    let folder = try TemporaryFolder()
    let tensor = StoredTensor(name: "a", type: .int8, shape: [1])
    #expect(
      weightsError { _ = try SafetensorsWriter(to: folder["x"], tensors: [tensor, tensor]) }?.code
        == .duplicateKey)
    let reserved = StoredTensor(name: "__metadata__", type: .int8, shape: [1])
    #expect(
      weightsError { _ = try SafetensorsWriter(to: folder["x"], tensors: [reserved]) }?.code
        == .duplicateKey)
    #expect(try folder.names == [])
  }

  @Test func `unknown names, second writes and wrong sizes are refused`() throws {
    let folder = try TemporaryFolder()
    let tensor = StoredTensor(name: "a", type: .int16, shape: [2])
    var writer = try SafetensorsWriter(to: folder["x"], tensors: [tensor])
    let bytes = [UInt8](repeating: 0, count: 4)
    try bytes.withUnsafeBytes { bytes in
      #expect(weightsError { try writer.write(bytes, for: "b") }?.code == .missingTensor)
      let half = UnsafeRawBufferPointer(rebasing: bytes[..<2])
      #expect(weightsError { try writer.write(half, for: "a") }?.code == .sizeMismatch)
      try writer.write(bytes, for: "a")
      #expect(weightsError { try writer.write(bytes, for: "a") }?.code == .missingTensor)
    }
    try writer.finish()
    #expect(try folder.names == ["x"])
  }

  @Test func `an unfinished file leaves the old one as it was, and nothing else`() throws {
    let folder = try TemporaryFolder()
    let tensors = Self.every
    try writeFile([tensors[1]], to: folder["x"])
    let before = try Data(contentsOf: folder["x"])
    let error = weightsError {
      var writer = try SafetensorsWriter(to: folder["x"], tensors: tensors)
      try pattern(tensors[2]).withUnsafeBytes { try writer.write($0, for: tensors[2].name) }
      try writer.finish()
    }
    #expect(error?.code == .unfinished)
    #expect(try Data(contentsOf: folder["x"]) == before)
    #expect(try folder.names == ["x"])
  }

  @Test func `a writer that is killed leaves no target`() async throws {
    let folder = try TemporaryFolder()
    let path = folder["x"].path
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let tensors = (0..<2).map { StoredTensor(name: "\($0)", type: .uint8, shape: [4096]) }
      var writer = try SafetensorsWriter(to: URL(fileURLWithPath: path), tensors: tensors)
      try pattern(tensors[0]).withUnsafeBytes { try writer.write($0, for: "0") }
      kill(getpid(), SIGKILL)
      try writer.finish()
    }
    let names = try folder.names
    #expect(names.count == 1, "the writer got as far as its temporary file")
    #expect(names.allSatisfy { $0.hasPrefix(".kino-") && $0.hasSuffix(".partial") })
  }

  @Test func `a folder that is missing, a file, or not writable is an error that says so`() throws {
    let folder = try TemporaryFolder()
    try folder.write([1], "file")
    let tensor = StoredTensor(name: "a", type: .int8, shape: [1])
    for url in [folder["none/x"], folder["file/x"], URL(fileURLWithPath: "/proc/x")] {
      let error = weightsError { try writeFile([tensor], to: url) }
      #expect(error?.code == .cannotWrite)
      #expect(error?.path == url.path)
    }
    try FileManager.default.createDirectory(at: folder["taken"], withIntermediateDirectories: false)
    #expect(weightsError { try writeFile([tensor], to: folder["taken"]) }?.code == .cannotWrite)
    #expect(try folder.names == ["file", "taken"])
  }

  @Test(.enabled(if: geteuid() != 0, "root may write anywhere"))
  func `a read-only folder is an error`() throws {
    let folder = try TemporaryFolder()
    chmod(folder.url.path, 0o555)
    defer { chmod(folder.url.path, 0o755) }
    let tensor = StoredTensor(name: "a", type: .int8, shape: [1])
    #expect(weightsError { try writeFile([tensor], to: folder["x"]) }?.code == .cannotWrite)
  }

  @Test func `a link in the target's place is replaced, not followed`() throws {
    let folder = try TemporaryFolder()
    try #require(symlink("/dev/full", folder["full"].path) == 0)
    try writeFile([StoredTensor(name: "a", type: .int8, shape: [1])], to: folder["full"])
    #expect(try SafetensorsFile(at: folder["full"]).tensors.count == 1)
  }
}
