public import KinoTensor

/// The size of a clip of latents, and of the patches that the transformer turns into tokens.
public struct LatentShape: Sendable, Hashable, CustomStringConvertible {
  /// Latents per token along each axis.
  public struct Patch: Sendable, Hashable {
    /// Latent frames per token.
    public let frames: Int
    /// Latent rows per token.
    public let height: Int
    /// Latent columns per token.
    public let width: Int

    /// Makes a patch; Wan's is one frame of 2x2.
    public init(frames: Int = 1, height: Int = 2, width: Int = 2) {
      self.frames = frames
      self.height = height
      self.width = width
    }
  }

  /// Latent channels, C.
  public let channels: Int
  /// Latent frames, F.
  public let frames: Int
  /// Latent rows, H.
  public let height: Int
  /// Latent columns, W.
  public let width: Int
  /// Latents per token.
  public let patch: Patch

  /// Checks that all lengths are positive and that patches tile the clip.
  ///
  /// - Throws: ``DiffusionError`` naming the axis that does not fit.
  public init(
    channels: Int, frames: Int, height: Int, width: Int, patch: Patch = Patch()
  ) throws(DiffusionError) {
    try DiffusionError.require(
      channels > 0, .shape, "expected at least one channel, found \(channels)")
    let axes = [
      ("frames", frames, patch.frames), ("rows", height, patch.height),
      ("columns", width, patch.width),
    ]
    for (name, length, step) in axes {
      try DiffusionError.require(
        length > 0 && step > 0 && length % step == 0, .shape,
        "expected latent \(name) to be a positive multiple of the patch's \(step), found \(length)")
    }
    // Also keeps products of lengths from overflowing.
    let (limit, lengths) = (1 << 32, [channels, frames, height, width])
    let count = lengths.reduce(1) { $1 > limit / $0 ? limit : $0 * $1 }
    try DiffusionError.require(
      count < limit, .range, "expected fewer than 2^32 latents, found lengths \(lengths)")
    self.channels = channels
    self.frames = frames
    self.height = height
    self.width = width
    self.patch = patch
  }

  /// Takes the lengths from latents `[C, F, H, W]`.
  ///
  /// - Throws: ``DiffusionError`` for another rank, or if patches do not tile the latents.
  public init(of latents: Tensor, patch: Patch = Patch()) throws(DiffusionError) {
    try DiffusionError.require(
      latents.rank == 4, .shape, "expected latents [C, F, H, W], found \(latents.summary)")
    let (channels, frames, height, width) = latents.shape4
    try self.init(channels: channels, frames: frames, height: height, width: width, patch: patch)
  }

  /// `[C, F, H, W]`.
  public var axes: [Int] { [channels, frames, height, width] }
  /// Tokens along time, height and width.
  public var grid: [Int] { [frames / patch.frames, height / patch.height, width / patch.width] }
  /// Tokens in all.
  public var tokenCount: Int { grid.reduce(1, *) }
  /// Tokens of one token frame.
  public var tokensPerFrame: Int { grid[1] * grid[2] }

  /// The lengths, for messages.
  public var description: String { "\(axes)" }

  /// The same picture size with another number of frames.
  public func with(frames: Int) throws(DiffusionError) -> LatentShape {
    try LatentShape(channels: channels, frames: frames, height: height, width: width, patch: patch)
  }
}
