internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// Turns texts into the hidden states that transformers are told of.
///
/// Where the text encoder does not stay in memory, it is loaded for all texts of a piece of work and let go,
/// and states are kept on disk.
final class TextReader {
  private let family: WanFamily
  private let precision: Precision
  private let device: Device
  private let tokenizer: SentencePieceTokenizer
  /// If it stays.
  private let encoder: UMT5Encoder?
  private let cache: EmbeddingCache?
  /// States of the tokens, `[n, width]`, on the CPU.
  private var known: [String: Tensor] = [:]

  /// Texts whose states are kept in memory.
  private static let limit = 64

  init(_ family: WanFamily, precision: Precision, device: Device) throws {
    (self.family, self.precision, self.device) = (family, precision, device)
    tokenizer = try family.loadTokenizer()
    let stays = family.keepsEncoders(precision)
    encoder = stays ? try family.loadTextEncoder(precision, device) : nil
    let folder = stays ? nil : family.embeddingFolder
    cache = try folder.map {
      try EmbeddingCache(in: $0, of: family.weights.textEncoder, precision: precision)
    }
  }

  func cuts(_ text: String) throws -> Bool { try tokens(of: text).isCut }

  /// Reads the texts that are not known yet; makes room before the text encoder is loaded.
  func read(_ texts: [String], makeRoom: () -> Void) throws {
    var unread: [String] = []
    for text in Set(texts) where known[text] == nil {
      if known.count >= Self.limit { known = known.filter { texts.contains($0.key) } }
      if let states = cache?.states(of: text, width: family.textEncoder.width) {
        known[text] = states
      } else {
        unread.append(text)
      }
    }
    guard !unread.isEmpty else { return }
    if encoder == nil { makeRoom() }
    let encoder = try encoder ?? family.loadTextEncoder(precision, device)
    for text in unread {
      try Task.checkCancellation()
      let states = try states(of: text, by: encoder)
      known[text] = states
      cache?.keep(states, of: text)
    }
  }

  /// The states of a text that was read, `[1, S, width]`, and which rows are text, `[1, S]`.
  func states(of text: String) throws -> (states: Tensor, mask: Tensor) {
    guard let states = known[text] else {
      preconditionFailure("TextReader: a text that was not read")
    }
    let (count, width) = states.shape2
    let rows = Self.padded(count)
    let padding = Tensor.zeros([rows - count, width])
    return (
      concatenate([states, padding], along: 0).expandingDimension(at: 0).moved(to: device),
      mask(count, of: rows)
    )
  }

  private func states(of text: String, by encoder: UMT5Encoder) throws -> Tensor {
    let ids = try tokens(of: text).ids.map(Int64.init)
    let count = Self.padded(ids.count)
    let padding = Array(repeating: Int64(family.textEncoder.paddingID), count: count - ids.count)
    let input = Tensor(ids + padding, shape: [1, count]).moved(to: device)
    let states = encoder(
      inputIDs: input, mask: mask(ids.count, of: count), computeType: precision.computeType)
    return states.squeezing(0).slice(0, 0..<ids.count).moved(to: .cpu).copied()
  }

  /// Products of fewer than 16 rows depend on the thread count; masked rows change nothing.
  private static func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  private func mask(_ count: Int, of rows: Int) -> Tensor {
    Tensor((0..<rows).map { Float($0 < count ? 1 : 0) }, shape: [1, rows]).moved(to: device)
  }

  /// The ids of a text, closed with the end piece, and whether some were cut off.
  private func tokens(of text: String) throws -> (ids: [Int32], isCut: Bool) {
    let ids = try tokenizer.encode(text)
    if ids.count <= family.textLength { return (ids, false) }
    return (Array(ids.prefix(family.textLength - 1)) + ids.suffix(1), true)
  }
}
