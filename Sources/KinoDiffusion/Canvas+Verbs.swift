public import KinoTensor

extension Canvas {
  /// Frees everything: generate, image.
  public static func free(_ shape: LatentShape) throws(DiffusionError) -> Canvas {
    try Canvas(shape: shape)
  }

  /// Keeps latents at either end: animate, extend, loop, connect.
  ///
  /// - Parameters:
  ///   - start: Known latents `[C, k, H, W]` of the first `k` frames.
  ///   - end: Known latents `[C, k, H, W]` of the last `k` frames.
  public static func keeping(
    start: Tensor? = nil, end: Tensor? = nil, in shape: LatentShape
  ) throws(DiffusionError) -> Canvas {
    var pieces: [Int: Tensor] = [:]
    if let start { pieces[0] = start }
    if let end {
      let first = shape.frames - (end.rank == 4 ? end.size(1) : 1)
      try DiffusionError.require(
        pieces[first] == nil, .shape, "expected kept latents shorter than \(shape.frames) frames")
      pieces[first] = end
    }
    return try keyframes(pieces, in: shape)
  }

  /// Keeps latents at any latent frames: storyboard.
  ///
  /// - Parameter latents: By first latent frame, `[C, k, H, W]`; they may not overlap.
  public static func keyframes(
    _ latents: [Int: Tensor], in shape: LatentShape
  ) throws(DiffusionError) -> Canvas {
    var pieces: [Tensor] = []
    var levels: [Double] = []
    let device = latents.values.first?.device ?? .cpu
    func free(_ count: Int) {
      if count == 0 { return }
      pieces.append(
        .zeros([shape.channels, count, shape.height, shape.width], device: device))
      levels += Array(repeating: 1, count: count)
    }
    for (frame, piece) in latents.sorted(by: { $0.key < $1.key }) {
      let length = piece.rank == 4 ? piece.size(1) : 0
      try DiffusionError.require(
        piece.shape == [shape.channels, length, shape.height, shape.width] && length > 0, .shape,
        "expected kept latents [\(shape.channels), k, \(shape.height), \(shape.width)], "
          + "found \(piece.shape)")
      try DiffusionError.require(
        frame >= levels.count && frame <= shape.frames - length, .range,
        "expected kept latents apart and within \(shape.frames) latent frames, "
          + "found \(length) at frame \(frame)")
      free(frame - levels.count)
      pieces.append(piece.detached().cast(to: .float32))
      levels += Array(repeating: 0, count: length)
    }
    free(shape.frames - levels.count)
    return try Canvas(
      shape: shape, content: concatenate(pieces, along: 1), noiseLevel: .frames(levels))
  }

  /// Starts from content noised to a strength: edit, upscale.
  ///
  /// - Parameters:
  ///   - strength: 0 returns the content, 1 is free.
  ///   - mask: Multiplies the strength per token, `[F / pt, H / ph, W / pw]` in 0...1; 0 keeps.
  public static func edited(
    _ content: Tensor, strength: Double, mask: Tensor? = nil,
    patch: LatentShape.Patch = LatentShape.Patch()
  ) throws(DiffusionError) -> Canvas {
    let shape = try LatentShape(of: content, patch: patch)
    let levels = try mask.map { mask throws(DiffusionError) in
      try NoiseLevel.patches(mask).perToken(shape).map { $0 * strength }
    }
    try DiffusionError.require(
      (0...1).contains(strength), .range, "expected a strength in 0...1, found \(strength)")
    return try Canvas(
      shape: shape, content: content,
      tokenLevels: levels ?? Array(repeating: strength, count: shape.tokenCount), prompts: nil)
  }

  /// Hides the frames that are not known, for training: known tokens keep level 0.
  ///
  /// - Parameter known: Per latent frame, from ``KnownFramePatterns``.
  public static func training(
    _ content: Tensor, known: [Bool], patch: LatentShape.Patch = LatentShape.Patch()
  ) throws(DiffusionError) -> Canvas {
    try Canvas(
      shape: LatentShape(of: content, patch: patch), content: content,
      noiseLevel: .frames(known.map { $0 ? 0 : 1 }))
  }

  /// Cuts out a stretch of a long canvas, with what earlier stretches finished as known.
  ///
  /// - Parameters:
  ///   - window: A window of a ``WindowPlan`` over this canvas.
  ///   - finished: Clean latents `[C, k, H, W]` of the window's first frames, with
  ///     `k = window.known`; not needed if that is 0.
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
    var latents = content?.slice(1, range)
    let tokens = range.lowerBound / step * shape.tokensPerFrame
    var levels = Array(tokenLevels[tokens..<tokens + part.tokenCount])
    if window.known > 0 {
      let expected = [shape.channels, window.known, shape.height, shape.width]
      try DiffusionError.require(
        finished?.shape == expected, .shape,
        "expected finished latents \(expected), found \(finished?.shape ?? [])")
      let rest = part.frames - window.known
      let later =
        latents?.slice(1, from: window.known)
        ?? .zeros([shape.channels, rest, shape.height, shape.width])
      latents = finished.map {
        concatenate([$0.detached().cast(to: .float32), later.moved(to: $0.device)], along: 1)
      }
      let kept = window.known / step * shape.tokensPerFrame
      levels.replaceSubrange(..<kept, with: repeatElement(0, count: kept))
    }
    let stretches = prompts.compactMap { stretch in
      let frames = stretch.frames.clamped(to: range)
      return frames.isEmpty
        ? nil
        : PromptStretch(
          frames: frames.lowerBound - range.lowerBound..<frames.upperBound - range.lowerBound,
          prompt: stretch.prompt)
    }
    return try Canvas(shape: part, content: latents, tokenLevels: levels, prompts: stretches)
  }
}
