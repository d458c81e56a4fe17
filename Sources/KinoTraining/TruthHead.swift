internal import KinoNN
internal import KinoTensor
internal import KinoWorld

/// What the renderer knows of the tokens of a batch.
struct TruthBatch: Sendable {
  /// `[B, L, SceneTruth.width]`; zeros for samples of which nothing is known.
  let values: Tensor
  /// `[B, 1, 1]`: 1 where the truth is known, else 0.
  let isKnown: Tensor
  /// The share of samples whose truth is known, in the whole batch that these are a part of.
  let knownShare: Double

  /// Joins the truth of samples, each frame by frame; `nil` is a sample without. Without a share, it is that
  /// of these samples.
  init(_ truths: [[SceneTruth]?], knownShare: Double? = nil) {
    self.knownShare =
      knownShare ?? Double(truths.count { $0 != nil }) / Double(max(1, truths.count))
    let known = truths.map { $0?.flatMap(\.values) }
    let length = known.lazy.compactMap(\.self).first?.count ?? SceneTruth.width
    let all = known.flatMap { $0 ?? [Float](repeating: 0, count: length) }
    values = Tensor(all, shape: [known.count, length / SceneTruth.width, SceneTruth.width])
    isKnown = Tensor(known.map { $0 == nil ? Float(0) : 1 }, shape: [known.count, 1, 1])
  }

  private init(values: Tensor, isKnown: Tensor, knownShare: Double) {
    (self.values, self.isKnown, self.knownShare) = (values, isKnown, knownShare)
  }

  /// Copies the truth to another device; free if it is there already.
  func moved(to device: Device) -> TruthBatch {
    TruthBatch(
      values: values.moved(to: device), isKnown: isKnown.moved(to: device), knownShare: knownShare)
  }

  /// The part of all tokens, `[B, L, part's width]`.
  func part(_ part: SceneTruth.Part) -> Tensor { values.slice(2, SceneTruth.range(of: part)) }

  /// What each token's error counts, `[B, L]`: 1, and more where an object is seen, or moves.
  ///
  /// - Parameters:
  ///   - object: Added where any ray of the token meets an object.
  ///   - motion: Added where that object moves by half a picture height in a second; less where it is
  ///     slower.
  /// - Returns: `nil` where nothing is added.
  func weights(object: Double?, motion: Double?) -> Tensor? {
    let (object, motion) = (object ?? 0, motion ?? 0)
    if object == 0 && motion == 0 { return nil }
    let seen = part(.mask).max(along: 2)
    let speed = part(.motion).squared().sum(along: 2).squareRoot() * 2
    return seen * object + speed.clamped(to: 0...1) * motion + 1
  }
}

/// Predicts from a middle block's tokens what the renderer knows of them. Trained beside the
/// transformer, and no part of the model.
///
/// Alignment with the features of a pretrained network (REPA, arXiv:2410.06940) speeds up training; here
/// the truth itself is known, so that none is needed.
struct TruthHead {
  private let first: Linear
  private let second: Linear

  init(_ scope: ParameterScope, width: Int) {
    first = Linear(scope["first"], inputs: width, outputs: width)
    // Zeros, so that a network trained before is not shaken by a head that was not.
    second = Linear(
      scope["second"], inputs: width, outputs: SceneTruth.width, initializer: .zeros)
  }

  /// The mean squared error over all tokens whose truth is known, every part in units of about its
  /// deviation.
  func loss(_ tokens: Tensor, _ truth: TruthBatch, computeType: DType) -> Tensor {
    let even = tokens.layerNormalized(epsilon: 1e-6)
    let hidden = first(even.cast(to: computeType)).geluTanh()
    let target =
      truth.values.moved(to: tokens.device) * scales.moved(to: tokens.device)
    let errors = (second(hidden).cast(to: .float32) - target).squared()
    return (errors * truth.isKnown.moved(to: tokens.device)).mean() / max(truth.knownShare, 1e-6)
  }

  /// `[SceneTruth.width]`.
  private var scales: Tensor {
    let values = SceneTruth.Part.allCases.flatMap { part -> [Float] in
      let deviation: Float =
        switch part {
        case .mask: 0.3
        case .normals: 0.25
        case .shapes, .colours, .finishes, .motion: 0.1
        }
      return Array(repeating: 1 / deviation, count: part.width)
    }
    return Tensor(values, shape: [values.count])
  }
}
