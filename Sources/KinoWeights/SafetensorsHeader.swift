/// The parsed and checked header of a safetensors file: every range it holds lies inside the data.
///
/// The format: 8 bytes with the header's length (little-endian), a JSON object
/// `{name: {dtype, shape, data_offsets}}` with an optional string map `__metadata__`, then the data,
/// which the ranges must tile without gaps or overlaps.
struct SafetensorsHeader: Sendable {
  /// The same limit as the reference implementation.
  static let maximumLength = 100_000_000
  static let maximumRank = 32
  static let metadataKey = "__metadata__"

  /// In order of their data.
  private(set) var tensors: [StoredTensor] = []
  /// Where each tensor lies in the data section; same order as `tensors`.
  private(set) var ranges: [Range<Int>] = []
  private(set) var metadata: [String: String] = [:]
  private(set) var indices: [String: Int] = [:]
  private var dataStart = 0

  /// Parses the JSON text of a header whose file holds `dataLength` bytes after it.
  init(json: [UInt8], dataLength: Int, path: String) throws(WeightsError) {
    guard json.first == UInt8(ascii: "{") else {
      throw WeightsError(
        .notJSON, at: path, expected: "a header that starts with '{'",
        found: json.first.map { "the byte \($0)" } ?? "an empty header")
    }
    try parse(json, path: path)
    try check(dataLength: dataLength, path: path)
  }

  /// Reads and checks the header of a file.
  init(_ file: MappedFile) throws(WeightsError) {
    let length = try Self.length(in: file)
    try self.init(
      json: file.read(8..<8 + length), dataLength: file.byteCount - 8 - length, path: file.path)
    dataStart = 8 + length
  }

  /// What the header says, with places in the file.
  var content: WeightFile.Content {
    WeightFile.Content(
      tensors: tensors,
      ranges: ranges.map { $0.lowerBound + dataStart..<$0.upperBound + dataStart },
      metadata: metadata)
  }

  private static func length(in file: MappedFile) throws(WeightsError) -> Int {
    guard file.byteCount >= 8 else {
      throw WeightsError(
        .truncatedHeader, at: file.path, expected: "at least 8 bytes",
        found: "\(file.byteCount)")
    }
    let length = try file.read(0..<8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(maximumLength) else {
      throw WeightsError(
        .headerTooLarge, at: file.path,
        expected: "a header of at most \(maximumLength) bytes",
        found: "\(length)", advice: "This is not a safetensors file, or it is damaged.")
    }
    guard length <= UInt64(file.byteCount - 8) else {
      throw WeightsError(
        .truncatedHeader, at: file.path, expected: "a header of \(length) bytes",
        found: "a file of \(file.byteCount)")
    }
    return Int(length)
  }

  // MARK: - Parsing

  private mutating func parse(_ json: [UInt8], path: String) throws(WeightsError) {
    var scanner = JSONScanner(json, path: path)
    var seenMetadata = false
    var (tensors, ranges, metadata, indices) = (tensors, ranges, metadata, indices)
    try scanner.object { (scanner, key) throws(WeightsError) in
      if key == Self.metadataKey {
        guard !seenMetadata else { throw scanner.duplicate(key) }
        seenMetadata = true
        metadata = try Self.metadata(&scanner)
      } else {
        guard indices.updateValue(tensors.count, forKey: key) == nil else {
          throw scanner.duplicate(key)
        }
        let (tensor, range) = try Self.entry(named: key, &scanner)
        tensors.append(tensor)
        ranges.append(range)
      }
    }
    try scanner.end()
    (self.tensors, self.ranges, self.metadata, self.indices) = (tensors, ranges, metadata, indices)
  }

  private static func metadata(
    _ scanner: inout JSONScanner
  ) throws(WeightsError) -> [String: String] {
    var metadata: [String: String] = [:]
    try scanner.object { (scanner, key) throws(WeightsError) in
      guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
        throw scanner.duplicate(key)
      }
    }
    return metadata
  }

  private static func entry(
    named name: String, _ scanner: inout JSONScanner
  ) throws(WeightsError) -> (StoredTensor, Range<Int>) {
    let path = scanner.path
    var type: StoredType?
    var shape: [Int]?
    var range: Range<Int>?
    try scanner.object { (scanner, field) throws(WeightsError) in
      switch field {
      case "dtype" where type == nil: type = try self.type(&scanner, of: name)
      case "shape" where shape == nil: shape = try self.shape(&scanner, of: name)
      case "data_offsets" where range == nil: range = try self.range(&scanner, of: name)
      case "dtype", "shape", "data_offsets":
        throw scanner.duplicate("\(name).\(field)")
      default:
        throw badEntry(name, found: "the field \(quoted(field))", path: path)
      }
    }
    guard let type, let shape, let range else {
      let missing = type == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
      throw badEntry(name, found: "no \(missing)", path: path)
    }
    guard let byteCount = type.byteCount(shape: shape) else {
      throw WeightsError(
        .badShape, at: path, expected: "a size below 2^63 bytes for \(quoted(name))",
        found: "shape \(shape)")
    }
    guard byteCount == range.count else {
      throw WeightsError(
        .sizeMismatch, at: path,
        expected: "\(byteCount) bytes for \(quoted(name)), \(type.rawValue) \(shape)",
        found: "data_offsets \(range.lowerBound)...\(range.upperBound), \(range.count) bytes")
    }
    return (StoredTensor(name: name, type: type, shape: shape, byteCount: byteCount), range)
  }

  private static func type(
    _ scanner: inout JSONScanner, of name: String
  ) throws(WeightsError) -> StoredType {
    let text = try scanner.string()
    // Blocks are GGUF's alone.
    if let type = StoredType(rawValue: text), type.blockLength == 1 { return type }
    let known = StoredType.allCases.filter { $0.blockLength == 1 }.map(\.rawValue)
      .joined(separator: ", ")
    let isDefined = StoredType.unsupportedNames.contains(text)
    throw WeightsError(
      isDefined ? .unsupportedType : .unknownType, at: scanner.path,
      expected: "one of \(known) for \(quoted(name))", found: quoted(text),
      advice: isDefined
        ? "Kino does not read this type: convert the weights to BF16 or F16 first."
        : WeightsError.fetchAgain)
  }

  private static func shape(
    _ scanner: inout JSONScanner, of name: String
  ) throws(WeightsError) -> [Int] {
    var shape: [Int] = []
    try scanner.array { (scanner) throws(WeightsError) in
      guard shape.count < maximumRank else {
        throw WeightsError(
          .badShape, at: scanner.path, expected: "at most \(maximumRank) axes for \(quoted(name))",
          found: "more")
      }
      shape.append(try scanner.unsigned())
    }
    return shape
  }

  private static func range(
    _ scanner: inout JSONScanner, of name: String
  ) throws(WeightsError) -> Range<Int> {
    var bounds: [Int] = []
    try scanner.array { (scanner) throws(WeightsError) in
      guard bounds.count < 2 else {
        throw badEntry(name, found: "more than two data_offsets", path: scanner.path)
      }
      bounds.append(try scanner.unsigned())
    }
    guard bounds.count == 2 else {
      throw badEntry(name, found: "\(bounds.count) data_offsets", path: scanner.path)
    }
    guard bounds[0] <= bounds[1] else {
      throw WeightsError(
        .outOfRange, at: scanner.path, expected: "data_offsets of \(quoted(name)) in order",
        found: "\(bounds)")
    }
    return bounds[0]..<bounds[1]
  }

  // MARK: - Layout

  /// Sorts the tensors by their data and checks that they tile it.
  private mutating func check(dataLength: Int, path: String) throws(WeightsError) {
    let order = tensors.indices.sorted { a, b in
      (ranges[a].lowerBound, ranges[a].upperBound, a) < (
        ranges[b].lowerBound, ranges[b].upperBound, b
      )
    }
    var cursor = 0
    for index in order {
      let (name, range) = (tensors[index].name, ranges[index])
      guard range.upperBound <= dataLength else {
        throw WeightsError(
          .outOfRange, at: path, expected: "\(quoted(name)) inside \(dataLength) bytes of data",
          found: "data_offsets up to \(range.upperBound)",
          advice: "The file is cut short or damaged: fetch or export it again.")
      }
      guard range.lowerBound == cursor else {
        throw WeightsError(
          range.lowerBound < cursor ? .overlap : .gap, at: path,
          expected: "\(quoted(name)) to start where the tensor before it ends, at \(cursor)",
          found: "\(range.lowerBound)")
      }
      cursor = range.upperBound
    }
    guard cursor == dataLength else {
      throw WeightsError(
        .trailingBytes, at: path, expected: "the data to end at byte \(cursor)",
        found: "\(dataLength - cursor) bytes more")
    }
    tensors = order.map { tensors[$0] }
    ranges = order.map { ranges[$0] }
    for (index, tensor) in tensors.enumerated() { indices[tensor.name] = index }
  }

  // MARK: - Errors

  private static func badEntry(_ name: String, found: String, path: String) -> WeightsError {
    WeightsError(
      .badEntry, at: path,
      expected: "dtype, shape and two data_offsets, and nothing else, for \(quoted(name))",
      found: found)
  }
}
