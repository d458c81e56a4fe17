internal import Foundation
public import KinoWeights

extension SentencePieceTokenizer {
  /// Loads the tokenizer that a file of a text encoder carries: ComfyUI's as the tensor `spiece_model`,
  /// GGUF's as lists of pieces. The result is nil if the files carry none.
  ///
  /// - Parameter weights: The weights, or a view of them.
  /// - Throws: ``TokenizerError`` if what they carry is no valid model, `WeightsError` if a file was
  ///   changed since opening.
  public convenience init?(in weights: WeightSet) throws {
    for file in weights.files {
      let name = file.tensors.map(\.name).first {
        $0 == "spiece_model" || $0.hasSuffix(".spiece_model")
      }
      if let name {
        try self.init(bytes: file.withUnsafeBytes(of: name) { Array($0) })
        return
      }
      if let model = try PieceModel(file) {
        try self.init(bytes: model.bytes)
        return
      }
    }
    return nil
  }
}

/// A SentencePiece model put together from the lists of a GGUF file.
///
/// Written as the fields of `sentencepiece_model.proto` in the wire format of Protocol Buffers.
private struct PieceModel {
  private(set) var bytes: [UInt8] = []

  private static let unigram = 1
  private static let byteType = 6

  /// Reads the lists of a file; nil if it has none.
  init?(_ file: WeightFile) throws {
    let key = "tokenizer.ggml."
    guard let pieces = try file.texts(key + "tokens") else { return nil }
    let scores = try file.numbers(key + "scores")
    let types = try file.numbers(key + "token_type")
    guard let scores, let types, scores.count == pieces.count, types.count == pieces.count,
      file.metadata[key + "model"] == "t5"
    else {
      throw TokenizerError(
        .invalidModel,
        "\(file.url.path): expected a t5 tokenizer with a score and a type for each of "
          + "\(pieces.count) pieces, found \(file.metadata[key + "model"] ?? "none") with "
          + "\(scores?.count ?? 0) scores and \(types?.count ?? 0) types. "
          + "Give the tokenizer's spiece.model as a file.")
    }
    for (piece, (score, type)) in zip(pieces, zip(scores, types)) {
      var entry = Message()
      entry.add(1, Array(piece.utf8))
      entry.add(2, Float(score))
      entry.add(3, Int(exactly: type) ?? 0)
      append(1, entry)
    }
    var trainer = Message()
    trainer.add(3, Self.unigram)
    trainer.add(4, pieces.count)
    trainer.add(35, types.count { $0 == Double(Self.byteType) } == 256 ? 1 : 0)
    append(2, trainer)
    var normalizer = Message()
    let table = try file.numbers(key + "precompiled_charsmap") ?? []
    if !table.isEmpty { normalizer.add(2, table.map { UInt8(exactly: $0) ?? 0 }) }
    normalizer.add(3, Int(file.metadata[key + "add_space_prefix"] ?? "") ?? 1)
    normalizer.add(4, Int(file.metadata[key + "remove_extra_whitespaces"] ?? "") ?? 1)
    normalizer.add(5, 1)
    append(3, normalizer)
  }

  private mutating func append(_ field: Int, _ message: Message) {
    var outer = Message()
    outer.add(field, message.bytes)
    bytes += outer.bytes
  }

  /// The fields of one message.
  private struct Message {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ field: Int, _ value: Int) {
      varint(field << 3)
      varint(max(0, value))
    }

    mutating func add(_ field: Int, _ value: Float) {
      varint(field << 3 | 5)
      bytes += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
    }

    mutating func add(_ field: Int, _ value: [UInt8]) {
      varint(field << 3 | 2)
      varint(value.count)
      bytes += value
    }

    /// Seven bits a byte, lowest first.
    private mutating func varint(_ value: Int) {
      var rest = value
      while rest > 127 {
        bytes.append(UInt8(rest & 127 | 128))
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
  }
}
