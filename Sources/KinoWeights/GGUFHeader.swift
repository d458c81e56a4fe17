/// The parsed and checked header of a GGUF file, the format of ggml
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3.
///
/// A signature, a version, two counts; named values; then of each tensor its name, extents, type and
/// offset. The data follows at the next multiple of the alignment. Lists of values stay in the file:
/// a tokenizer's are large, and few ask for them.
struct GGUFHeader {
  /// The types of named values; raw values are the format's numbers.
  enum ValueType: UInt32, Sendable {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64
    case float64

    /// Bytes of one value; nil if they vary.
    var byteCount: Int? {
      switch self {
      case .uint8, .int8, .bool: 1
      case .uint16, .int16: 2
      case .uint32, .int32, .float32: 4
      case .uint64, .int64, .float64: 8
      case .string, .array: nil
      }
    }
  }

  private static let maximumByteCount = SafetensorsHeader.maximumLength
  /// No published checkpoint comes near these.
  private static let maximumTensorCount = 1 << 20
  private static let maximumNameLength = 1 << 16
  private static let maximumRank = 8
  /// ComfyUI's name for the extents of a tensor, when it was stored with others.
  static let shapePrefix = "comfy.gguf.orig_shape."

  private(set) var content = WeightFile.Content()
  private var alignment = 32
  private var seen: Set<String> = []

  init(_ file: MappedFile) throws(WeightsError) {
    var cursor = FileCursor(file, from: 4, to: Self.maximumByteCount)
    let version = try cursor.integer(UInt32.self, "the version")
    guard 2...3 ~= version else {
      let isSwapped = 2...3 ~= version.byteSwapped
      throw WeightsError(
        .unsupportedFormat, at: file.path, expected: "GGUF of version 2 or 3, little-endian",
        found: isSwapped ? "a big-endian file" : "version \(version)",
        advice: "Convert the model again with a current converter.")
    }
    let tensorCount = try cursor.count(atMost: Self.maximumTensorCount, "the number of tensors")
    let valueCount = try cursor.count(atMost: Self.maximumTensorCount, "the number of values")
    for _ in 0..<valueCount { try readValue(&cursor) }
    seen = []
    var offsets: [Int] = []
    for _ in 0..<tensorCount { offsets.append(try readTensor(&cursor)) }
    try place(offsets, headerEnd: cursor.position, file: file)
  }

  // MARK: - Values

  private mutating func readValue(_ cursor: inout FileCursor) throws(WeightsError) {
    let name = try Self.name(&cursor, "the name of a value")
    guard seen.insert(name).inserted else { throw Self.duplicate(name, cursor) }
    let type = try Self.valueType(&cursor, of: name)
    switch type {
    case .array: content.lists[name] = try Self.list(&cursor, of: name)
    case .string:
      let length = try cursor.count(atMost: Self.maximumByteCount, "the length of \(quoted(name))")
      content.metadata[name] = try cursor.text(length, quoted(name))
    default:
      let number = try Self.number(type, &cursor)
      content.metadata[name] = Int(exactly: number).map(String.init) ?? "\(number)"
      if name == "general.alignment" { alignment = try Self.alignment(number, cursor) }
    }
  }

  private static func list(
    _ cursor: inout FileCursor, of name: String
  ) throws(WeightsError) -> MetadataList {
    let type = try valueType(&cursor, of: name)
    let count = try cursor.count(atMost: maximumByteCount, "the length of \(quoted(name))")
    let start = cursor.position
    switch type {
    case .array:
      throw WeightsError(
        .unsupportedType, at: cursor.file.path, expected: "numbers or texts in \(quoted(name))",
        found: "lists within the list")
    case .string:
      for _ in 0..<count {
        let length = try cursor.count(atMost: maximumByteCount, "the length of a text")
        try cursor.skip(length, "a text of \(quoted(name))")
      }
    default:
      try cursor.skip(count * (type.byteCount ?? 1), quoted(name))
    }
    return MetadataList(type: type, count: count, range: start..<cursor.position)
  }

  /// Reads one number or truth value.
  static func number(_ type: ValueType, _ cursor: inout FileCursor) throws(WeightsError) -> Double {
    switch type {
    case .uint8, .bool: Double(try cursor.integer(UInt8.self, "a number"))
    case .int8: Double(try cursor.integer(Int8.self, "a number"))
    case .uint16: Double(try cursor.integer(UInt16.self, "a number"))
    case .int16: Double(try cursor.integer(Int16.self, "a number"))
    case .uint32: Double(try cursor.integer(UInt32.self, "a number"))
    case .int32: Double(try cursor.integer(Int32.self, "a number"))
    case .uint64: Double(try cursor.integer(UInt64.self, "a number"))
    case .int64: Double(try cursor.integer(Int64.self, "a number"))
    case .float32:
      Double(Float(bitPattern: try cursor.integer(UInt32.self, "a number")))
    case .float64: Double(bitPattern: try cursor.integer(UInt64.self, "a number"))
    case .string, .array: 0
    }
  }

  private static func valueType(
    _ cursor: inout FileCursor, of name: String
  ) throws(WeightsError) -> ValueType {
    let number = try cursor.integer(UInt32.self, "the type of \(quoted(name))")
    guard let type = ValueType(rawValue: number) else {
      throw WeightsError(
        .unknownType, at: cursor.file.path, expected: "a type of 0 to 12 for \(quoted(name))",
        found: "\(number)")
    }
    return type
  }

  private static func alignment(
    _ number: Double, _ cursor: FileCursor
  ) throws(WeightsError) -> Int {
    guard let value = Int(exactly: number), 1...1 << 20 ~= value, value & (value - 1) == 0 else {
      throw WeightsError(
        .badNumber, at: cursor.file.path,
        expected: "a power of 2 up to \(1 << 20) for general.alignment", found: "\(number)")
    }
    return value
  }

  // MARK: - Tensors

  /// Reads one tensor's description and returns its offset.
  private mutating func readTensor(_ cursor: inout FileCursor) throws(WeightsError) -> Int {
    let name = try Self.name(&cursor, "the name of a tensor")
    guard seen.insert(name).inserted else { throw Self.duplicate(name, cursor) }
    let rank = Int(try cursor.integer(UInt32.self, "the rank of \(quoted(name))"))
    guard rank <= Self.maximumRank else {
      throw WeightsError(
        .badShape, at: cursor.file.path,
        expected: "at most \(Self.maximumRank) axes for \(quoted(name))",
        found: "\(rank)")
    }
    var shape: [Int] = []
    for _ in 0..<rank {
      shape.append(try cursor.count(atMost: .max, "an extent of \(quoted(name))"))
    }
    // The format lists the innermost axis first.
    shape.reverse()
    let number = try cursor.integer(UInt32.self, "the type of \(quoted(name))")
    guard let type = StoredType(gguf: number) else {
      let found = Self.otherTypes[number].map { "\($0) (type \(number))" } ?? "type \(number)"
      throw WeightsError(
        .unsupportedType, at: cursor.file.path,
        expected: "a type that Kino unpacks for \(quoted(name)): "
          + StoredType.ggufTypes.map(\.type.rawValue).joined(separator: ", "),
        found: found, advice: "Take the model in another quantisation, such as Q8_0 or Q4_K.")
    }
    let offset = try cursor.count(atMost: .max, "the offset of \(quoted(name))")
    guard let byteCount = type.byteCount(shape: shape) else {
      throw WeightsError(
        .badShape, at: cursor.file.path,
        expected:
          "a size below 2^63 bytes and whole blocks of \(type.blockLength) for \(quoted(name))",
        found: "\(type.rawValue) \(shape)")
    }
    let stored = StoredTensor(name: name, type: type, shape: shape, byteCount: byteCount)
    content.tensors.append(try reshaped(stored, file: cursor.file))
    return offset
  }

  /// Gives a tensor the extents it had before it was flattened, if the file tells them.
  private func reshaped(
    _ tensor: StoredTensor, file: MappedFile
  ) throws(WeightsError) -> StoredTensor {
    guard let list = content.lists[Self.shapePrefix + tensor.name] else { return tensor }
    guard list.type != .string, list.count <= Self.maximumRank else { throw badShape(tensor, file) }
    var cursor = FileCursor(file, from: list.range.lowerBound, to: list.range.upperBound)
    var shape: [Int] = []
    for _ in 0..<list.count {
      let extent = Int(exactly: try Self.number(list.type, &cursor))
      guard let extent, extent >= 0 else { throw badShape(tensor, file) }
      shape.append(extent)
    }
    // Blocks run over the flattened elements, whatever the new last axis.
    let product = shape.reduce(1 as Int?) { product, extent in
      product.flatMap { product in
        let (next, overflow) = product.multipliedReportingOverflow(by: extent)
        return overflow ? nil : next
      }
    }
    guard product == tensor.elementCount else { throw badShape(tensor, file) }
    return StoredTensor(
      name: tensor.name, type: tensor.type, shape: shape, byteCount: tensor.byteCount)
  }

  private func badShape(_ tensor: StoredTensor, _ file: MappedFile) -> WeightsError {
    WeightsError(
      .badShape, at: file.path,
      expected: "extents of \(tensor.elementCount) elements in "
        + quoted(Self.shapePrefix + tensor.name),
      found: "others")
  }

  /// Checks that the tensors lie inside the file, each by itself, and sorts them by their data.
  private mutating func place(
    _ offsets: [Int], headerEnd: Int, file: MappedFile
  ) throws(WeightsError) {
    let start = (headerEnd + alignment - 1) / alignment * alignment
    var ranges: [Range<Int>] = []
    for (tensor, offset) in zip(content.tensors, offsets) {
      guard offset.isMultiple(of: alignment) else {
        throw WeightsError(
          .outOfRange, at: file.path,
          expected: "\(quoted(tensor.name)) at a multiple of \(alignment)",
          found: "offset \(offset)")
      }
      let space = file.byteCount - start
      guard offset <= space, tensor.byteCount <= space - offset else {
        throw WeightsError(
          .outOfRange, at: file.path,
          expected:
            "\(quoted(tensor.name)), \(tensor.byteCount) bytes, inside \(max(0, space)) bytes of data",
          found: "offset \(offset)",
          advice: "The file is cut short or damaged: fetch it again.")
      }
      ranges.append(start + offset..<start + offset + tensor.byteCount)
    }
    let order = ranges.indices.sorted { ranges[$0].lowerBound < ranges[$1].lowerBound }
    var end = 0
    for index in order where !ranges[index].isEmpty {
      guard ranges[index].lowerBound >= end else {
        throw WeightsError(
          .overlap, at: file.path,
          expected: "\(quoted(content.tensors[index].name)) behind the tensor before it",
          found: "bytes of both")
      }
      end = ranges[index].upperBound
    }
    content.tensors = order.map { content.tensors[$0] }
    content.ranges = order.map { ranges[$0] }
  }

  // MARK: - Names

  private static func name(
    _ cursor: inout FileCursor, _ what: String
  ) throws(WeightsError) -> String {
    let length = try cursor.count(atMost: maximumNameLength, "the length of \(what)")
    return try cursor.text(length, what)
  }

  private static func duplicate(_ name: String, _ cursor: FileCursor) -> WeightsError {
    WeightsError(
      .duplicateKey, at: cursor.file.path, expected: "each name once",
      found: "\(quoted(name)) twice")
  }

  /// Types of ggml that Kino does not unpack, to name them.
  private static let otherTypes: [UInt32: String] = [
    9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
    21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
    40: "NVFP4", 41: "Q1_0",
  ]
}

extension StoredType {
  /// The numbers that ggml gives to types.
  static let ggufTypes: [(number: UInt32, type: StoredType)] = [
    (0, .float32), (1, .float16), (30, .bfloat16), (8, .q80), (14, .q6K), (13, .q5K), (7, .q51),
    (6, .q50), (12, .q4K), (3, .q41), (2, .q40), (11, .q3K), (10, .q2K), (24, .int8), (25, .int16),
    (26, .int32), (27, .int64), (28, .float64),
  ]

  init?(gguf number: UInt32) {
    guard let found = Self.ggufTypes.first(where: { $0.number == number }) else { return nil }
    self = found.type
  }
}
