package import KinoNN
package import KinoTensor

/// Where a tensor of a set comes from, and what is done to it when it is asked for.
struct TensorSource: Sendable {
  /// The number of the file.
  var file: Int
  /// The tensor in the file.
  var stored: StoredTensor
  /// Rows along the first axis; nil takes all.
  var rows: Range<Int>?
  /// The extents it is given; nil keeps the file's.
  var shape: [Int]?
  /// What it is multiplied by: a tensor of the same file.
  var scale: StoredTensor?
  /// What is added after all else, in float32, one after another.
  var patches: [any WeightPatch] = []

  init(file: Int, stored: StoredTensor) {
    self.file = file
    self.stored = stored
  }

  /// The bytes as stored; valid as long as the file's mapping lives.
  func bytes(in files: [WeightFile]) throws(WeightsError) -> UnsafeRawBufferPointer {
    let bytes = try files[file].bytes(of: stored.name)
    guard let rows, let count = stored.shape.first, count > 0 else { return bytes }
    let rowLength = bytes.count / count
    return UnsafeRawBufferPointer(
      rebasing: bytes[rows.lowerBound * rowLength..<rows.upperBound * rowLength])
  }

  /// Whether the tensor is computed, so that its pages are not needed afterwards.
  var isComputed: Bool { isUnpacked || !patches.isEmpty }

  /// Whether the file holds it in another form than numbers of its own.
  var isUnpacked: Bool { stored.type.isPacked || scale != nil }

  /// The extents of the rows that are taken, as the file has them.
  private var extents: [Int] {
    rows.map { [$0.count] + stored.shape.dropFirst() } ?? stored.shape
  }

  /// Makes the tensor.
  func tensor(in files: [WeightFile]) throws(WeightsError) -> Tensor {
    var value: Tensor
    if let scale {
      value = ScaledWeights.product(
        try files[file].tensor(named: stored.name).cast(to: .float32),
        try files[file].tensor(named: scale.name).cast(to: .float32))
      if let rows { value = value.slice(0, rows) }
    } else {
      value = try files[file].tensor(bytes(in: files), as: stored.reshaped(to: extents))
    }
    if let shape { value = value.reshaped(to: shape) }
    for patch in patches { value = try patch.applied(to: value) }
    return value
  }
}

extension TensorSource {
  /// The matrix in the packed form of its file, with the changes that are of low rank beside it; `nil` for what is
  /// no matrix, is not packed, or is changed in another way.
  func unpackedWeight(in files: [WeightFile]) throws(WeightsError) -> UnpackedWeight? {
    let (type, shape) = (stored.type, shape ?? extents)
    guard type.isPacked, shape.count == 2, !shape.contains(0),
      shape[1].isMultiple(of: type.blockLength),
      (scale?.elementCount ?? 1) == 1
    else { return nil }
    var pairs: [LowRankPair] = []
    for patch in patches {
      guard let pair = try patch.lowRankPair() else { return nil }
      pairs.append(pair)
    }
    let factor = try scale.map { scale throws(WeightsError) in
      Float(try files[file].tensor(named: scale.name).item())
    }
    nonisolated(unsafe) let bytes = try bytes(in: files)
    let (mapping, blocks) = (files[file].mapping, shape[1] / type.blockLength)
    let matrix = UnpackedMatrix(outputs: shape[0], inputs: shape[1]) { rows, target in
      guard let start = bytes.baseAddress else { return }
      let count = rows.count * blocks
      withExtendedLifetime(mapping) {
        type.unpackInOrder(
          start + rows.lowerBound * blocks * type.blockByteCount, count, target)
      }
      guard let factor else { return }
      for index in 0..<count * type.blockLength { target[index] *= factor }
    }
    return UnpackedWeight(matrix, pairs: pairs)
  }
}

/// Changes a weight when it is asked for.
package protocol WeightPatch: Sendable {
  /// Returns the changed weight; the shape stays.
  func applied(to weight: Tensor) throws(WeightsError) -> Tensor

  /// The change as one of low rank that can be added beside the weight; `nil` for another change.
  func lowRankPair() throws(WeightsError) -> LowRankPair?
}

extension StoredTensor {
  /// The same tensor, or a part of it, with other extents.
  func reshaped(to shape: [Int]) -> StoredTensor {
    StoredTensor(name: name, type: type, shape: shape, byteCount: byteCount)
  }

  /// The same tensor under another name.
  func renamed(_ name: String) -> StoredTensor {
    StoredTensor(name: name, type: type, shape: shape, byteCount: byteCount)
  }
}
