/// Overlapping stretches of time that together cover a long canvas.
///
/// Windows have the same length; one at an end starts earlier or later rather than being shorter.
public struct WindowPlan: Sendable, Hashable {
  /// One stretch of latent frames.
  public struct Window: Sendable, Hashable {
    /// Latent frames of the canvas.
    public let frames: Range<Int>
    /// The frames that this window adds; the others are known when its turn comes.
    public let new: Range<Int>

    /// Describes one window.
    public init(frames: Range<Int>, new: Range<Int>) {
      self.frames = frames
      self.new = new
    }
  }

  /// The windows, in the order in which they are made.
  public let windows: [Window]

  /// Plans windows over `frameCount` latent frames.
  ///
  /// Windows go from what is known to what is not: forward, backward if only the end is known, and in turns
  /// from both ends to the middle if both are, so that the last window sees what it must run into. That one
  /// may be a frame longer than the others.
  ///
  /// - Parameters:
  ///   - frameCount: Latent frames of the canvas.
  ///   - window: Latent frames per window.
  ///   - overlap: Frames a window at least knows from those before; below `window`.
  ///   - start: How many of the canvas's first frames are known.
  ///   - end: How many of its last frames are known.
  /// - Throws: ``DiffusionError`` if the numbers do not fit.
  public init(
    frames frameCount: Int, window: Int, overlap: Int, knownAtStart start: Int = 0,
    atEnd end: Int = 0
  ) throws(DiffusionError) {
    try DiffusionError.require(
      (1...1 << 24).contains(frameCount) && window > 0 && (0..<window).contains(overlap)
        && start >= 0 && end >= 0 && start < frameCount && end < frameCount - start, .range,
      """
      expected frames, some of them not known, a window and an overlap below it, found \(frameCount), \
      \(start) and \(end) known, \(window), \(overlap)
      """)
    let gap = start..<frameCount - end
    if end == 0 {
      windows = Self.forward(gap, frameCount, window, overlap)
    } else if start == 0 {
      windows = Self.forward(end..<frameCount, frameCount, window, overlap).map {
        Window(frames: Self.mirrored($0.frames, frameCount), new: Self.mirrored($0.new, frameCount))
      }
    } else {
      windows = Self.inward(gap, frameCount, window, overlap)
    }
  }

  private static func mirrored(_ range: Range<Int>, _ count: Int) -> Range<Int> {
    count - range.upperBound..<count - range.lowerBound
  }

  private static func forward(
    _ gap: Range<Int>, _ count: Int, _ window: Int, _ overlap: Int
  ) -> [Window] {
    // A window that would know all of its frames is moved on.
    let first = max(0, min(gap.lowerBound - overlap, count - window))
    let start = gap.lowerBound < window - overlap ? 0 : first
    var end = min(start + window, count)
    var windows = [Window(frames: start..<end, new: gap.lowerBound..<end)]
    while end < count {
      let start = min(end - overlap, count - window)
      windows.append(Window(frames: start..<start + window, new: end..<start + window))
      end = start + window
    }
    return windows
  }

  private static func inward(
    _ gap: Range<Int>, _ count: Int, _ window: Int, _ overlap: Int
  ) -> [Window] {
    var (left, right) = (gap.lowerBound, gap.upperBound)
    var windows: [Window] = []
    var isLeft = true
    while true {
      var (before, after) = (min(overlap, left), min(overlap, count - right))
      if before + right - left + after <= window + 1 || right - left == 1 {
        // In a small window, a little of either side.
        while before + 1 + after > window + 1, before + after > 2 {
          if before > after { before -= 1 } else { after -= 1 }
        }
        var (low, high) = (left - before, right + after)
        while high - low < window && (low > 0 || high < count) {
          if high < count { high += 1 }
          if high - low < window && low > 0 { low -= 1 }
        }
        windows.append(Window(frames: low..<high, new: left..<right))
        return windows
      }
      if isLeft {
        let end = left + min(window - before, right - left - 1)
        windows.append(Window(frames: max(0, end - window)..<end, new: left..<end))
        left = end
      } else {
        let start = right - min(window - after, right - left - 1)
        windows.append(Window(frames: start..<min(count, start + window), new: start..<right))
        right = start
      }
      isLeft.toggle()
    }
  }
}
