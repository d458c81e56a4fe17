public import KinoTensor

extension Canvas {
  /// Cuts out a stretch of a long canvas, with what earlier stretches finished as known.
  ///
  /// - Parameters:
  ///   - window: A window of a ``WindowPlan`` over this canvas.
  ///   - finished: Clean latents `[C, k, H, W]` of the window's first frames, with
  ///     `k = window.known`; not needed if that is 0.
  /// - Returns: A canvas of the window's frames; prompts keep their indices.
  /// - Throws: ``DiffusionError`` if the window or the finished latents do not fit.
  public func window(
    _ window: WindowPlan.Window, finished: Tensor? = nil
  ) throws(DiffusionError) -> Canvas {
    let (range, step) = (window.frames, shape.patch.frames)
    try DiffusionError.require(
      range.lowerBound >= 0 && range.upperBound <= shape.frames
        && range.lowerBound % step == 0 && window.known % step == 0
        && (0...range.count).contains(window.known), .range,
      "expected a window in whole patches of \(shape.frames) latent frames that knows some of its "
        + "own, found \(range) knowing \(window.known)")
    let part = try shape.with(frames: range.count)
    let first = range.lowerBound / step * shape.tokensPerFrame
    let kept = window.known / step * shape.tokensPerFrame
    let later = tokenLevels[first + kept..<first + part.tokenCount]
    return try Canvas(
      shape: part, content: content(of: window, finished: finished),
      tokenLevels: Array(repeating: 0, count: kept) + later, prompts: prompts(of: range))
  }

  private func content(
    of window: WindowPlan.Window, finished: Tensor?
  ) throws(DiffusionError) -> Tensor? {
    if window.known == 0 { return content?.slice(1, window.frames) }
    let expected = [shape.channels, window.known, shape.height, shape.width]
    guard let finished, finished.shape == expected else {
      throw DiffusionError(
        .shape, "expected finished latents \(expected), found \(finished?.shape ?? [])")
    }
    let later =
      content?.slice(1, window.new)
      ?? .zeros([shape.channels, window.new.count, shape.height, shape.width])
    return concatenate(
      [finished.detached().cast(to: .float32), later.moved(to: finished.device)], along: 1)
  }

  private func prompts(of range: Range<Int>) -> [PromptStretch] {
    prompts.compactMap { stretch in
      let frames = stretch.frames.clamped(to: range)
      if frames.isEmpty { return nil }
      let (start, end) = (
        frames.lowerBound - range.lowerBound, frames.upperBound - range.lowerBound
      )
      return PromptStretch(frames: start..<end, prompt: stretch.prompt)
    }
  }
}
