/// A clip as bytes.
public struct RenderedClip: Hashable, Sendable {
  /// Width in pixels.
  public let width: Int
  /// Height in pixels.
  public let height: Int
  /// Number of frames.
  public let frameCount: Int
  /// Frames per second.
  public let framesPerSecond: Double
  /// sRGB bytes `[frames, height, width, 3]`.
  public let pixels: [UInt8]

  /// Wraps bytes; traps unless there are `frameCount * height * width * 3` of them.
  public init(width: Int, height: Int, frameCount: Int, framesPerSecond: Double, pixels: [UInt8]) {
    precondition(
      pixels.count == frameCount * height * width * 3,
      "RenderedClip: \(pixels.count) bytes for [\(frameCount), \(height), \(width), 3]")
    self.width = width
    self.height = height
    self.frameCount = frameCount
    self.framesPerSecond = framesPerSecond
    self.pixels = pixels
  }
}
