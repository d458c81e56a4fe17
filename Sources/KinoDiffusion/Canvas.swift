public import KinoTensor

/// Spacetime latents `[C, F, H, W]` to be filled in, some of which are known.
///
/// Every token has a noise level `l`. While sampling, a token's own sigma follows the schedule's
/// (global) sigma by one rule:
///
///     token sigma = min(global sigma, l)
///
/// and its latent starts as `(1 - l) * content + l * noise`. So a token of level 0 is the content at
/// every step and carries timestep 0; one of level 1 starts from pure noise; one between stands
/// still, noised to its level and with the timestep of its level, until the global sigma falls to
/// it, and is denoised from there on.
public struct Canvas: Sendable {
  /// The lengths of the latents and of their patches.
  public let shape: LatentShape
  /// Clean latents `[C, F, H, W]`, float32; anything finite (zeros) where nothing is known.
  public let content: Tensor?
  /// Which prompt conditions which latent frames; covers all frames in order.
  public let prompts: [PromptStretch]
  /// The noise level of every token, in token order (frame, row, column).
  public let tokenLevels: [Double]

  /// The levels that occur, rising.
  let levels: [Double]
  /// For every token the index of its level in ``levels``, int64 `[L]`.
  let levelIndex: Tensor

  /// Makes a canvas, and checks it once.
  ///
  /// - Parameters:
  ///   - shape: The lengths of the latents and of their patches.
  ///   - content: Clean latents `[C, F, H, W]`; may be missing if every level is 1.
  ///   - noiseLevel: Levels in 0...1.
  ///   - prompts: Stretches that cover all latent frames; `nil` is prompt 0 for everything.
  /// - Throws: ``DiffusionError`` for wrong shapes, levels out of range, content that is missing or
  ///   not finite, and stretches with gaps.
  public init(
    shape: LatentShape, content: Tensor? = nil, noiseLevel: NoiseLevel = .uniform(1),
    prompts: [PromptStretch]? = nil
  ) throws(DiffusionError) {
    try self.init(
      shape: shape, content: content, tokenLevels: noiseLevel.perToken(shape), prompts: prompts)
  }

  init(
    shape: LatentShape, content: Tensor?, tokenLevels: [Double], prompts: [PromptStretch]?
  ) throws(DiffusionError) {
    let content = try content.map { content throws(DiffusionError) in
      try Canvas.checked(content, "content", shape: shape)
    }
    self.init(
      checked: shape, content: content, tokenLevels: tokenLevels,
      prompts: prompts ?? [PromptStretch(frames: 0..<shape.frames, prompt: 0)])
    try PromptStretch.validate(self.prompts, frameCount: shape.frames)
    try DiffusionError.require(
      content != nil || levels == [1], .missingContent,
      "expected content for the tokens with noise level \(levels[0]); give latents or level 1")
  }

  private init(
    checked shape: LatentShape, content: Tensor?, tokenLevels: [Double], prompts: [PromptStretch]
  ) {
    (self.shape, self.content, self.prompts) = (shape, content, prompts)
    self.tokenLevels = tokenLevels
    levels = Set(tokenLevels).sorted()
    let position = Dictionary(uniqueKeysWithValues: levels.enumerated().map { ($1, Int64($0)) })
    levelIndex = Tensor(tokenLevels.map { position[$0, default: 0] })
  }

  /// Checks shape and finiteness; gives float32 without a gradient record.
  static func checked(
    _ latents: Tensor, _ name: String, shape: LatentShape
  ) throws(DiffusionError) -> Tensor {
    try DiffusionError.require(
      latents.shape == shape.axes, .shape,
      "expected \(name) of shape \(shape), found \(latents.shape)")
    let values = latents.detached().cast(to: .float32)
    try DiffusionError.require(
      values.isFinite().all(), .notFinite, "expected finite \(name), found NaN or infinity")
    return values
  }

  /// The noise levels `[F / pt, H / ph, W / pw]`, float32.
  public var noiseLevel: Tensor { Tensor(tokenLevels.map(Float.init), shape: shape.grid) }

  /// Whether some tokens are kept exactly.
  public var keepsTokens: Bool { levels[0] == 0 }

  /// The same canvas as if nothing of it was known exactly: tokens of level 0 are to be made, too.
  public var forgettingKnown: Canvas {
    Canvas(
      checked: shape, content: content, tokenLevels: tokenLevels.map { $0 == 0 ? 1 : $0 },
      prompts: prompts)
  }

  /// The same canvas with other prompts.
  ///
  /// - Throws: ``DiffusionError`` unless the stretches cover all latent frames in order.
  public func with(prompts: [PromptStretch]) throws(DiffusionError) -> Canvas {
    try Canvas(shape: shape, content: content, tokenLevels: tokenLevels, prompts: prompts)
  }

  /// The prompt index of every latent frame, `[F]`.
  public var promptPerFrame: [Int] {
    prompts.flatMap { Array(repeating: $0.prompt, count: $0.frames.count) }
  }

  /// The prompt index of every token, `[L]`; a patch over several frames takes its first one's.
  public var promptPerToken: [Int] {
    let perFrame = promptPerFrame
    return (0..<shape.grid[0]).flatMap {
      Array(repeating: perFrame[$0 * shape.patch.frames], count: shape.tokensPerFrame)
    }
  }
}
