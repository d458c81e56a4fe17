internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// The two networks that learn together, and the way a caption goes through them.
struct CaptionedNetworks {
  let transformer: DiffusionTransformer
  let encoder: UMT5Encoder
  let tokenizer: SentencePieceTokenizer
  let computeType: DType
  let device: Device

  /// Rows of text that the transformer attends to, most of them padding, as in published models.
  static let textRows = 512

  /// A caption's tokens. One of our own grammar can always be tokenised; an unreadable one counts as
  /// empty.
  func tokens(of caption: String) -> [Int32] {
    (try? tokenizer.encode(caption, maximumLength: Self.textRows)) ?? [1]
  }

  /// The context of captions, padded to the longest.
  func text(_ captions: [String]) -> TextContext {
    let ids = captions.map(tokens)
    let length = ids.map(\.count).max() ?? 1
    var padded = [Int64](repeating: 0, count: ids.count * length)
    var present = [Float](repeating: 0, count: ids.count * length)
    for (row, own) in ids.enumerated() {
      for (column, id) in own.enumerated() {
        padded[row * length + column] = Int64(id)
        present[row * length + column] = 1
      }
    }
    let mask = Tensor(present, shape: [ids.count, length]).moved(to: device)
    let states = encoder(
      inputIDs: Tensor(padded, shape: [ids.count, length]).moved(to: device), mask: mask,
      computeType: computeType)
    return transformer.textContext(
      states, mask: mask, paddedTo: Self.textRows, computeType: computeType)
  }

  /// The mean squared error of the velocity over what is to be filled in.
  ///
  /// - Parameters:
  ///   - canvases: What is known, and how noisy the rest is.
  ///   - noise: As their latents.
  ///   - captions: A text for each canvas.
  ///   - weights: What each token's error counts, `[B, L]`; `nil` where all count alike.
  ///   - count: Blocks before tokens are taken; `nil` takes none.
  /// - Returns: One error per canvas, and the tokens `[B, L, width]`.
  func errors(
    _ canvases: CanvasBatch, noise: Tensor, captions: [String], weights: Tensor? = nil,
    tokensAfter count: Int? = nil
  ) -> (errors: Tensor, tokens: Tensor?) {
    let (values, index) = canvases.timesteps
    let (velocity, tokens) = predicted(
      canvases.noised(with: noise), .perToken(values: values, index: index), text(captions),
      tokensAfter: count)
    return (canvases.errors(velocity: velocity, noise: noise, weights: weights), tokens)
  }

  /// The transformer's patch.
  var patch: LatentShape.Patch {
    let sizes = transformer.configuration.patchSize
    return LatentShape.Patch(frames: sizes[0], height: sizes[1], width: sizes[2])
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
