public import KinoSystem

/// Reports that a tokenizer could not be loaded, used or trained.
public struct TokenizerError: KinoError, Hashable {
  /// Names a kind of failure.
  public enum Code: Hashable, Sendable {
    /// A file could not be read.
    case unreadableFile
    /// The bytes are not a SentencePiece model, or a damaged one.
    case invalidModel
    /// Text could not be encoded or decoded.
    case processing
    /// A tokenizer could not be trained.
    case training
    /// A file could not be written.
    case unwritableFile
    /// Memory ran out.
    case outOfMemory
  }

  /// The kind of failure.
  public let code: Code

  /// What was expected, what was found, and what to do next.
  public let details: String

  /// The details, after the part of Kino that they come from.
  public var description: String { "Tokenizer: \(details)" }

  init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }
}
