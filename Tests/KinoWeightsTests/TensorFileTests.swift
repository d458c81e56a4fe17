import Foundation
import KinoNN
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

struct TensorFileTests {
  private let ramp = Tensor((0..<12).map { Float($0) / 8 - 0.5 }, shape: [3, 4])

  @Test(arguments: DType.allCases)
  func `a tensor of every element type comes back`(dtype: DType) throws {
    let folder = try TemporaryFolder()
    let values = dtype == .bool ? ramp.greater(than: 0) : ramp.cast(to: dtype)
    try SafetensorsFile.write(["x": values], to: folder["a"])
    let read = try SafetensorsFile(at: folder["a"]).tensor(named: "x")
    #expect(read.dtype == dtype)
    #expect(read.shape == [3, 4])
    #expect(read.floats() == values.floats())
  }

  @Test func `a file of the reference implementation reads as tensors`() throws {
    let url = try #require(
      Bundle.module.url(
        forResource: "reference", withExtension: "safetensors", subdirectory: "Fixtures"))
    let tensors = try SafetensorsFile(at: url).allTensors()
    #expect(tensors.count == 13)
    #expect(tensors["single"]?.floats() == (0..<6).map { Float($0) / 3 })
    #expect(tensors["brain"]?.floats() == [0, 0.333984375, 0.66796875, 1, 1.3359375, 1.6640625])
    #expect(tensors["flag"]?.floats() == [0, 1, 0, 1, 0, 1])
    #expect(tensors["empty"]?.shape == [0, 4])
    #expect(tensors["scalar"]?.shape == [])
    #expect(tensors["scalar"]?.scalars(Float.self) == [0.1])
  }

  @Test func `a tensor outlives its file object and the file itself`() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(["x": ramp], to: folder["a"])
    let read = try SafetensorsFile(at: folder["a"]).tensor(named: "x")
    try FileManager.default.removeItem(at: folder["a"])
    #expect(read.floats() == ramp.floats())
  }

  @Test func `writing to a tensor in place leaves the file as it is`() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(["x": ramp], to: folder["a"])
    try SafetensorsFile(at: folder["a"]).tensor(named: "x").scale(inPlace: 2)
    #expect(try SafetensorsFile(at: folder["a"]).tensor(named: "x").floats() == ramp.floats())
  }

  @Test func `unaligned tensors are read right`() throws {
    let folder = try TemporaryFolder()
    let tensors = [
      StoredTensor(name: "b", type: .uint8, shape: [3]),
      StoredTensor(name: "x", type: .float32, shape: [3, 4]),
    ]
    var writer = try SafetensorsWriter(to: folder["a"], tensors: tensors, order: .given)
    try [UInt8](repeating: 1, count: 3).withUnsafeBytes { try writer.write($0, for: "b") }
    try ramp.withUnsafeBytes { try writer.write($0, for: "x") }
    try writer.finish()
    let file = try SafetensorsFile(at: folder["a"])
    #expect(try file.tensor(named: "x").floats() == ramp.floats())
    #expect(try file.tensor(named: "x").matmul(ramp.transposed(0, 1)).shape == [3, 3])
  }

  @Test func `writing converts floating-point tensors and no others, with gaps or without`() throws
  {
    let folder = try TemporaryFolder()
    let tensors = [
      (key: "x", value: ramp.transposed(0, 1)), (key: "i", value: ramp.cast(to: .int64)),
    ]
    try SafetensorsFile.write(tensors, to: folder["a"], dtype: .bfloat16)
    let file = try SafetensorsFile(at: folder["a"])
    #expect(file["x"]?.type == .bfloat16)
    #expect(file["i"]?.type == .int64)
    #expect(try file.tensor(named: "x").floats() == ramp.transposed(0, 1).floats())
  }

  @Test func `booleans that are neither 0 nor 1 are refused`() throws {
    let folder = try TemporaryFolder()
    let header = "{\(entry("a", "BOOL", [1], [0, 1]))}"
    let file = try SafetensorsFile(at: folder.write(safetensors(header, data: 1)))
    #expect(weightsError { _ = try file.tensor(named: "a") }?.code == .badValue)
  }

  @Test func `a name twice is refused`() throws {
    let folder = try TemporaryFolder()
    let twice = [(key: "x", value: ramp), (key: "x", value: ramp)]
    #expect(
      weightsError { try SafetensorsFile.write(twice, to: folder["a"]) }?.code == .duplicateKey)
    #expect(weightsError { try WeightSet.write(twice, to: folder.url) }?.code == .duplicateKey)
    #expect(try folder.names == [])
  }
}

struct NetworkLoadingTests {
  private struct Network {
    let first: Linear
    let second: Linear

    init(_ scope: ParameterScope) {
      first = Linear(scope["first"], inputs: 3, outputs: 4)
      second = Linear(scope["second"], inputs: 4, outputs: 2)
    }
  }

  /// Builds a network from a seed and writes it, in shards.
  private func write(
    to folder: TemporaryFolder, keys: KeyMap? = nil, leaving: String? = nil, adding: String? = nil
  ) throws -> [String: Tensor] {
    let registry = ParameterRegistry(seed: 3)
    _ = Network(registry.root)
    var tensors = Dictionary(uniqueKeysWithValues: registry.parameters.map { ($0.key, $0.value) })
    if let leaving { tensors[leaving] = nil }
    if let adding { tensors[adding] = .zeros([1]) }
    if let keys { tensors = keys.translatingToForeign(tensors) }
    try WeightSet.write(tensors, to: folder.url, maximumShardByteCount: 40)
    return tensors
  }

  @Test func `a network loads what it wrote`() throws {
    let folder = try TemporaryFolder()
    let tensors = try write(to: folder)
    let network = try WeightSet(inFolder: folder.url).load { Network($0) }
    #expect(network.first.weight?.floats() == tensors["first.weight"]?.floats())
    #expect(network.second.bias?.floats() == tensors["second.bias"]?.floats())
  }

  @Test func `a network loads weights under foreign names`() throws {
    let folder = try TemporaryFolder()
    let keys = KeyMap([("head.w", "second.weight"), ("head.b", "second.bias")])
    let tensors = try write(to: folder, keys: keys)
    let network = try WeightSet(inFolder: folder.url).load(keys: keys) { Network($0) }
    #expect(network.second.weight?.floats() == tensors["head.w"]?.floats())
  }

  @Test func `weights under both names are refused`() throws {
    let folder = try TemporaryFolder()
    let keys = KeyMap([("head.w", "second.weight")])
    _ = try write(to: folder, adding: "head.w")
    let error = try #require(
      weightsError { _ = try WeightSet(inFolder: folder.url).load(keys: keys) { Network($0) } })
    #expect(error.code == .duplicateKey)
    #expect(error.details.contains("'second.weight'"))
  }

  @Test func `a shared tensor is found under its other name, and may stand under both`() throws {
    let folder = try TemporaryFolder()
    let aliases = ["first.weight": "shared.weight"]
    let keys = KeyMap([("shared.weight", "first.weight")])
    var expected = try write(to: folder, keys: keys)["shared.weight"]?.floats()
    var set = try WeightSet(inFolder: folder.url)
    #expect(try set.load(aliases: aliases) { Network($0) }.first.weight?.floats() == expected)
    let registry = ParameterRegistry(set, aliases: aliases)
    #expect(Network(registry.root).first.weight?.floats() == expected)
    try registry.validate()

    expected = try write(to: folder, adding: "shared.weight")["first.weight"]?.floats()
    set = try WeightSet(inFolder: folder.url)
    #expect(try set.load(aliases: aliases) { Network($0) }.first.weight?.floats() == expected)
    #expect(weightsError { _ = try set.load { Network($0) } }?.code == .keyMismatch)
  }

  @Test func `missing, unused and mis-shaped keys are one error`() throws {
    let folder = try TemporaryFolder()
    _ = try write(to: folder, leaving: "first.bias", adding: "third.weight")
    let error = try #require(
      weightsError {
        _ = try WeightSet(inFolder: folder.url).load { scope in
          (Network(scope), scope.parameter("third.weight", shape: [2], initializer: .zeros))
        }
      })
    #expect(error.code == .keyMismatch)
    #expect(error.details.contains("1 missing: 'first.bias'"))
    #expect(error.details.contains("third.weight: expected [2], found [1]"))
    #expect(
      weightsError { _ = try WeightSet(inFolder: folder.url).load { _ in } }?.details
        .contains("4 not used by the model") == true)
  }

  @Test(arguments: [ProductWeights.packed, .int8])
  func `weights kept in another form give their pages back, and no others`(form: ProductWeights)
    throws
  {
    let folder = try TemporaryFolder()
    var source = RandomSource(seed: 3)
    let stored = [[5], [512, 256], [7]].map { source.normal($0) }
    let names = ["a", "weight", "z"]
    try WeightSet.write(
      zip(names, stored).map { (key: $0, value: $1) }, to: folder.url)
    let set = try WeightSet(inFolder: folder.url)
    // Changes in place are lost with the pages that they were made in.
    for name in names { try set.tensor(named: name).scale(inPlace: 3) }
    let loaded = try set.loadWithParameters(
      computeType: .bfloat16, productWeights: form
    ) { scope in
      for (name, tensor) in zip(names, stored) where name != "weight" {
        _ = scope.parameter(name, shape: tensor.shape, initializer: .zeros, precision: .exact)
      }
      return Linear(scope, inputs: 256, outputs: 512, bias: false, isLarge: true)
    }
    let layer = loaded.network
    #expect(loaded.parameters.map(\.key) == ["a", "z"])
    let x = source.normal([5, 256]).cast(to: .bfloat16)
    let expected = x.linear(weight: (stored[1] * 3).cast(to: .bfloat16)).cast(to: .float32)
    expectClose(layer(x).cast(to: .float32), expected, tolerance: 2e-2)
    for index in [0, 2] {
      #expect(try set.tensor(named: names[index]).floats() == (stored[index] * 3).floats())
    }
    #if os(Linux)
      let again = try set.tensor(named: "weight")
      #expect(again.select(0, 256).floats() == stored[1].select(0, 256).floats())
    #endif
  }

  @Test func `trainable parameters are copies that collect gradients`() throws {
    let folder = try TemporaryFolder()
    _ = try write(to: folder)
    let set = try WeightSet(inFolder: folder.url)
    let loaded = try set.loadWithParameters(isTrainable: true) { Network($0) }
    let network = loaded.network
    let keys = ["first.weight", "first.bias", "second.weight", "second.bias"]
    #expect(loaded.parameters.map(\.key) == keys)
    #expect(network.first.weight?.requiresGradient == true)
    let before = try set.tensor(named: "first.weight").floats()
    withoutGradient { network.first.weight?.scale(inPlace: 3) }
    #expect(try set.tensor(named: "first.weight").floats() == before)
  }
}
