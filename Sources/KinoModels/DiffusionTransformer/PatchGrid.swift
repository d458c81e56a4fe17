internal import KinoTensor

/// How latents divide into tokens: frame by frame, row by row.
struct PatchGrid {
  let frames: Int
  let height: Int
  let width: Int
  /// Latent frames, rows and columns in one token.
  let patch: [Int]

  /// Divides latents `[B, C, F, H, W]`.
  init(_ latents: Tensor, patch: [Int]) {
    let (_, _, frames, height, width) = latents.shape5
    precondition(
      frames.isMultiple(of: patch[0]) && height.isMultiple(of: patch[1])
        && width.isMultiple(of: patch[2]), "patches of \(patch) do not fill \(latents.summary)")
    (self.frames, self.height, self.width) = (
      frames / patch[0], height / patch[1], width / patch[2]
    )
    self.patch = patch
  }

  var tokenCount: Int { frames * height * width }

  /// Cuts `[B, C, F, H, W]` into tokens `[B, L, C * volume]`, channel slowest.
  func patches(of latents: Tensor) -> Tensor {
    let (batch, channels) = (latents.size(0), latents.size(1))
    return
      latents
      .reshaped(to: batch, channels, frames, patch[0], height, patch[1], width, patch[2])
      .permuted(0, 2, 4, 6, 1, 3, 5, 7)
      .reshaped(to: batch, tokenCount, -1)
  }

  /// Joins tokens `[B, L, volume * C]`, channel fastest, to `[B, C, F, H, W]`.
  func latents(of tokens: Tensor) -> Tensor {
    let (batch, _, numbers) = tokens.shape3
    let channels = numbers / patch.reduce(1, *)
    return
      tokens
      .reshaped(to: batch, frames, height, width, patch[0], patch[1], patch[2], channels)
      .permuted(0, 7, 1, 4, 2, 5, 3, 6)
      .reshaped(to: batch, channels, frames * patch[0], height * patch[1], width * patch[2])
  }
}
