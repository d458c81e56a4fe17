import Foundation
import KinoTensor
import KinoWeights
import Testing

/// Builds zip files that store what they are given, and pickles byte by byte.
enum TorchBuilder {
  static func number<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    GGUFBuilder.number(value)
  }

  /// A zip file; `method` is 0 for stored files.
  static func zip(_ files: [(name: String, bytes: [UInt8])], method: UInt16 = 0) -> [UInt8] {
    var (data, directory): ([UInt8], [UInt8]) = ([], [])
    for file in files {
      let offset = UInt32(data.count)
      let sizes = number(UInt32(file.bytes.count)) + number(UInt32(file.bytes.count))
      let common =
        number(UInt16(0)) + number(method) + number(UInt32(0)) + number(UInt32(0)) + sizes
        + number(UInt16(file.name.utf8.count)) + number(UInt16(0))
      data += number(UInt32(0x0403_4B50)) + number(UInt16(20)) + common + Array(file.name.utf8)
      data += file.bytes
      directory += number(UInt32(0x0201_4B50)) + number(UInt16(20)) + number(UInt16(20)) + common
      directory += Array(repeating: 0, count: 10) + number(offset) + Array(file.name.utf8)
    }
    let count = number(UInt16(files.count))
    return data + directory + number(UInt32(0x0605_4B50)) + [0, 0, 0, 0] + count + count
      + number(UInt32(directory.count)) + number(UInt32(data.count)) + [0, 0]
  }

  /// A zip file with 64-bit sizes and offsets throughout, as files above 4 GB have.
  static func wideZip(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    let narrow = number(UInt32.max)
    var (data, directory): ([UInt8], [UInt8]) = ([], [])
    for file in files {
      let sizes = number(UInt64(file.bytes.count)) + number(UInt64(file.bytes.count))
      let name = number(UInt16(file.name.utf8.count))
      let offset = number(UInt64(data.count))
      let start = number(UInt16(45)) + Array(repeating: 0, count: 12) + narrow + narrow + name
      data += number(UInt32(0x0403_4B50)) + start + number(UInt16(20)) + Array(file.name.utf8)
      data += number(UInt16(1)) + number(UInt16(16)) + sizes + file.bytes
      directory += number(UInt32(0x0201_4B50)) + number(UInt16(45)) + start + number(UInt16(34))
      directory += Array(repeating: 0, count: 10) + narrow + Array(file.name.utf8)
      // A field of another kind stands first.
      directory += number(UInt16(0x5555)) + number(UInt16(2)) + [9, 9]
      directory += number(UInt16(1)) + number(UInt16(24)) + sizes + offset
    }
    let count = number(UInt64(files.count))
    let end =
      number(UInt32(0x0606_4B50)) + number(UInt64(44)) + number(UInt16(45))
      + number(UInt16(45)) + Array(repeating: 0, count: 8) + count + count
      + number(UInt64(directory.count)) + number(UInt64(data.count))
    let locator =
      number(UInt32(0x0706_4B50)) + number(UInt32(0))
      + number(UInt64(data.count + directory.count)) + number(UInt32(1))
    let short = number(UInt16.max)
    return data + directory + end + locator + number(UInt32(0x0605_4B50)) + [0, 0, 0, 0] + short
      + short + narrow + narrow + [0, 0]
  }

  static func archive(_ pickle: [UInt8], storage: [UInt8] = Array(repeating: 0, count: 16))
    -> [UInt8]
  {
    zip([("a/data.pkl", pickle), ("a/data/0", storage), ("a/version", Array("3\n".utf8))])
  }

  /// A file in the old form: pickles one behind another, then storages.
  static func legacy(
    version: UInt16 = 1001, machine: [UInt8] = [0x7D], tensor: [UInt8] = TorchBuilder.tensor(),
    order: [String] = ["0"], length: UInt64 = 4, data: Int = 16
  ) -> [UInt8] {
    let signature: [UInt8] = [
      0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]
    var bytes = signature
    bytes += [0x80, 2, 0x4D] as [UInt8]
    bytes += number(version)
    bytes += [0x2E, 0x80, 2] as [UInt8]
    bytes += machine
    bytes += [0x2E] as [UInt8]
    bytes += tensor
    bytes += [0x80, 2, 0x5D] as [UInt8]
    for key in order { bytes += text(key) + [0x61] as [UInt8] }
    bytes.append(0x2E)
    for _ in order {
      bytes += number(length)
      bytes += [UInt8](repeating: 0, count: data)
    }
    return bytes
  }

  static func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + number(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }

  /// A pickle of a dictionary with one tensor.
  static func tensor(
    offset: [UInt8] = [0x4B, 0], shape: [UInt8] = [2, 2], strides: [UInt8] = [2, 1],
    storage: String = "FloatStorage", key: String = "0"
  ) -> [UInt8] {
    func tuple(_ numbers: [UInt8]) -> [UInt8] { [0x28] + numbers.flatMap { [0x4B, $0] } + [0x74] }
    return [0x80, 2, 0x7D] + text("w") + global("torch._utils", "_rebuild_tensor_v2") + [
      0x28, 0x28,
    ]
      + text("storage") + global("torch", storage) + text(key) + text("cpu") + [
        0x4B, 4, 0x74, 0x51,
      ]
      + offset + tuple(shape) + tuple(strides) + [0x89]
      + global("collections", "OrderedDict") + [0x29, 0x52, 0x74, 0x52, 0x73, 0x2E]
  }
}

/// A file that must be refused, and the error it must give.
struct HostileArchive: CustomTestStringConvertible {
  let what: String
  let code: WeightsError.Code
  let bytes: [UInt8]
  var testDescription: String { what }

  init(_ what: String, _ code: WeightsError.Code, _ bytes: [UInt8]) {
    (self.what, self.code, self.bytes) = (what, code, bytes)
  }

  /// An archive with this pickle.
  init(_ what: String, _ code: WeightsError.Code, pickle: [UInt8]) {
    self.init(what, code, TorchBuilder.archive(pickle))
  }

  private static let call = [UInt8](TorchBuilder.text("touch /tmp/x") + [0x85, 0x52, 0x2E])

  static let pickles: [HostileArchive] = [
    .init(
      "a call of os.system", .unsafeContent, pickle: TorchBuilder.global("os", "system") + call),
    .init(
      "a call of eval", .unsafeContent, pickle: TorchBuilder.global("builtins", "eval") + call),
    .init(
      "a name put together on the stack", .unsafeContent,
      pickle: TorchBuilder.text("posix") + TorchBuilder.text("system") + [0x93] + call),
    .init(
      "a name of torch that is no type", .unsafeContent,
      pickle: TorchBuilder.global("torch", "load") + call),
    .init(
      "an object made from a class", .unsafeContent,
      pickle: TorchBuilder.global("collections", "OrderedDict") + [0x29, 0x81, 0x2E]),
    .init("an extension's code", .unsafeContent, pickle: [0x80, 2, 0x82, 1, 0x2E]),
    .init("an instance of protocol 0", .unsafeContent, pickle: Array("(ios\nsystem\n.".utf8)),
    .init("an empty pickle", .badEntry, pickle: []),
    .init("a pickle that does not end", .badEntry, pickle: [0x80, 2, 0x7D]),
    .init("an empty stack", .badEntry, pickle: [0x2E]),
    .init("a number instead of a dictionary", .unsupportedFormat, pickle: [0x4B, 1, 0x2E]),
    .init("an empty dictionary", .unsupportedFormat, pickle: [0x7D, 0x2E]),
    .init("a text of 4 GB", .badEntry, pickle: [0x58, 255, 255, 255, 255]),
    .init("something never remembered", .badEntry, pickle: [0x68, 7, 0x2E]),
    .init(
      "a million lists, each in the next", .unsupportedFormat,
      pickle: Array(repeating: 0x5D, count: 1_000_000) + Array(repeating: 0x61, count: 999_999)
        + [0x2E]),
    .init(
      "a million tuples, each in the next", .unsupportedFormat,
      pickle: [0x29] + Array(repeating: 0x85, count: 1_000_000) + [0x2E]),
    .init(
      "a dictionary that holds itself as its state", .unsupportedFormat,
      pickle: [0x7D, 0x71, 0] + TorchBuilder.text("model") + [0x68, 0, 0x73, 0x2E]),
    .init("a storage of no known type", .unsafeContent, pickle: TorchBuilder.tensor(storage: "X")),
    .init("a storage that is not there", .missingTensor, pickle: TorchBuilder.tensor(key: "9")),
    .init("a storage outside", .missingTensor, pickle: TorchBuilder.tensor(key: "../../version")),
    .init("a storage too small", .outOfRange, pickle: TorchBuilder.tensor(shape: [3, 2])),
    .init(
      "an offset behind the storage", .outOfRange, pickle: TorchBuilder.tensor(offset: [0x4B, 1])),
    .init(
      "a negative offset", .outOfRange,
      pickle: TorchBuilder.tensor(offset: [0x4A, 255, 255, 255, 255])),
    .init(
      "an offset near 2^63", .outOfRange,
      pickle: TorchBuilder.tensor(offset: [0x8A, 8, 255, 255, 255, 255, 255, 255, 255, 127])),
    .init("a transposed view", .unsupportedFormat, pickle: TorchBuilder.tensor(strides: [1, 2])),
    .init(
      "one number as many", .unsupportedFormat,
      pickle: TorchBuilder.tensor(shape: [255, 255], strides: [0, 0])),
    .init("fewer strides than axes", .unsupportedFormat, pickle: TorchBuilder.tensor(strides: [1])),
  ]

  static let legacy: [HostileArchive] = [
    .init("another version", .unsupportedFormat, TorchBuilder.legacy(version: 1000)),
    .init(
      "a big-endian machine", .unsupportedFormat,
      TorchBuilder.legacy(machine: [0x7D] + TorchBuilder.text("little_endian") + [0x89, 0x73])),
    .init(
      "code in the facts about the machine", .unsafeContent,
      TorchBuilder.legacy(machine: TorchBuilder.global("os", "system"))),
    .init("a storage that no tensor names", .badEntry, TorchBuilder.legacy(order: ["0", "9"])),
    .init("a storage twice", .duplicateKey, TorchBuilder.legacy(order: ["0", "0"])),
    .init("a storage left out", .missingTensor, TorchBuilder.legacy(order: [])),
    .init("a storage longer than the file", .outOfRange, TorchBuilder.legacy(length: 40)),
    .init("a storage of 2^63 elements", .badNumber, TorchBuilder.legacy(length: 1 << 63)),
    .init("a storage shorter than its tensor", .outOfRange, TorchBuilder.legacy(length: 3)),
    .init(
      "a file that ends before its storages", .truncatedHeader,
      Array(TorchBuilder.legacy().dropLast(20))),
  ]

  static let archives: [HostileArchive] = [
    .init("no directory", .truncatedHeader, [0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 60)),
    .init(
      "a compressed file", .unsupportedFormat,
      TorchBuilder.zip([("a/data.pkl", TorchBuilder.tensor())], method: 8)),
    .init("a zip of something else", .unsupportedFormat, TorchBuilder.zip([("a.txt", [1])])),
    .init(
      "two pickles", .unsupportedFormat,
      TorchBuilder.zip([("a/data.pkl", [0x2E]), ("b/data.pkl", [0x2E])])),
    .init(
      "a name twice", .duplicateKey,
      TorchBuilder.zip([("a/data.pkl", [0x2E]), ("a/data.pkl", [0x2E])])),
    .init(
      "a big-endian file", .unsupportedFormat,
      TorchBuilder.zip([("a/data.pkl", TorchBuilder.tensor()), ("a/byteorder", Array("big".utf8))])
    ),
    .init(
      "a huge pickle", .headerTooLarge,
      TorchBuilder.archive(Array(repeating: 0x4E, count: 8_000_001))),
    .init(
      "a file cut short", .truncatedHeader,
      Array(TorchBuilder.archive(TorchBuilder.tensor()).dropLast(9))),
  ]
}

struct TorchArchiveTests {
  @Test(arguments: ["state", "wrapped", "old"])
  func `a state dictionary has the tensors that were saved`(name: String) throws {
    let file = try WeightFile(at: fixture("\(name).pth"))
    let expected = try SafetensorsFile(at: fixture("\(name).safetensors"))
    #expect(file.format == .torch)
    #expect(Set(file.tensors.map(\.name)) == Set(expected.tensors.map(\.name)))
    for stored in expected.tensors {
      let tensor = try file.tensor(named: stored.name)
      #expect(tensor.shape == stored.shape)
      #expect(tensor.dtype == stored.type.dtype)
      #expect(tensor.floats() == (try expected.tensor(named: stored.name)).floats())
    }
  }

  @Test func `a pickle made here is read, so that those that break a rule are refused for it`()
    throws
  {
    let folder = try TemporaryFolder()
    for bytes in [TorchBuilder.archive(TorchBuilder.tensor()), TorchBuilder.legacy()] {
      let url = try folder.write(bytes, "a.pth")
      #expect(try WeightFile(at: url).tensors.map(\.shape) == [[2, 2]])
    }
  }

  @Test func `files above 4 GB have 64-bit sizes, which are read`() throws {
    let folder = try TemporaryFolder()
    let files: [(name: String, bytes: [UInt8])] = [
      ("a/data.pkl", TorchBuilder.tensor()),
      ("a/data/0", [1.0, 2, 3, 4].flatMap { TorchBuilder.number(Float($0).bitPattern) }),
    ]
    let bytes = TorchBuilder.wideZip(files)
    let file = try WeightFile(at: folder.write(bytes, "a.pth"))
    #expect(try file.tensor(named: "w").floats() == [1, 2, 3, 4])
    for length in [bytes.count - 60, bytes.count - 30] {
      let url = try folder.write(Array(bytes.prefix(length) + bytes.suffix(22)), "b.pth")
      #expect(weightsError { _ = try WeightFile(at: url) } != nil)
    }
  }

  @Test(arguments: HostileArchive.pickles + HostileArchive.archives + HostileArchive.legacy)
  func `a file that asks for more than tensors is refused with the reason`(file: HostileArchive)
    throws
  {
    let folder = try TemporaryFolder()
    let url = try folder.write(file.bytes, "a.pth")
    let error = try #require(weightsError { _ = try WeightFile(at: url) })
    #expect(error.code == file.code, "\(error)")
    #expect(error.description.count < 800)
  }

  @Test(arguments: [
    ("turned.pth", WeightsError.Code.unsupportedFormat, "contiguous"),
    ("module.pth", .unsafeContent, "torch.nn.modules.linear.Linear"),
  ])
  func `other files of PyTorch are named and refused`(
    name: String, code: WeightsError.Code, text: String
  ) throws {
    let error = try #require(weightsError { _ = try WeightFile(at: fixture(name)) })
    #expect(error.code == code)
    #expect(error.description.contains(text))
  }

  @Test(arguments: ["state.pth", "old.pth"])
  func `no damage crashes the reader`(name: String) throws {
    let folder = try TemporaryFolder()
    var generator = CountingGenerator(state: 9)
    let seed = Array(try Data(contentsOf: fixture(name)))
    for _ in 0..<400 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let position = Int.random(in: 4..<bytes.count, using: &generator)
        bytes[position] = UInt8.random(in: 0...255, using: &generator)
      }
      let url = try folder.write(bytes, "a.pth")
      do {
        let file = try WeightFile(at: url)
        for tensor in file.tensors { _ = try file.withUnsafeBytes(of: tensor.name) { $0.count } }
      } catch {
        #expect(error is WeightsError)
      }
    }
  }
}

struct FileSignatureTests {
  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "LFS pointer"),
    ("<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
  ])
  func `what a failed download leaves is named`(text: String, name: String) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(text, "model.safetensors")
    let error = try #require(weightsError { _ = try WeightSet(at: url) })
    #expect(error.code == .unsupportedFormat)
    #expect(error.details.contains(name))
  }

  @Test func `a safetensors header as long as a pickle's first bytes is no pickle`() throws {
    let folder = try TemporaryFolder()
    let header = "{\(entry("a"))}"
    let padded = header + String(repeating: " ", count: 0x280 - header.utf8.count)
    let url = try folder.write(safetensors(padded, data: 4))
    #expect(try WeightSet(at: url).tensors.count == 1)
  }

  @Test func `a folder's only file is opened, and several are refused`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(at: fixture("state.pth"), to: folder["Wan2.1_VAE.pth"])
    #expect(try WeightSet(at: folder.url)["table"]?.shape == [4, 6])
    try FileManager.default.copyItem(at: fixture("types.gguf"), to: folder["b.gguf"])
    #expect(weightsError { _ = try WeightSet(at: folder.url) }?.code == .ambiguous)
  }

  @Test func `a shard without its index is not taken for the whole`() throws {
    let folder = try TemporaryFolder()
    try folder.write(safetensors("{\(entry("a"))}", data: 4), "model-00001-of-00003.safetensors")
    let error = try #require(weightsError { _ = try WeightSet(at: folder.url) })
    #expect(error.code == .notFound)
    #expect(error.details.contains("index"))
  }
}
