internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// A transformer and what encodes its captions.
struct CaptionedNetworks {
  let transformer: DiffusionTransformer
  /// The transformer without what it learns, where that lies beside its weights.
  var start: DiffusionTransformer?
  let captions: any CaptionEncoding
  let computeType: DType

  /// The context of captions, padded to the longest.
  func text(_ captions: [String]) throws -> TextContext { try text(captions, of: transformer) }

  private func text(_ captions: [String], of transformer: DiffusionTransformer) throws
    -> TextContext
  {
    let (states, mask) = try self.captions.states(of: captions)
    return transformer.textContext(
      states, mask: mask, paddedTo: CaptionTokens.limit, computeType: computeType)
  }

  /// The mean squared error of the velocity over what is to be filled in.
  ///
  /// - Parameters:
  ///   - canvases: What is known, and how noisy the rest is.
  ///   - noise: As their latents.
  ///   - captions: A text for each canvas.
  ///   - kept: Canvases, in order, whose velocity shall stay that of ``start``, whatever their latents say.
  ///   - weights: What each token's error counts, `[B, L]`; `nil` where all count alike.
  ///   - count: Blocks before tokens are taken; `nil` takes none.
  /// - Returns: One error per canvas, and the tokens `[B, L, width]`.
  /// - Throws: An error of the text encoder's files.
  func errors(
    _ canvases: CanvasBatch, noise: Tensor, captions: [String], kept: [Int] = [],
    weights: Tensor? = nil, tokensAfter count: Int? = nil
  ) throws -> (errors: Tensor, tokens: Tensor?) {
    let noisy = canvases.noised(with: noise)
    let (values, index) = canvases.timesteps
    let (velocity, tokens) = predicted(
      noisy, .perToken(values: values, index: index), try text(captions), tokensAfter: count)
    var target = canvases.velocity(of: noise)
    if let start, !kept.isEmpty {
      func rows(_ all: Tensor) -> Tensor { stack(kept.map { all.select(0, $0) }) }
      let answers = try withoutGradient {
        start(
          rows(noisy), timesteps: .perToken(values: rows(values), index: rows(index)),
          text: try text(kept.map { captions[$0] }, of: start), computeType: computeType)
      }.cast(to: .float32)
      target = stack(
        captions.indices.map { row in
          kept.firstIndex(of: row).map { answers.select(0, $0) } ?? target.select(0, row)
        })
    }
    return (canvases.errors(velocity: velocity, target: target, weights: weights), tokens)
  }

  private func predicted(
    _ noisy: Tensor, _ timesteps: Timesteps, _ text: TextContext, tokensAfter count: Int?
  ) -> (Tensor, Tensor?) {
    guard let count else {
      return (transformer(noisy, timesteps: timesteps, text: text, computeType: computeType), nil)
    }
    return transformer.velocityAndTokens(
      noisy, timesteps: timesteps, text: text, computeType: computeType, after: count)
  }
}
