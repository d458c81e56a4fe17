import CSentencePiece

/// Turns text into the ids that a text encoder reads, as the T5 and UMT5 tokenizers do.
///
/// The model is a SentencePiece file (`spiece.model` or `spm.model`). Text is normalised the way
/// the model says (for T5: NFKC, runs of white space become one space, none at the ends), split
/// into pieces, and closed with the end piece `</s>`.
///
/// Text is text: unlike in transformers, the spelling of a special piece in a prompt (`</s>`,
/// `<pad>`, `<extra_id_0>`) means nothing special. The extra ids above ``vocabularySize``, which
/// transformers adds, therefore never occur. Characters that a model has no piece for are spelled in
/// bytes if it has pieces for those, as in training; transformers makes them one unknown piece.
///
/// One tokenizer may be used by any number of tasks at once.
public final class SentencePieceTokenizer: Sendable {
  /// The number of pieces; every id is below it.
  public let vocabularySize: Int

  /// The id that fills a sequence up to a length, if the model has one; 0 for T5.
  public let padID: Int32?

  /// The id that closes a sequence, if the model has one; 1 for T5.
  public let endID: Int32?

  /// The id of what the model has no piece for; 2 for T5.
  public let unknownID: Int32

  private let model: Model

  /// Loads a SentencePiece model from a file.
  ///
  /// - Parameter path: The path of the model file.
  /// - Throws: ``TokenizerError`` if the file can't be read or is no valid model.
  public convenience init(contentsOf path: String) throws(TokenizerError) {
    var handle: OpaquePointer?
    let status = path.withCString { kino_sp_open_file($0, &handle) }
    self.init(
      try Model(
        handle, status: status, what: "\(path) cannot be loaded as a SentencePiece model"))
  }

  /// Loads a SentencePiece model from memory.
  ///
  /// - Parameter bytes: What a model file holds.
  /// - Throws: ``TokenizerError`` if the bytes are no valid model.
  public convenience init(bytes: [UInt8]) throws(TokenizerError) {
    var handle: OpaquePointer?
    let status = bytes.withUnsafeBytes { kino_sp_open_bytes($0.baseAddress, $0.count, &handle) }
    self.init(
      try Model(handle, status: status, what: "\(bytes.count) bytes are no SentencePiece model"))
  }

  private init(_ model: Model) {
    self.model = model
    vocabularySize = Int(kino_sp_vocabulary_size(model.handle))
    padID = Self.existing(kino_sp_pad_id(model.handle))
    endID = Self.existing(kino_sp_end_id(model.handle))
    unknownID = kino_sp_unknown_id(model.handle)
  }

  private static func existing(_ id: Int32) -> Int32? { id < 0 ? nil : id }

  /// Encodes text, and closes it with the end piece.
  ///
  /// - Parameters:
  ///   - text: Any text; of an empty one only the end piece remains.
  ///   - maximumLength: The most ids to return, 1 or more. Longer text is cut; the end piece stays.
  /// - Returns: Ids in `0..<vocabularySize`, `maximumLength` at most.
  /// - Throws: ``TokenizerError`` if the model can't encode the text, or memory runs out.
  /// - Complexity: O(length of the text), whatever the maximum length.
  public func encode(
    _ text: String, maximumLength: Int = .max
  ) throws(TokenizerError) -> [Int32] {
    precondition(maximumLength >= 1, "encode: maximumLength \(maximumLength) is below 1")
    var text = text
    var ids: UnsafeMutablePointer<Int32>?
    var count = 0
    let status = text.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) {
        kino_sp_encode(model.handle, $0.baseAddress, $0.count, &ids, &count)
      }
    }
    defer { kino_sp_free(ids) }
    try TokenizerError.check(status, "text of \(text.utf8.count) bytes cannot be encoded")
    let end = endID.map { [$0] } ?? []
    let kept = min(count, maximumLength - end.count)
    return Array(UnsafeBufferPointer(start: ids, count: kept)) + end
  }

  /// Decodes ids to text.
  ///
  /// - Parameter ids: Ids as ``encode(_:maximumLength:)`` returns them. Padding, end pieces and ids
  ///   outside the vocabulary leave nothing in the text.
  /// - Returns: The text, as the model normalises it.
  /// - Throws: ``TokenizerError`` if memory runs out.
  public func decode(_ ids: [Int32]) throws(TokenizerError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    var count = 0
    let status = ids.withUnsafeBufferPointer {
      kino_sp_decode(model.handle, $0.baseAddress, $0.count, &text, &count)
    }
    defer { kino_sp_free(text) }
    try TokenizerError.check(status, "\(ids.count) ids cannot be decoded")
    return String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
  }

  /// Returns the text of a piece, in which `▁` stands for a space.
  ///
  /// - Parameter id: Any number.
  /// - Returns: The piece, or `nil` if the vocabulary has no such id.
  public func piece(for id: Int32) -> String? {
    var count = 0
    guard let text = kino_sp_piece(model.handle, id, &count) else { return nil }
    return String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
  }

  /// Returns the id of a piece.
  ///
  /// - Parameter piece: The text of a piece, in which `▁` stands for a space.
  /// - Returns: Its id, or `nil` if the vocabulary has no such piece.
  public func id(of piece: String) -> Int32? {
    var text = piece
    let id = text.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) {
        kino_sp_piece_id(model.handle, $0.baseAddress, $0.count)
      }
    }
    return self.piece(for: id) == piece ? id : nil
  }
}

extension SentencePieceTokenizer {
  /// Owns a loaded model.
  ///
  /// `@unchecked Sendable`: the handle never changes, C++ only reads the model behind it, and it is
  /// freed once, by the last owner.
  private final class Model: @unchecked Sendable {
    let handle: OpaquePointer

    init(
      _ handle: OpaquePointer?, status: kino_sp_status, what: String
    ) throws(TokenizerError) {
      try TokenizerError.check(status, what)
      guard let handle else { throw TokenizerError(.invalidModel, what) }
      self.handle = handle
    }

    deinit { kino_sp_close(handle) }
  }
}

extension TokenizerError {
  /// Throws if a call of the C interface failed, with the reason it gives.
  static func check(
    _ status: kino_sp_status, _ what: @autoclosure () -> String
  ) throws(TokenizerError) {
    let code: Code
    switch status {
    case KINO_SP_OK: return
    case KINO_SP_UNREADABLE: code = .unreadableFile
    case KINO_SP_INVALID_MODEL: code = .invalidModel
    case KINO_SP_TRAINING: code = .training
    case KINO_SP_OUT_OF_MEMORY: code = .outOfMemory
    default: code = .processing
    }
    throw TokenizerError(code, "\(what()): \(String(cString: kino_sp_last_error()))")
  }
}
