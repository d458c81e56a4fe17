/// Overlapping stretches of time that together cover a long canvas.
///
/// All windows have the same length; the last one starts earlier rather than being shorter.
public struct WindowPlan: Sendable, Hashable {
  /// One stretch of latent frames.
  public struct Window: Sendable, Hashable {
    /// Latent frames of the canvas.
    public let frames: Range<Int>
    /// How many of its first frames the windows before it have finished.
    public let known: Int

    /// Describes one window.
    public init(frames: Range<Int>, known: Int) {
      self.frames = frames
      self.known = known
    }

    /// The frames that this window adds.
    public var new: Range<Int> { frames.lowerBound + known..<frames.upperBound }
  }

  /// The windows, in order of time.
  public let windows: [Window]

  /// Plans windows over `frameCount` latent frames.
  ///
  /// - Parameters:
  ///   - frameCount: Latent frames of the canvas.
  ///   - window: Latent frames per window.
  ///   - overlap: Frames a window at least knows from those before; below `window`.
  /// - Throws: ``DiffusionError`` if the numbers do not fit.
  public init(frames frameCount: Int, window: Int, overlap: Int) throws(DiffusionError) {
    try DiffusionError.require(
      (1...1 << 24).contains(frameCount) && window > 0 && (0..<window).contains(overlap), .range,
      "expected frames, a window and an overlap below it, found \(frameCount), \(window), \(overlap)"
    )
    var windows = [Window(frames: 0..<min(window, frameCount), known: 0)]
    var end = windows[0].frames.upperBound
    while end < frameCount {
      let start = min(end - overlap, frameCount - window)
      windows.append(Window(frames: start..<start + window, known: end - start))
      end = start + window
    }
    self.windows = windows
  }
}
