/// A state dictionary in the form of `torch.save` since PyTorch 1.6: a zip file with the dictionary in
/// `data.pkl` and the elements of each storage in a file of its own.
///
/// Tensors lie over the zip file's pages. The pickle is read by ``PickleReader``, which runs nothing.
struct TorchArchive {
  private(set) var content = WeightFile.Content()

  static let maximumPickleLength = 8_000_000

  init(_ file: MappedFile) throws(WeightsError) {
    let directory = try ZipDirectory(file)
    let pickles = directory.ranges.keys.filter { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }
    guard let pickle = pickles.first, pickles.count == 1, let range = directory.ranges[pickle]
    else {
      throw WeightsError(
        .unsupportedFormat, at: file.path, expected: "one data.pkl in the zip file",
        found: "\(pickles.count)",
        advice: "This is no file of torch.save; unpack it if it is an archive of a model.")
    }
    let prefix = String(pickle.dropLast("data.pkl".count))
    try Self.checkByteOrder(directory.ranges[prefix + "byteorder"], file)
    guard range.count <= Self.maximumPickleLength else {
      throw WeightsError(
        .headerTooLarge, at: file.path,
        expected: "a pickle of at most \(Self.maximumPickleLength) bytes", found: "\(range.count)",
        advice: "This is not a state dictionary.")
    }
    var reader = PickleReader(try file.read(range), path: file.path)
    for (name, tensor) in try reader.stateDictionary() {
      try content.add(
        name, tensor, storage: directory.ranges[prefix + "data/" + tensor.storage.key], of: file)
    }
  }

  private static func checkByteOrder(
    _ range: Range<Int>?, _ file: MappedFile
  ) throws(WeightsError) {
    guard let range else { return }
    guard try file.read(range.prefix(16)) == Array("little".utf8) else {
      throw WeightsError(
        .unsupportedFormat, at: file.path, expected: "little-endian storages", found: "others",
        advice: "Save the weights again on a little-endian machine.")
    }
  }
}

extension WeightFile.Content {
  /// Adds a tensor of a pickle whose elements lie in the part `range` of the file.
  mutating func add(
    _ name: String, _ tensor: PickleReader.TensorRecord, storage range: Range<Int>?,
    of file: MappedFile
  ) throws(WeightsError) {
    let shape = tensor.shape
    guard let byteCount = tensor.type.byteCount(shape: shape), byteCount >= 0 else {
      throw WeightsError(
        .badShape, at: file.path, expected: "a size below 2^63 bytes for \(quoted(name))",
        found: "shape \(shape.prefix(SafetensorsHeader.maximumRank))")
    }
    guard byteCount == 0 || Self.isContiguous(shape, strides: tensor.strides) else {
      throw WeightsError(
        .unsupportedFormat, at: file.path, expected: "\(quoted(name)) with its elements in order",
        found: "a view of shape \(shape) with strides \(tensor.strides)",
        advice: "Save the weights again with each tensor made contiguous().")
    }
    guard let range else {
      throw WeightsError(
        .missingTensor, at: file.path,
        expected: "the storage \(quoted(tensor.storage.key)) of \(quoted(name)) in the file",
        found: "none")
    }
    let (offset, overflow) = tensor.offset.multipliedReportingOverflow(
      by: tensor.type.blockByteCount)
    guard !overflow, 0...range.count ~= offset, byteCount <= range.count - offset else {
      throw WeightsError(
        .outOfRange, at: file.path,
        expected: "\(quoted(name)), \(tensor.type.rawValue) \(shape), inside its storage",
        found: "\(range.count) bytes", advice: "The file is damaged: fetch it again.")
    }
    tensors.append(
      StoredTensor(name: name, type: tensor.type, shape: shape, byteCount: byteCount))
    let start = range.lowerBound + offset
    ranges.append(start..<start + byteCount)
  }

  private static func isContiguous(_ shape: [Int], strides: [Int]) -> Bool {
    guard shape.count == strides.count else { return false }
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      guard stride == expected else { return false }
      expected *= extent
    }
    return true
  }
}
