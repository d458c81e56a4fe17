/// A state dictionary in the form of `torch.save` before PyTorch 1.6, and since then on demand: pickles one
/// behind another, then each storage with its length before it.
///
/// The pickles: a signature, a version, facts about the machine, the dictionary, and the order of the storages.
struct TorchLegacyFile {
  private(set) var content = WeightFile.Content()

  /// The first pickle: PyTorch's signature, a number of ten bytes.
  static let signature: [UInt8] = [
    0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]

  private static let version = 1001

  init(_ file: MappedFile) throws(WeightsError) {
    let head = try file.read(0..<min(file.byteCount, TorchArchive.maximumPickleLength))
    var reader = PickleReader(head, from: Self.signature.count, path: file.path)
    guard case .integer(Self.version) = try reader.next() else {
      throw Self.unsupported(file, "another version than \(Self.version) of PyTorch's old form")
    }
    let machine = try reader.next()
    guard reader.flag("little_endian", in: machine) != false else {
      throw Self.unsupported(file, "storages of a big-endian machine")
    }
    let tensors = try reader.stateDictionary()
    let order = try reader.next()
    let storages = try Self.place(
      reader.texts(order), from: reader.position, reader.storageTypes, file)
    for (name, tensor) in tensors {
      try content.add(name, tensor, storage: storages[tensor.storage.key], of: file)
    }
  }

  /// Finds where each storage lies: its number of elements, then the elements.
  private static func place(
    _ keys: [String], from start: Int, _ types: [String: StoredType], _ file: MappedFile
  ) throws(WeightsError) -> [String: Range<Int>] {
    var ranges: [String: Range<Int>] = [:]
    var position = start
    for key in keys {
      guard let type = types[key] else {
        throw WeightsError(
          .badEntry, at: file.path, expected: "a storage that a tensor names", found: quoted(key))
      }
      var cursor = FileCursor(file, from: position, to: min(file.byteCount, position + 8))
      let count = try cursor.count(atMost: file.byteCount, "the length of a storage")
      let (byteCount, overflow) = count.multipliedReportingOverflow(by: type.blockByteCount)
      guard !overflow, byteCount <= file.byteCount - cursor.position else {
        throw WeightsError(
          .outOfRange, at: file.path, expected: "\(count) elements in the storage \(quoted(key))",
          found: "the end of the file", advice: "The file is cut short: fetch it again.")
      }
      position = cursor.position + byteCount
      guard ranges.updateValue(cursor.position..<position, forKey: key) == nil else {
        throw WeightsError(
          .duplicateKey, at: file.path, expected: "each storage once",
          found: "\(quoted(key)) twice")
      }
    }
    return ranges
  }

  private static func unsupported(_ file: MappedFile, _ found: String) -> WeightsError {
    WeightsError(
      .unsupportedFormat, at: file.path, expected: "a state dictionary of PyTorch", found: found,
      advice: "Load it in a current PyTorch and save it again with torch.save.")
  }
}
