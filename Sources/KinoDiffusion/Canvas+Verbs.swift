public import KinoTensor

extension Canvas {
  /// Frees everything: generate, image.
  public static func free(_ shape: LatentShape) throws(DiffusionError) -> Canvas {
    try Canvas(shape: shape)
  }

  /// Keeps latents at either end: animate, extend, loop, connect.
  ///
  /// `start` holds the first `k` frames and `end` the last `k`, both `[C, k, H, W]`; each has its
  /// own `k`, and they may not overlap.
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
  /// Each `[C, k, H, W]` is given by its first latent frame; they may not overlap.
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
  /// Strength 0 returns the content, 1 is free. The mask, `[F / pt, H / ph, W / pw]` in 0...1,
  /// multiplies the strength of each token, so that 0 keeps it.
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
}
