import Foundation
import KinoNN
import KinoTensor
import KinoWeights
import Testing

/// A file of the test bundle.
func fixture(_ name: String) throws -> URL {
  let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
  return try #require(
    Bundle.module.url(
      forResource: parts[0], withExtension: parts[1], subdirectory: "Fixtures"))
}

/// Builds the bytes of a small GGUF file: by default one tensor of two rows of 32 in Q8_0.
struct GGUFBuilder {
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var valueCount: UInt64?
  var values: [(name: String, type: UInt32, bytes: [UInt8])] = []
  var tensors: [(name: String, extents: [UInt64], type: UInt32, offset: UInt64)] = [
    ("a.weight", [32, 2], 8, 0)
  ]
  var data = 68

  static func number<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  static func text(_ text: String) -> [UInt8] {
    number(UInt64(text.utf8.count)) + Array(text.utf8)
  }

  var bytes: [UInt8] {
    var bytes = Array("GGUF".utf8) + Self.number(version)
    bytes += Self.number(tensorCount ?? UInt64(tensors.count))
    bytes += Self.number(valueCount ?? UInt64(values.count))
    for value in values { bytes += Self.text(value.name) + Self.number(value.type) + value.bytes }
    for tensor in tensors {
      bytes += Self.text(tensor.name) + Self.number(UInt32(tensor.extents.count))
      for extent in tensor.extents { bytes += Self.number(extent) }
      bytes += Self.number(tensor.type) + Self.number(tensor.offset)
    }
    bytes += Array(repeating: 0, count: (32 - bytes.count % 32) % 32)
    return bytes + Array(repeating: 1, count: data)
  }
}

/// A change that breaks one rule, and the error it must give.
struct HostileGGUF: CustomTestStringConvertible {
  let what: String
  let code: WeightsError.Code
  let bytes: [UInt8]
  var testDescription: String { what }

  init(_ what: String, _ code: WeightsError.Code, _ change: (inout GGUFBuilder) -> Void) {
    var builder = GGUFBuilder()
    change(&builder)
    (self.what, self.code, bytes) = (what, code, builder.bytes)
  }

  static let files: [HostileGGUF] = [
    .init("version 1", .unsupportedFormat) { $0.version = 1 },
    .init("a big-endian file", .unsupportedFormat) { $0.version = UInt32(3).byteSwapped },
    .init("2^64 - 1 tensors", .badNumber) { $0.tensorCount = .max },
    .init("a billion values", .badNumber) { $0.valueCount = 1 << 30 },
    .init("more tensors than described", .badNumber) { $0.tensorCount = 1 << 20 },
    .init("a name of 2^60 bytes", .badNumber) {
      $0.values = [("", 4, [])]
      $0.values[0].bytes = GGUFBuilder.number(UInt64(1) << 60)
      $0.valueCount = 2
    },
    .init("a text of 2^60 bytes", .badNumber) {
      $0.values = [("x", 8, GGUFBuilder.number(UInt64(1) << 60))]
    },
    .init("an unknown type of value", .unknownType) { $0.values = [("x", 99, [])] },
    .init("lists within lists", .unsupportedType) {
      $0.values = [("x", 9, GGUFBuilder.number(UInt32(9)) + GGUFBuilder.number(UInt64(1)))]
    },
    .init("a list longer than the file", .truncatedHeader) {
      $0.values = [
        ("x", 9, GGUFBuilder.number(UInt32(10)) + GGUFBuilder.number(UInt64(90_000_000)))
      ]
    },
    .init("a value twice", .duplicateKey) {
      $0.values = [("x", 4, [1, 0, 0, 0]), ("x", 4, [1, 0, 0, 0])]
    },
    .init("an alignment of 0", .badNumber) {
      $0.values = [("general.alignment", 4, [0, 0, 0, 0])]
    },
    .init("an alignment of 24", .badNumber) {
      $0.values = [("general.alignment", 4, [24, 0, 0, 0])]
    },
    .init("a tensor twice", .duplicateKey) { $0.tensors += $0.tensors },
    .init("nine axes", .badShape) { $0.tensors[0].extents = Array(repeating: 1, count: 9) },
    .init("a product beyond 64 bits", .badShape) {
      $0.tensors[0].extents = [32, 1 << 40, 1 << 40]
    },
    .init("half a block", .badShape) { $0.tensors[0].extents = [16, 4] },
    .init("an extent beyond 63 bits", .badNumber) { $0.tensors[0].extents = [.max] },
    .init("a type Kino does not unpack", .unsupportedType) { $0.tensors[0].type = 23 },
    .init("a type nobody knows", .unsupportedType) { $0.tensors[0].type = 4000 },
    .init("an offset off the alignment", .outOfRange) { $0.tensors[0].offset = 8 },
    .init("an offset behind the file", .outOfRange) { $0.tensors[0].offset = 1 << 40 },
    .init("data cut short", .outOfRange) { $0.data = 67 },
    .init("two tensors on the same bytes", .overlap) {
      $0.tensors += [("b", [32, 1], 8, 0)]
    },
    .init("extents that do not fit", .badShape) {
      $0.values = [
        (
          "comfy.gguf.orig_shape.a.weight", 9,
          GGUFBuilder.number(UInt32(5)) + GGUFBuilder.number(UInt64(2))
            + GGUFBuilder.number(Int32(7)) + GGUFBuilder.number(Int32(9))
        )
      ]
    },
    .init("negative extents", .badShape) {
      $0.values = [
        (
          "comfy.gguf.orig_shape.a.weight", 9,
          GGUFBuilder.number(UInt32(5)) + GGUFBuilder.number(UInt64(2))
            + GGUFBuilder.number(Int32(-8)) + GGUFBuilder.number(Int32(-8))
        )
      ]
    },
  ]
}

struct GGUFTests {
  @Test func `every type unpacks to the reference's numbers, bit for bit`() throws {
    let file = try WeightFile(at: fixture("types.gguf"))
    let expected = try SafetensorsFile(at: fixture("types.safetensors"))
    #expect(file.format == .gguf)
    #expect(Set(file.tensors.map(\.name)) == Set(expected.tensors.map(\.name)))
    for stored in file.tensors {
      let tensor = try file.tensor(named: stored.name).cast(to: .float32)
      let reference = try expected.tensor(named: stored.name)
      #expect(tensor.shape == reference.shape, "\(stored.name)")
      #expect(
        tensor.floats().map(\.bitPattern) == reference.floats().map(\.bitPattern),
        "\(stored.name)")
    }
    let types = Set(file.tensors.map(\.type))
    #expect(types.isSuperset(of: StoredType.allCases.filter { $0.blockLength > 1 }))
    #expect(types.isSuperset(of: [.float32, .float16, .bfloat16]))
  }

  @Test func `extents stand in our order, with five axes and flattened ones too`() throws {
    let file = try WeightFile(at: fixture("types.gguf"))
    #expect(file["blocks.0.Q4_K.weight"]?.shape == [3, 512])
    #expect(file["patch_embedding.weight"]?.shape == [4, 3, 1, 2, 2])
    #expect(file["flat.weight"]?.shape == [4, 3, 1, 2, 2])
    #expect(file["blocks.0.Q6_K.weight"]?.byteCount == 3 * 2 * 210)
    #expect(file["blocks.0.Q6_K.weight"]?.elementCount == 3 * 512)
  }

  @Test func `what the file says about itself can be read`() throws {
    let file = try WeightFile(at: fixture("types.gguf"))
    #expect(file.metadata["general.architecture"] == "wan")
    #expect(file.metadata["tokenizer.ggml.add_space_prefix"] == "1")
    #expect(try file.texts("tokenizer.ggml.tokens") == ["<pad>", "</s>", "▁a", "ß"])
    #expect(try file.numbers("tokenizer.ggml.scores") == [0, -1.5, -2, -3.25])
    #expect(try file.texts("nothing") == nil)
  }

  @Test func `a set opens it by its content, whatever its name`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(at: fixture("types.gguf"), to: folder["a.safetensors"])
    let set = try WeightSet(at: folder["a.safetensors"])
    #expect(try set.tensor(named: "blocks.0.Q8_0.weight").shape == [3, 512])
  }

  @Test(arguments: HostileGGUF.files)
  func `a file that breaks a rule is refused with the reason`(file: HostileGGUF) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(file.bytes, "a.gguf")
    let error = try #require(weightsError { _ = try WeightFile(at: url) })
    #expect(error.code == file.code, "\(error)")
    #expect(error.description.count < 800)
  }

  @Test func `an unknown type is named with its tensor`() throws {
    let folder = try TemporaryFolder()
    var builder = GGUFBuilder()
    builder.tensors[0].type = 23
    let url = try folder.write(builder.bytes, "a.gguf")
    let error = try #require(weightsError { _ = try WeightFile(at: url) })
    #expect(error.details.contains("IQ4_XS"))
    #expect(error.details.contains("a.weight"))
  }

  @Test func `no damage crashes the reader, and what it accepts can be unpacked`() throws {
    let folder = try TemporaryFolder()
    var generator = CountingGenerator(state: 5)
    var builder = GGUFBuilder()
    builder.values = [
      ("general.architecture", 8, GGUFBuilder.text("wan")),
      ("n", 10, GGUFBuilder.number(UInt64(7))),
      (
        "list", 9,
        GGUFBuilder.number(UInt32(8)) + GGUFBuilder.number(UInt64(1)) + GGUFBuilder.text("é")
      ),
    ]
    let seed = builder.bytes
    for _ in 0..<800 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let position = Int.random(in: 4..<bytes.count, using: &generator)
        if Bool.random(using: &generator) {
          bytes[position] = UInt8.random(in: 0...255, using: &generator)
        } else {
          bytes.removeSubrange(position..<min(bytes.count, position + 3))
        }
      }
      let url = try folder.write(bytes, "a.gguf")
      do {
        let file = try WeightFile(at: url)
        for tensor in file.tensors where tensor.elementCount < 4096 {
          _ = try file.tensor(named: tensor.name)
        }
        _ = try file.texts("list")
      } catch {
        #expect(error.description.count < 1500)
      }
    }
  }
}

struct BlockPackingTests {
  /// Normal numbers, and rows of other kinds that a format must not stumble over.
  private func matrix() -> Tensor {
    var source = RandomSource(seed: 3)
    let normal = source.normal([12, 512]) * 0.02
    let others = [
      Tensor.zeros([1, 512]), Tensor.full(-0.3, shape: [1, 512]),
      source.normal([1, 512]).abs() + 5,
      Tensor.range(0, 512).reshaped(to: 1, 512) * 1e-6,
    ]
    return concatenate([normal] + others, along: 0)
  }

  @Test(arguments: [(WeightPrecision.q80, 0.006), (.q4K, 0.08)])
  func `Packed numbers are near the originals, and nearest where there are only few`(
    precision: WeightPrecision, tolerance: Double
  ) throws {
    let folder = try TemporaryFolder()
    let original = matrix()
    try SafetensorsFile.write(["a.weight": original], to: folder["a.safetensors"])
    try WeightSet(at: folder["a.safetensors"]).convert(to: folder["a.gguf"], precision: precision)
    let packed = try WeightSet(at: folder["a.gguf"])
    #expect(packed.tensors.map(\.type) == [try #require(precision.packed)])
    let back = try packed.tensor(named: "a.weight")
    expectClose(back.slice(0, 0..<12), original.slice(0, 0..<12), tolerance: tolerance)
    #expect(back.slice(0, 12..<13).abs().max().item() == 0)
    for row in 13..<16 {
      let (a, b) = (back.slice(0, row..<row + 1), original.slice(0, row..<row + 1))
      // Scales of tiny numbers have few bits.
      #expect(relativeError(a, b) < tolerance * 2, "row \(row)")
    }
  }

  @Test func `A packed matrix is multiplied as it is`() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(
      ["a.weight": matrix(), "a.bias": Tensor.ones([16])], to: folder["a.safetensors"])
    try WeightSet(at: folder["a.safetensors"]).convert(to: folder["a.gguf"], precision: .q4K)
    let weights = try WeightSet(at: folder["a.gguf"])
    func layer(_ kept: ProductWeights) throws -> Linear {
      try weights.load(productWeights: kept) {
        Linear($0["a"], inputs: 512, outputs: 16, isLarge: true)
      }
    }
    let (plain, unpacked) = (try layer(.plain), try layer(.unpacked))
    #expect(plain.weight != nil && unpacked.weight == nil)
    var source = RandomSource(seed: 4)
    let x = source.normal([20, 512])
    expectClose(unpacked(x), plain(x), tolerance: 1e-6)
  }
}
