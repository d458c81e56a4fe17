import Foundation
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

struct ScaledWeightsTests {
  /// Codes of 8-bit numbers with their values: by Micikevicius et al., arXiv:2209.05433, table 1.
  private static let e4m3: [(UInt8, Float)] = [
    (0x00, 0), (0x01, 0x1p-9), (0x07, 0x1.cp-7), (0x08, 0x1p-6), (0x38, 1), (0x39, 1.125),
    (0x7E, 448), (0xB8, -1), (0xFE, -448),
  ]
  private static let e5m2: [(UInt8, Float)] = [
    (0x00, 0), (0x01, 0x1p-16), (0x03, 0x1.8p-15), (0x04, 0x1p-14), (0x3C, 1), (0x3D, 1.25),
    (0x7B, 57344), (0x7C, .infinity), (0xBC, -1),
  ]

  /// A tensor to write: its type, extents and bytes.
  private typealias Part = (type: StoredType, shape: [Int], bytes: [UInt8])

  private func write(
    _ parts: [String: Part], metadata: [String: String] = [:], to folder: TemporaryFolder
  ) throws -> WeightSet {
    let stored = parts.map {
      StoredTensor(name: $0.key, type: $0.value.type, shape: $0.value.shape)
    }
    var writer = try SafetensorsWriter(to: folder["a"], tensors: stored, metadata: metadata)
    for (name, part) in parts { try part.bytes.withUnsafeBytes { try writer.write($0, for: name) } }
    try writer.finish()
    return try WeightSet(at: folder["a"])
  }

  private func floats(_ values: [Float], _ shape: [Int]) -> Part {
    (.float32, shape, values.flatMap { GGUFBuilder.number($0.bitPattern) })
  }

  /// 4 rows of 6 numbers, each 1.
  private let ones: Part = (.float8e4m3, [4, 6], Array(repeating: 0x38, count: 24))

  @Test func `raw 8-bit numbers have the published values`() throws {
    let folder = try TemporaryFolder()
    let set = try write(
      [
        "a.weight": (.float8e4m3, [9], Self.e4m3.map(\.0)),
        "b.weight": (.float8e5m2, [9], Self.e5m2.map(\.0)),
        "nan": (.float8e4m3, [2], [0x7F, 0xFF]),
      ], to: folder)
    #expect(try set.tensor(named: "a.weight").floats() == Self.e4m3.map(\.1))
    #expect(try set.tensor(named: "b.weight").floats() == Self.e5m2.map(\.1))
    #expect(try set.tensor(named: "nan").floats().allSatisfy(\.isNaN))
  }

  @Test(arguments: [[], [1], [4], [4, 1], [1, 6], [2, 3], [4, 6], [1, 1]])
  func `a scale of any extents that fit multiplies its weight`(shape: [Int]) throws {
    let folder = try TemporaryFolder()
    let count = shape.reduce(1, *)
    let scales = (0..<count).map { Float($0 + 2) / 4 }
    let set = try write(["x.weight": ones, "x.scale_weight": floats(scales, shape)], to: folder)
    #expect(set.tensors.map(\.name) == ["x.weight"])
    let extents = shape.count == 2 ? shape : [max(1, count), 1]
    let expected = (0..<4).flatMap { row in
      (0..<6).map { column in
        scales[row * extents[0] / 4 * extents[1] + column * extents[1] / 6]
      }
    }
    #expect(try set.tensor(named: "x.weight").floats() == expected)
  }

  @Test func `marks and scales of inputs are no weights`() throws {
    let folder = try TemporaryFolder()
    let kind = Array(#"{"format": "float8_e4m3fn", "full_precision_matrix_mult": true}"#.utf8)
    let set = try write(
      [
        "x.weight": ones, "x.weight_scale": floats([3], []), "x.input_scale": floats([7], []),
        "x.comfy_quant": (.uint8, [kind.count], kind), "scaled_fp8": (.float8e4m3, [2], [0, 0]),
        "y.weight": floats([5], [1]), "y.scale_input": floats([7], [1]),
      ], to: folder)
    #expect(Set(set.tensors.map(\.name)) == ["x.weight", "y.weight"])
    #expect(try set.tensor(named: "x.weight").floats() == Array(repeating: 3, count: 24))
    #expect(try set.tensor(named: "y.weight").floats() == [5])
  }

  @Test func `weights of other scales have another hash`() throws {
    let folder = try TemporaryFolder()
    let hashes = try [Float(2), 3, 2].map { scale in
      let set = try write(["x.weight": ones, "x.scale_weight": floats([scale], [])], to: folder)
      return try weightsHash(of: set) { _ in true }
    }
    #expect(hashes[0] != hashes[1])
    #expect(hashes[0] == hashes[2])
  }

  @Test func `a scale of other extents is refused`() throws {
    let folder = try TemporaryFolder()
    for shape in [[5], [4, 5], [3, 1], [6]] {
      let scales = Array(repeating: Float(1), count: shape.reduce(1, *))
      let error = weightsError {
        _ = try write(["x.weight": ones, "x.scale_weight": floats(scales, shape)], to: folder)
      }
      #expect(error?.code == .badShape)
    }
  }

  @Test func `two scales for one weight are refused`() throws {
    let folder = try TemporaryFolder()
    let error = weightsError {
      _ = try write(
        [
          "x.weight": ones, "x.scale_weight": floats([1], []), "x.weight_scale": floats([1], []),
        ], to: folder)
    }
    #expect(error?.code == .duplicateKey)
  }

  @Test(arguments: [
    #"{"format": "nvfp4"}"#, #"{"format": "float8_e4m3fn", "convrot": true}"#, "not JSON",
  ])
  func `other kinds of quantisation are named and refused`(kind: String) throws {
    let folder = try TemporaryFolder()
    let bytes = Array(kind.utf8)
    let error = weightsError {
      _ = try write(
        ["x.weight": ones, "x.comfy_quant": (.uint8, [bytes.count], bytes)], to: folder)
    }
    #expect(error?.code == (kind.hasPrefix("{") ? .unsupportedType : .notJSON))
    #expect(error?.details.contains("x") == true)
  }

  @Test func `the kind may stand in the header instead`() throws {
    let folder = try TemporaryFolder()
    let text = #"{"format_version": "1.0", "layers": {"x": {"format": "mxfp8"}}}"#
    let error = weightsError {
      _ = try write(["x.weight": ones], metadata: ["_quantization_metadata": text], to: folder)
    }
    #expect(error?.code == .unsupportedType)
    #expect(error?.details.contains("mxfp8") == true)
  }

  @Test func `a view has other names for the same tensors`() throws {
    let folder = try TemporaryFolder()
    let set = try write(
      ["p.x.weight": ones, "p.x.scale_weight": floats([2], []), "q": floats([1], [1])], to: folder)
    let view = try set.renamed { $0.hasPrefix("p.") ? String($0.dropFirst(2)) : nil }
    #expect(view.tensors.map(\.name) == ["x.weight"])
    #expect(try view.tensor(named: "x.weight").floats() == Array(repeating: 2, count: 24))
    #expect(weightsError { _ = try set.renamed { _ in "same" } }?.code == .duplicateKey)
  }
}
