import CSentencePiece
import Foundation

/// Trains a SentencePiece tokenizer: a unigram model with the special pieces of T5.
///
/// The special pieces are `<pad>` 0, `</s>` 1 and `<unk>` 2; there is none for a beginning. Text is
/// normalised by the `nmt_nfkc` rules. The same sentences and settings give the same model, byte by
/// byte.
public struct SentencePieceTrainer: Hashable, Sendable {
  /// The number of pieces, special ones and bytes included.
  public var vocabularySize: Int

  /// The share of the characters in the text that get pieces of their own, in `0.98...1`.
  public var characterCoverage: Double

  /// Whether 256 pieces stand for bytes, so that no text is unknown.
  public var usesByteFallback: Bool

  /// Creates a trainer.
  ///
  /// - Parameters:
  ///   - vocabularySize: The number of pieces, special ones and bytes included.
  ///   - characterCoverage: The share of the characters in the text that get pieces of their own,
  ///     in `0.98...1`.
  ///   - usesByteFallback: Whether 256 pieces stand for bytes, so that no text is unknown.
  public init(
    vocabularySize: Int, characterCoverage: Double = 1, usesByteFallback: Bool = true
  ) {
    self.vocabularySize = vocabularySize
    self.characterCoverage = characterCoverage
    self.usesByteFallback = usesByteFallback
  }

  /// Trains a model on sentences.
  ///
  /// - Parameter sentences: One text each, without line breaks. Those above 4192 bytes are left out.
  /// - Returns: What a model file holds; ``SentencePieceTokenizer/init(bytes:)`` reads it.
  /// - Throws: ``TokenizerError`` if there is too little text for the vocabulary, or too small a
  ///   vocabulary for the characters in it.
  public func train(on sentences: [String]) throws(TokenizerError) -> [UInt8] {
    try validate(sentences)
    // All sentences end to end, so that one buffer holds them while C++ reads.
    var text = [CChar]()
    let counts = sentences.map(\.utf8.count)
    text.reserveCapacity(counts.reduce(0, +))
    for sentence in sentences {
      text.append(contentsOf: sentence.utf8.lazy.map { CChar(bitPattern: $0) })
    }
    var bytes: UnsafeMutablePointer<UInt8>?
    var byteCount = 0
    let status = text.withUnsafeBufferPointer { buffer in
      var starts = [UnsafePointer<CChar>?]()
      var offset = 0
      for count in counts {
        starts.append(buffer.baseAddress.map { $0 + offset })
        offset += count
      }
      return kino_sp_train(
        starts, counts, counts.count, Int32(vocabularySize), characterCoverage,
        usesByteFallback ? 1 : 0, &bytes, &byteCount)
    }
    defer { kino_sp_free(bytes) }
    try TokenizerError.check(
      status, "no tokenizer of \(vocabularySize) pieces from \(sentences.count) sentences")
    return Array(UnsafeBufferPointer(start: bytes, count: byteCount))
  }

  /// Trains a model on sentences and writes it to a file, which appears only when it is complete.
  ///
  /// - Parameters:
  ///   - sentences: One text each, without line breaks. Those above 4192 bytes are left out.
  ///   - path: The path of the model file. One that exists is replaced.
  /// - Throws: ``TokenizerError`` if training fails or the file can't be written.
  public func train(on sentences: [String], writingTo path: String) throws(TokenizerError) {
    let bytes = try train(on: sentences)
    do {
      try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw TokenizerError(
        .unwritableFile, "\(path) cannot be written: \(error.localizedDescription)")
    }
  }

  private func validate(_ sentences: [String]) throws(TokenizerError) {
    let smallest = usesByteFallback ? 260 : 4
    guard (smallest...(1 << 24)).contains(vocabularySize) else {
      throw TokenizerError(
        .training, "a vocabulary of \(vocabularySize) pieces; it must have \(smallest) or more")
    }
    guard (0.98...1).contains(characterCoverage) else {
      throw TokenizerError(
        .training, "a character coverage of \(characterCoverage); it must lie in 0.98...1")
    }
    // With nothing left to learn from, SentencePiece ends the process.
    guard sentences.contains(where: Self.isUsable) else {
      throw TokenizerError(
        .training,
        "nothing to train on: no sentence of 4192 bytes or less has a letter or a digit")
    }
  }

  /// Tells whether SentencePiece is sure to keep a sentence; `▅` it reserves for itself.
  private static func isUsable(_ sentence: String) -> Bool {
    sentence.utf8.count <= 4192 && sentence.contains { $0.isLetter || $0.isNumber }
      && !sentence.contains("\u{2585}")
  }
}
