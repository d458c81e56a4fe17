/// The bounds of what Kino makes.
public enum Limits {
  /// The shortest side of a result in pixels.
  public static let shortestSide = 16
  /// The longest side of a clip.
  public static let longestClipSide = 1920
  /// The most pixels in a clip's frame: 1920x1080.
  public static let clipPixels = 1920 * 1080
  /// The longest side of a picture.
  public static let longestPictureSide = 2048
  /// The longest clip.
  public static let durationSeconds = 60.0
  /// The longest storyboard, all shots together.
  public static let storyboardSeconds = 600.0
  /// The rates of a clip.
  public static let framesPerSecond = 1.0...120.0
  /// The longest prompt in characters.
  public static let promptLength = 32_000

  /// Whether a size is within the bounds.
  static func allows(_ size: FrameSize, isPicture: Bool) -> Bool {
    let longest = isPicture ? longestPictureSide : longestClipSide
    let pixels = isPicture ? longest * longest : clipPixels
    return min(size.width, size.height) >= shortestSide
      && max(size.width, size.height) <= longest && size.width * size.height <= pixels
  }

  /// The allowed size nearest to one that is not, of about its shape, in multiples of `step`.
  static func nearest(to size: FrameSize, isPicture: Bool, step: Int) -> FrameSize {
    let (width, height) = (Double(size.width), Double(size.height))
    func rounded(_ scale: Double, _ mode: FloatingPointRoundingRule) -> FrameSize {
      func side(_ length: Double) -> Int {
        max(1, Int((length * scale / Double(step)).rounded(mode))) * step
      }
      return FrameSize(side(width), side(height))
    }
    let longest = Double(isPicture ? longestPictureSide : longestClipSide)
    let pixels = isPicture ? longest * longest : Double(clipPixels)
    var scale = max(1, Double(shortestSide) / min(width, height))
    scale = min(scale, longest / max(width, height), (pixels / width / height).squareRoot())
    let near = rounded(scale, .toNearestOrAwayFromZero)
    return allows(near, isPicture: isPicture) ? near : rounded(scale, .down)
  }
}
