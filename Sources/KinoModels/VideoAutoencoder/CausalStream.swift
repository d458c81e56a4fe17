internal import KinoTensor

/// What the causal layers remember of a clip that is processed in pieces.
///
/// A whole clip is one piece of a stream that remembers nothing, so training, short clips and
/// streaming share every line: pieces of any lengths give the same result.
struct CausalStream {
  /// Whether the next piece starts the clip.
  private(set) var isAtStart = true
  /// Whether there will be another piece: without one nothing is kept.
  private let isContinued: Bool
  /// The last frames each layer saw, by the layer's key.
  private var past: [String: Tensor] = [:]

  init(isContinued: Bool) { self.isContinued = isContinued }

  /// Call after every piece.
  mutating func advance() { isAtStart = false }

  /// The last frames `layer` kept; `nil` where it has seen none.
  func frames(before layer: String) -> Tensor? { past[layer] }

  /// Keeps the last `count` frames that `layer` has seen, `x` being the newest.
  mutating func keep(_ count: Int, of x: Tensor, for layer: String) {
    guard isContinued, count > 0 else { return }
    var seen = x
    if x.size(2) < count, let past = past[layer] { seen = concatenate([past, x], along: 2) }
    let surplus = seen.size(2) - count
    // Copied, so that the frames before them can be freed.
    past[layer] = surplus > 0 ? seen.slice(2, from: surplus).copied() : seen
  }

  /// Prepends `count` frames: those kept before, zeros where there were none.
  mutating func extend(_ x: Tensor, by count: Int, for layer: String) -> Tensor {
    var pieces = [x]
    let kept = past[layer]
    if let kept { pieces.insert(kept, at: 0) }
    let missing = count - (kept?.size(2) ?? 0)
    if missing > 0 {
      let (batch, channels, _, height, width) = x.shape5
      pieces.insert(
        .zeros([batch, channels, missing, height, width], dtype: x.dtype, device: x.device)
          .channelsLast(), at: 0)
    }
    keep(count, of: x, for: layer)
    return concatenate(pieces, along: 2)
  }
}
