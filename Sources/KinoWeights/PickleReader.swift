/// Reads the pickle of a state dictionary without running anything.
///
/// A pickle is a program for a stack machine (Python's `pickletools` lists the operations). Here only
/// those operations exist that build dictionaries, lists and tensors, and only those names that PyTorch
/// itself writes. Lists and dictionaries live in one array and refer to each other by number, so that
/// deeply nested input cannot overflow the stack.
struct PickleReader {
  /// Names the file with a tensor's elements.
  struct Storage {
    let key: String
    let type: StoredType?
  }

  /// A tensor as the pickle describes it; nothing of it is checked yet.
  struct TensorRecord {
    let storage: Storage
    let type: StoredType
    let offset: Int
    let shape: [Int]
    let strides: [Int]
  }

  enum Value {
    case none, mark
    case bool(Bool)
    case integer(Int)
    case number
    case text(String)
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    case global(PickleGlobal)
    case storage(Storage)
    case tensor(TensorRecord)
  }

  let path: String
  private let bytes: [UInt8]
  /// Where the next pickle starts.
  private(set) var position: Int
  /// The type of each storage that a pickle named.
  private(set) var storageTypes: [String: StoredType] = [:]
  private var stack: [Value] = []
  private var memo: [Int: Value] = [:]
  /// The elements of tuples and lists, and keys and values of dictionaries in turn.
  private var contents: [[Value]] = []

  /// Reads pickles from a place on.
  init(_ bytes: [UInt8], from position: Int = 0, path: String) {
    self.bytes = bytes
    self.position = position
    self.path = path
  }

  /// Runs one program and returns what it makes.
  mutating func next() throws(WeightsError) -> Value {
    (stack, memo) = ([], [:])
    while true {
      let operation = try take(1).first ?? 0
      if operation == UInt8(ascii: ".") { return try pop() }
      try run(operation)
    }
  }

  /// Runs the program and returns the tensors of the dictionary it makes.
  mutating func stateDictionary() throws(WeightsError) -> [(name: String, tensor: TensorRecord)] {
    guard case .dictionary(let number) = try next() else { throw notADictionary }
    return try tensors(of: number, depth: 0)
  }

  /// The texts of a list.
  func texts(_ value: Value) throws(WeightsError) -> [String] {
    guard case .list(let number) = value else { throw damaged("a list of texts") }
    var texts: [String] = []
    for element in contents[number] {
      guard case .text(let text) = element else { throw damaged("a text") }
      texts.append(text)
    }
    return texts
  }

  /// The truth value under a key of a dictionary; nil if there is none.
  func flag(_ key: String, in value: Value) -> Bool? {
    guard case .dictionary(let number) = value else { return nil }
    let pairs = contents[number]
    for index in stride(from: 0, to: pairs.count, by: 2) {
      if case .text(key) = pairs[index], case .bool(let flag) = pairs[index + 1] { return flag }
    }
    return nil
  }

  // MARK: - Results

  /// Dictionaries that wrap the weights in files of training code.
  private static let wrappers = ["state_dict", "model_state", "module", "model", "generator_ema"]

  private func tensors(
    of number: Int, depth: Int
  ) throws(WeightsError) -> [(name: String, tensor: TensorRecord)] {
    var found: [(name: String, tensor: TensorRecord)] = []
    var wrapped: [String: Int] = [:]
    var seen: Set<String> = []
    let pairs = contents[number]
    for index in stride(from: 0, to: pairs.count, by: 2) {
      guard case .text(let name) = pairs[index] else { continue }
      switch pairs[index + 1] {
      case .tensor(let tensor):
        guard seen.insert(name).inserted else {
          throw WeightsError(
            .duplicateKey, at: path, expected: "each name once", found: "\(quoted(name)) twice")
        }
        found.append((name, tensor))
      case .dictionary(let inner): wrapped[name] = inner
      default: continue
      }
    }
    if found.isEmpty, depth < 3, let inner = Self.wrappers.compactMap({ wrapped[$0] }).first {
      return try tensors(of: inner, depth: depth + 1)
    }
    guard !found.isEmpty else { throw notADictionary }
    return found
  }

  private var notADictionary: WeightsError {
    WeightsError(
      .unsupportedFormat, at: path, expected: "a dictionary of tensors in the pickle",
      found: "none", advice: "Save the model's state_dict() instead.")
  }

  // MARK: - Operations

  private mutating func run(_ operation: UInt8) throws(WeightsError) {
    switch operation {
    case 0x80: _ = try take(1)  // PROTO
    case 0x95: _ = try take(8)  // FRAME
    case UInt8(ascii: "("): stack.append(.mark)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.bool(true))
    case 0x89: stack.append(.bool(false))
    case UInt8(ascii: "K"): stack.append(.integer(Int(try unsigned(1))))
    case UInt8(ascii: "M"): stack.append(.integer(Int(try unsigned(2))))
    case UInt8(ascii: "J"):
      stack.append(.integer(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
    case 0x8A: stack.append(.integer(try long()))
    case UInt8(ascii: "G"):
      _ = try take(8)
      stack.append(.number)
    default: try runLonger(operation)
    }
  }

  private mutating func runLonger(_ operation: UInt8) throws(WeightsError) {
    switch operation {
    case UInt8(ascii: "X"), UInt8(ascii: "T"), UInt8(ascii: "B"):
      stack.append(.text(try text(Int(try unsigned(4)))))
    case 0x8C, UInt8(ascii: "U"), UInt8(ascii: "C"):
      stack.append(.text(try text(Int(try unsigned(1)))))
    case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
      push(operation, [])
    case UInt8(ascii: "t"): push(operation, try popToMark())
    case 0x85...0x87: push(operation, try popLast(Int(operation) - 0x84))
    case UInt8(ascii: "q"): try remember(Int(try unsigned(1)))
    case UInt8(ascii: "r"): try remember(Int(try unsigned(4)))
    case 0x94: try remember(memo.count)
    case UInt8(ascii: "h"): try recall(Int(try unsigned(1)))
    case UInt8(ascii: "j"): try recall(Int(try unsigned(4)))
    case UInt8(ascii: "a"): try extend([try pop()])
    case UInt8(ascii: "e"): try extend(try popToMark())
    case UInt8(ascii: "s"): try insert(try popLast(2))
    case UInt8(ascii: "u"): try insert(try popToMark())
    default: try runNamed(operation)
    }
  }

  /// The operations that in Python could run code.
  private mutating func runNamed(_ operation: UInt8) throws(WeightsError) {
    switch operation {
    case UInt8(ascii: "c"):
      let module = try line()
      stack.append(.global(try global(module, try line())))
    case 0x93:
      let names = try popLast(2)
      guard case .text(let module) = names[0], case .text(let name) = names[1] else {
        throw damaged("two texts for a name")
      }
      stack.append(.global(try global(module, name)))
    case UInt8(ascii: "Q"):
      guard case .tuple(let number) = try pop() else { throw damaged("a storage's description") }
      stack.append(.storage(try storage(contents[number])))
    case UInt8(ascii: "R"):
      let call = try popLast(2)
      guard case .global(let global) = call[0], case .tuple(let number) = call[1] else {
        throw damaged("a call of a name with a tuple")
      }
      stack.append(try result(of: global, contents[number]))
    case UInt8(ascii: "b"):
      // What is set on a dictionary is PyTorch's list of versions.
      _ = try pop()
      guard case .dictionary? = stack.last else { throw damaged("a dictionary to set values on") }
    default:
      throw WeightsError(
        .unsafeContent, at: path,
        expected: "only operations that build dictionaries of tensors in the pickle",
        found: "the operation \(operation) at byte \(position - 1)", advice: Self.unsafeAdvice)
    }
  }

  private func global(_ module: String, _ name: String) throws(WeightsError) -> PickleGlobal {
    guard let global = PickleGlobal(module: module, name: name) else {
      throw WeightsError(
        .unsafeContent, at: path, expected: "only names that build tensors in the pickle",
        found: quoted(module + "." + name), advice: Self.unsafeAdvice)
    }
    return global
  }

  private static let unsafeAdvice =
    "It could run code when PyTorch loads it, which Kino never does: "
    + "take the weights as safetensors, or save the model's state_dict() alone."

  // MARK: - Calls

  private mutating func result(
    of global: PickleGlobal, _ arguments: [Value]
  ) throws(WeightsError) -> Value {
    switch global {
    case .orderedDictionary:
      guard arguments.isEmpty else { throw damaged("an empty OrderedDict") }
      contents.append([])
      return .dictionary(contents.count - 1)
    case .parameter:
      guard case .tensor? = arguments.first else { throw damaged("a parameter's tensor") }
      return arguments[0]
    case .size:
      guard case .tuple? = arguments.first else { throw damaged("extents") }
      return arguments[0]
    case .tensor, .typedTensor:
      guard arguments.count >= 4, case .storage(let storage) = arguments[0],
        case .integer(let offset) = arguments[1]
      else { throw damaged("a tensor's description") }
      return .tensor(
        TensorRecord(
          storage: storage, type: try type(of: storage, global, arguments), offset: offset,
          shape: try integers(arguments[2]), strides: try integers(arguments[3])))
    case .storageType, .elementType: throw damaged("a call")
    }
  }

  private func type(
    of storage: Storage, _ global: PickleGlobal, _ arguments: [Value]
  ) throws(WeightsError) -> StoredType {
    if case .typedTensor = global, arguments.count >= 7, case .global(let type) = arguments[6],
      case .elementType(let type) = type
    {
      return type
    }
    guard let type = storage.type else { throw damaged("the type of a storage") }
    return type
  }

  private mutating func storage(_ description: [Value]) throws(WeightsError) -> Storage {
    guard description.count >= 3, case .text("storage") = description[0],
      case .global(.storageType(let type)) = description[1], case .text(let key) = description[2]
    else { throw damaged("a storage's description") }
    // Old files may say that a storage is a part of another.
    if description.count > 5 {
      guard case .none = description[5] else { throw damaged("a storage of its own") }
    }
    storageTypes[key] = type
    return Storage(key: key, type: type)
  }

  private func integers(_ value: Value) throws(WeightsError) -> [Int] {
    guard case .tuple(let number) = value,
      contents[number].count <= SafetensorsHeader.maximumRank
    else { throw damaged("extents") }
    var result: [Int] = []
    for value in contents[number] {
      guard case .integer(let extent) = value, extent >= 0 else { throw damaged("an extent") }
      result.append(extent)
    }
    return result
  }

  // MARK: - The stack

  private mutating func push(_ operation: UInt8, _ values: [Value]) {
    contents.append(values)
    let number = contents.count - 1
    switch operation {
    case UInt8(ascii: "]"): stack.append(.list(number))
    case UInt8(ascii: "}"): stack.append(.dictionary(number))
    default: stack.append(.tuple(number))
    }
  }

  private mutating func pop() throws(WeightsError) -> Value {
    guard let value = stack.popLast() else { throw damaged("a value on the stack") }
    if case .mark = value { throw damaged("a value on the stack") }
    return value
  }

  private mutating func popLast(_ count: Int) throws(WeightsError) -> [Value] {
    var values: [Value] = []
    for _ in 0..<count { values.append(try pop()) }
    return values.reversed()
  }

  private mutating func popToMark() throws(WeightsError) -> [Value] {
    let mark = stack.lastIndex { if case .mark = $0 { true } else { false } }
    guard let mark else { throw damaged("a mark on the stack") }
    let values = Array(stack[(mark + 1)...])
    stack.removeSubrange(mark...)
    return values
  }

  private mutating func extend(_ values: [Value]) throws(WeightsError) {
    guard case .list(let number)? = stack.last else { throw damaged("a list to extend") }
    contents[number] += values
  }

  private mutating func insert(_ pairs: [Value]) throws(WeightsError) {
    guard case .dictionary(let number)? = stack.last, pairs.count.isMultiple(of: 2) else {
      throw damaged("a dictionary and pairs for it")
    }
    contents[number] += pairs
  }

  private mutating func remember(_ number: Int) throws(WeightsError) {
    guard let value = stack.last else { throw damaged("a value to remember") }
    memo[number] = value
  }

  private mutating func recall(_ number: Int) throws(WeightsError) {
    guard let value = memo[number] else { throw damaged("a remembered value") }
    stack.append(value)
  }

  // MARK: - Bytes

  private mutating func take(_ count: Int) throws(WeightsError) -> ArraySlice<UInt8> {
    guard count <= bytes.count - position else { throw damaged("\(count) more bytes") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func unsigned(_ count: Int) throws(WeightsError) -> UInt64 {
    try take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads a signed number of up to 8 bytes.
  private mutating func long() throws(WeightsError) -> Int {
    let count = Int(try unsigned(1))
    guard count <= 8 else { throw damaged("a number of at most 8 bytes") }
    let shift = UInt64(64 - count * 8)
    let value = try unsigned(count)
    return count == 0 ? 0 : Int(Int64(bitPattern: value << shift) >> Int64(shift))
  }

  private mutating func text(_ count: Int) throws(WeightsError) -> String {
    String(decoding: try take(count), as: UTF8.self)
  }

  private mutating func line() throws(WeightsError) -> String {
    let rest = bytes[position...].prefix(256)
    guard let end = rest.firstIndex(of: 0x0A) else { throw damaged("a line") }
    let text = String(decoding: bytes[position..<end], as: UTF8.self)
    position = end + 1
    return text
  }

  private func damaged(_ expected: String) -> WeightsError {
    WeightsError(
      .badEntry, at: path, expected: "\(expected) at byte \(position) of the pickle",
      found: "something else")
  }
}

/// The names that a state dictionary's pickle may use.
enum PickleGlobal {
  case orderedDictionary, tensor, typedTensor, parameter, size
  /// A storage of a type; nil tells the type with each tensor.
  case storageType(StoredType?)
  case elementType(StoredType)

  init?(module: String, name: String) {
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("torch._utils", "_rebuild_tensor_v2"): self = .tensor
    case ("torch._utils", "_rebuild_tensor_v3"): self = .typedTensor
    case ("torch._utils", "_rebuild_parameter"): self = .parameter
    case ("torch", "Size"): self = .size
    case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"):
      self = .storageType(nil)
    case ("torch", _):
      if let type = Self.storageTypes[name] {
        self = .storageType(type)
      } else if let type = Self.elementTypes[name] {
        self = .elementType(type)
      } else {
        return nil
      }
    default: return nil
    }
  }

  private static let storageTypes: [String: StoredType] = [
    "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16,
    "BFloat16Storage": .bfloat16, "LongStorage": .int64, "IntStorage": .int32,
    "ShortStorage": .int16, "CharStorage": .int8, "ByteStorage": .uint8, "BoolStorage": .bool,
  ]

  private static let elementTypes: [String: StoredType] = [
    "float64": .float64, "float32": .float32, "float16": .float16, "bfloat16": .bfloat16,
    "int64": .int64, "int32": .int32, "int16": .int16, "int8": .int8, "uint8": .uint8,
    "bool": .bool, "float8_e4m3fn": .float8e4m3, "float8_e5m2": .float8e5m2,
  ]
}
