internal import Foundation
internal import KinoModels
internal import KinoTensor

/// How captions become states that a transformer attends to.
protocol CaptionEncoding: AnyObject {
  /// Encodes captions, padded to the longest.
  ///
  /// - Returns: States `[B, S, width]`, and which rows are text, `[B, S]`.
  /// - Throws: An error of the encoder's files.
  func states(of captions: [String]) throws -> (states: Tensor, mask: Tensor)
}

/// The tokens of captions.
struct CaptionTokens {
  let tokenizer: SentencePieceTokenizer

  /// The most tokens of a text, and the rows that the transformer attends to, most of them padding, as in
  /// published models.
  static let limit = 512

  /// A caption's tokens. One of our own grammar can always be tokenised; an unreadable one counts as
  /// empty.
  func callAsFunction(_ caption: String) -> [Int32] {
    (try? tokenizer.encode(caption, maximumLength: Self.limit)) ?? [1]
  }

  /// Whether a caption has more tokens than are read.
  func cuts(_ caption: String) -> Bool {
    ((try? tokenizer.encode(caption, maximumLength: Self.limit + 1))?.count ?? 0) > Self.limit
  }

  /// Ids `[B, S]` of texts padded to `length`, and which of them are text.
  static func padded(_ ids: [[Int32]], to length: Int, on device: Device) -> (
    ids: Tensor, mask: Tensor
  ) {
    var padded = [Int64](repeating: 0, count: ids.count * length)
    var present = [Float](repeating: 0, count: ids.count * length)
    for (row, own) in ids.enumerated() {
      for (column, id) in own.enumerated() {
        padded[row * length + column] = Int64(id)
        present[row * length + column] = 1
      }
    }
    let shape = [ids.count, length]
    return (
      Tensor(padded, shape: shape).moved(to: device),
      Tensor(present, shape: shape).moved(to: device)
    )
  }
}

/// Captions through a text encoder that learns, so that nothing can be kept.
final class LearningCaptions: CaptionEncoding {
  private let encoder: UMT5Encoder
  private let tokens: CaptionTokens
  private let computeType: DType
  private let device: Device

  init(_ encoder: UMT5Encoder, tokens: CaptionTokens, computeType: DType, device: Device) {
    (self.encoder, self.tokens) = (encoder, tokens)
    (self.computeType, self.device) = (computeType, device)
  }

  func states(of captions: [String]) -> (states: Tensor, mask: Tensor) {
    let ids = captions.map { tokens($0) }
    let (input, mask) = CaptionTokens.padded(ids, to: ids.map(\.count).max() ?? 1, on: device)
    return (encoder(inputIDs: input, mask: mask, computeType: computeType), mask)
  }
}

/// Captions through a text encoder that stays as it is: each is encoded once and kept.
///
/// The encoder of published models is larger than the transformer. It is opened when a caption is new, and
/// closed by ``close()``.
final class FrozenCaptions: CaptionEncoding {
  private let open: () throws -> UMT5Encoder
  private let tokens: CaptionTokens
  private let computeType: DType
  private let device: Device
  private var encoder: UMT5Encoder?
  private var kept: [String: Tensor] = [:]
  private var keptBytes = 0

  /// States of more captions than this are made anew in every step.
  private static let byteLimit = 1 << 30

  init(
    tokens: CaptionTokens, computeType: DType, device: Device,
    open: @escaping () throws -> UMT5Encoder
  ) {
    (self.open, self.tokens) = (open, tokens)
    (self.computeType, self.device) = (computeType, device)
  }

  func states(of captions: [String]) throws -> (states: Tensor, mask: Tensor) {
    let own = try captions.map { try states(of: $0) }
    let length = own.map { $0.size(0) }.max() ?? 1
    let rows = own.map { states in
      let missing = length - states.size(0)
      if missing == 0 { return states }
      let zeros = Tensor.zeros([missing, states.size(1)], dtype: states.dtype).moved(to: device)
      return concatenate([states, zeros], along: 0)
    }
    let mask = own.flatMap { states in (0..<length).map { Float($0 < states.size(0) ? 1 : 0) } }
    return (stack(rows), Tensor(mask, shape: [own.count, length]).moved(to: device))
  }

  /// Lets the encoder go until a caption is new.
  func close() { encoder = nil }

  private func states(of caption: String) throws -> Tensor {
    if let found = kept[caption] { return found }
    let encoder = try encoder ?? open()
    self.encoder = encoder
    let ids = tokens(caption)
    // Products of fewer than 16 rows depend on the thread count; masked rows change nothing.
    let (input, mask) = CaptionTokens.padded([ids], to: (ids.count + 15) / 16 * 16, on: device)
    let states = withoutGradient {
      encoder(inputIDs: input, mask: mask, computeType: computeType).select(0, 0)
        .slice(0, 0..<ids.count).cast(to: computeType).copied()
    }
    keptBytes += states.count * states.dtype.byteCount
    if keptBytes <= Self.byteLimit { kept[caption] = states }
    return states
  }
}
