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

  /// The mean squared error of the velocity over the free latents.
  ///
  /// - Parameters:
  ///   - latents: Clean and normalised, `[B, C, F, H, W]`.
  ///   - noise: As `latents`.
  ///   - sigmas: The noise level of each sample, in `0...1`.
  ///   - known: The frames of each sample that are known, and so clean.
  ///   - captions: A text for each sample.
  ///   - weights: What each token's error counts, `[B, L]`; `nil` where all count alike. Only their ratios
  ///     within a sample matter.
  ///   - count: Blocks before tokens are taken; `nil` takes none.
  /// - Returns: One error per sample, and the tokens `[B, L, width]`.
  func errors(
    _ latents: Tensor, noise: Tensor, sigmas: [Double], known: [[Bool]], captions: [String],
    weights: Tensor? = nil, tokensAfter count: Int? = nil
  ) -> (errors: Tensor, tokens: Tensor?) {
    let (batch, _, frames, height, width) = latents.shape5
    let free = Tensor(
      known.flatMap { $0.map { $0 ? Float(0) : 1 } }, shape: [batch, 1, frames, 1, 1]
    ).moved(to: device)
    let sigma =
      Tensor(sigmas.map(Float.init), shape: [batch, 1, 1, 1, 1]).moved(to: device) * free
    let noisy = FlowMatching.noised(latents, with: noise, sigma: sigma)
    let values = Tensor(sigmas.flatMap { [0, Float($0 * 1000)] }, shape: [batch, 2])
      .moved(to: device)
    let patch = transformer.configuration.patchSize
    let (rows, columns) = (height / patch[1], width / patch[2])
    let index = free.reshaped(to: batch, frames, 1).expanded(to: batch, frames, rows * columns)
      .reshaped(to: batch, frames * rows * columns).cast(to: .int64)
    let timesteps = Timesteps.perToken(values: values, index: index)
    let (velocity, tokens) = predicted(noisy, timesteps, text(captions), tokensAfter: count)
    let squared = (velocity - FlowMatching.velocity(clean: latents, noise: noise)).squared()
      .mean(along: 1, keepingDimensions: true)  // [B, 1, F, H, W]
    let share =
      weights.map {
        $0.moved(to: device).reshaped(to: batch, 1, frames, rows, columns).repeated(
          patch[1], along: 3
        )
        .repeated(patch[2], along: 4) * free
      } ?? free.expanded(to: batch, 1, frames, height, width)
    let total = share.sum(along: 1, 2, 3, 4)
    return ((squared * share).sum(along: 1, 2, 3, 4) / total.clamped(to: 1e-6...1e9), tokens)
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
