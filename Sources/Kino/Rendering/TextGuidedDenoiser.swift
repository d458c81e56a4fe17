package import KinoDiffusion
package import KinoModels
package import KinoTensor

/// A transformer with its texts: what samplers ask for velocities.
package struct TextGuidedDenoiser {
  let transformer: DiffusionTransformer
  let computeType: DType
  let device: Device
  let guidance: ClassifierFreeGuidance
  let history: HistoryGuidance
  /// The threshold of the ``StepCache``; 0 for none.
  let cacheThreshold: Double
  /// What a canvas's prompt stretches point into.
  let prompts: [TextContext]
  /// Not needed for a guidance scale of 1.
  let negative: TextContext?
  /// What is known besides the latents, as more channels behind theirs, `[C, F, H, W]`.
  let condition: Tensor?

  package init(
    transformer: DiffusionTransformer, computeType: DType, device: Device,
    guidance: ClassifierFreeGuidance, history: HistoryGuidance = .off, cacheThreshold: Double = 0,
    prompts: [TextContext], negative: TextContext?, condition: Tensor? = nil
  ) {
    self.transformer = transformer
    self.computeType = computeType
    self.device = device
    self.guidance = guidance
    self.history = history
    self.cacheThreshold = cacheThreshold
    self.prompts = prompts
    self.negative = negative
    self.condition = condition
  }

  /// Texts that go through the transformer together.
  private struct Evaluation {
    let text: TextContext
    let cache: StepCache?
  }

  /// Below this total token count, one batch beats one pass per text: products of few rows leave a
  /// processor waiting.
  private static let batchedTokens = 4096

  /// The tokens of one pass over `texts` texts.
  static func tokensAtOnce(_ tokens: Int, texts: Int) -> Int {
    tokens * texts <= batchedTokens ? tokens * texts : tokens
  }

  /// Makes the velocity of a canvas, guided away from the negative prompt and from what knows nothing.
  ///
  /// Between evaluations a cancelled task ends.
  ///
  /// - Parameters:
  ///   - canvas: What is to be filled in.
  ///   - noise: What it starts from, `[C, F, H, W]`.
  /// - Returns: The velocity at a moment, `[C, F, H, W]`.
  package func denoise(_ canvas: Canvas, noise: Tensor) -> Denoise {
    let shape = canvas.shape
    let rotary = transformer.rotaryTable(
      latentFrames: shape.frames, height: shape.height, width: shape.width)
    let needed = Set(canvas.prompts.map(\.prompt)).sorted()
    let positives = needed.map { prompts[$0] }
    let plans: [ClassifierFreeGuidance.Branch: [Evaluation]] = [
      .positive: evaluations(of: positives, tokens: shape.tokenCount),
      .negative: evaluations(
        of: positives + (negative.map { [$0] } ?? []), tokens: shape.tokenCount),
    ]
    /// One velocity for all positive prompts, then one for every other text.
    func velocities(
      _ latents: Tensor, _ moment: SamplingMoment, _ plan: [Evaluation]
    ) throws -> [Tensor] {
      let input = condition.map { concatenate([latents, $0], along: 0) } ?? latents
      let velocities = try plan.flatMap { evaluation -> [Tensor] in
        try Task.checkCancellation()
        let count = evaluation.text.batchSize
        let velocity = transformer(
          stack(Array(repeating: input, count: count)),
          timesteps: Timesteps(moment.timesteps, count: count, device: device),
          text: evaluation.text, computeType: computeType, rotary: rotary, cache: evaluation.cache)
        return (0..<count).map { velocity.select(0, $0) }
      }
      let positive = Self.joined(
        Dictionary(uniqueKeysWithValues: zip(needed, velocities)), along: canvas.prompts)
      return [positive] + velocities.dropFirst(needed.count)
    }
    let forgotten = history.forgetting(canvas, noise: noise)
    let unknown = forgotten == nil ? [] : evaluations(of: positives, tokens: shape.tokenCount)
    return { latents, moment in
      let branches = guidance.branches(at: moment.sigma)
      // Where both branches are asked for, their texts are in one plan.
      let known = try velocities(latents, moment, plans[branches.last ?? .positive] ?? [])
      let guided = try guidance.combine(known, of: branches)
      guard let view = forgotten?.view(latents, moment) else { return guided }
      return history.combine(
        guided, known: known[0], unknown: try velocities(view.latents, view.moment, unknown)[0])
    }
  }

  /// All texts as one batch, or one by one.
  private func evaluations(of texts: [TextContext], tokens: Int) -> [Evaluation] {
    func evaluation(_ text: TextContext) -> Evaluation {
      Evaluation(
        text: text, cache: cacheThreshold > 0 ? StepCache(threshold: cacheThreshold) : nil)
    }
    if Self.tokensAtOnce(tokens, texts: texts.count) > tokens, let batch = TextContext.batch(texts)
    {
      return [evaluation(batch)]
    }
    return texts.map(evaluation)
  }

  /// Takes each stretch of time from the velocity of its own prompt.
  private static func joined(
    _ velocities: [Int: Tensor], along stretches: [PromptStretch]
  ) -> Tensor {
    if let only = velocities.values.first, velocities.count == 1 { return only }
    return concatenate(
      stretches.compactMap { velocities[$0.prompt]?.slice(1, $0.frames) }, along: 1)
  }
}

extension Timesteps {
  /// One timestep per sample where all tokens agree, else one per token; the same for `count` samples.
  init(_ timesteps: TokenTimesteps, count: Int, device: Device) {
    let values = Tensor(timesteps.values.map(Float.init)).moved(to: device)
    if timesteps.values.count == 1 {
      self = .perSample(values.expanded(to: count))
    } else {
      self = .perToken(
        values: values.reshaped(to: 1, -1).expanded(to: count, values.count),
        index: timesteps.index.reshaped(to: 1, -1)
          .expanded(to: count, timesteps.index.count).moved(to: device))
    }
  }
}
