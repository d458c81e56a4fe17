public import KinoTensor

extension Canvas {
  /// Cuts out a stretch of a long canvas, with what earlier stretches finished as known.
  ///
  /// - Parameters:
  ///   - range: Latent frames of the canvas, in whole patches.
  ///   - finished: Clean latents `[C, 1, H, W]` by the canvas's frame; those outside the range are not
  ///     looked at. A token is known if all of its frames are finished.
  ///   - level: The noise level of tokens that are known so, in 0...1, where their own is not lower: 0 shows them
  ///     exactly.
  /// - Returns: A canvas of the range's frames; prompts keep their indices.
  /// - Throws: ``DiffusionError`` if the range or the finished latents do not fit.
  public func window(
    _ range: Range<Int>, finished: [Int: Tensor] = [:], at level: Double = 0
  ) throws(DiffusionError) -> Canvas {
    let step = shape.patch.frames
    try DiffusionError.require(
      range.lowerBound >= 0 && range.upperBound <= shape.frames && !range.isEmpty
        && range.lowerBound % step == 0 && range.count % step == 0, .range,
      "expected a window in whole patches of \(shape.frames) latent frames, found \(range)")
    try DiffusionError.require(
      (0...1).contains(level), .range, "expected a noise level in 0...1, found \(level)")
    let expected = [shape.channels, 1, shape.height, shape.width]
    for (frame, latents) in finished where range.contains(frame) {
      try DiffusionError.require(
        latents.shape == expected, .shape,
        "expected finished latents \(expected), found \(latents.shape) for frame \(frame)")
    }
    let part = try shape.with(frames: range.count)
    let levels = stride(from: range.lowerBound, to: range.upperBound, by: step).flatMap { start in
      let isKnown = (start..<start + step).allSatisfy { finished[$0] != nil }
      let first = start / step * shape.tokensPerFrame
      return tokenLevels[first..<first + shape.tokensPerFrame].map { isKnown ? min($0, level) : $0 }
    }
    return try Canvas(
      shape: part, content: content(of: range, finished: finished), tokenLevels: levels,
      prompts: prompts(of: range))
  }

  private func content(of range: Range<Int>, finished: [Int: Tensor]) -> Tensor? {
    let known = finished.filter { range.contains($0.key) }
    guard let device = known.values.first?.device else { return content?.slice(1, range) }
    let free = Tensor.zeros([shape.channels, 1, shape.height, shape.width], device: device)
    return concatenate(
      range.map { frame in
        known[frame].map { $0.detached().cast(to: .float32) }
          ?? content?.slice(1, frame..<frame + 1).moved(to: device) ?? free
      }, along: 1)
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
