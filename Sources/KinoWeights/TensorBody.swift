import Foundation
internal import KinoSystem

/// The data of a file that is being written: announced tensors, each of which goes to its place once.
struct TensorBody: ~Copyable {
  let path: String
  let file: AtomicFile
  /// Where the data starts in the file.
  let start: Int
  /// Tensors that are to come, with their offsets in the data.
  var pending: [String: (offset: Int, tensor: StoredTensor)]

  mutating func write(
    _ bytes: UnsafeRawBufferPointer, for name: String
  ) throws(WeightsError) {
    guard let (offset, tensor) = pending[name] else {
      throw WeightsError(
        .missingTensor, at: path, expected: "a tensor announced to the writer, once",
        found: quoted(name), advice: "Announce every tensor when making the writer.")
    }
    guard bytes.count == tensor.byteCount else {
      let size = "\(tensor.type.rawValue) \(tensor.shape)"
      throw WeightsError(
        .sizeMismatch, at: path,
        expected: "\(tensor.byteCount) bytes for \(quoted(name)), \(size)",
        found: "\(bytes.count)", advice: "Cast and make contiguous before writing.")
    }
    let (file, place) = (file, start + offset)
    try WeightsError.writing { () throws(FileError) in try file.write(bytes, at: place) }
    pending[name] = nil
  }

  consuming func finish(
    checking check: (_ written: URL) throws(WeightsError) -> Void
  ) throws(WeightsError) {
    if let missing = pending.values.filter({ $0.tensor.byteCount > 0 }).map(\.tensor.name).min() {
      throw WeightsError(
        .unfinished, at: path, expected: "every announced tensor to be written",
        found: "\(quoted(missing)) was not", advice: "Write all tensors before finishing.")
    }
    let file = file
    try check(URL(fileURLWithPath: file.temporaryPath))
    try WeightsError.writing { () throws(FileError) in try file.publish() }
  }
}
