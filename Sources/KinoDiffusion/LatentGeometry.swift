/// How a model's latents lie under its pixels.
///
/// The first pixel frame has a latent frame of its own; each later one stands for ``temporalScale`` frames.
public struct LatentGeometry: Sendable, Hashable {
  /// Latent channels.
  public let channels: Int
  /// Pixel frames to a latent frame, after the first.
  public let temporalScale: Int
  /// Pixels to a latent, along both sides.
  public let spatialScale: Int
  /// Latents per token.
  public let patch: LatentShape.Patch

  /// Describes latents; all numbers are at least 1.
  public init(channels: Int, temporalScale: Int, spatialScale: Int, patch: LatentShape.Patch) {
    precondition(
      channels > 0 && temporalScale > 0 && spatialScale > 0,
      "LatentGeometry: \(channels) channels at \(temporalScale)x\(spatialScale)x\(spatialScale)")
    self.channels = channels
    self.temporalScale = temporalScale
    self.spatialScale = spatialScale
    self.patch = patch
  }

  /// Latent frames of a number of pixel frames.
  public func latentFrames(_ frames: Int) -> Int { (frames - 1) / temporalScale + 1 }

  /// The latent frame that holds a pixel frame, both counted from 0.
  public func latentFrame(of frame: Int) -> Int { (frame + temporalScale - 1) / temporalScale }

  /// The latents of a clip of pixels.
  ///
  /// - Throws: ``DiffusionError`` if patches do not tile them.
  public func shape(frames: Int, height: Int, width: Int) throws(DiffusionError) -> LatentShape {
    try LatentShape(
      channels: channels, frames: latentFrames(frames), height: height / spatialScale,
      width: width / spatialScale, patch: patch)
  }
}
