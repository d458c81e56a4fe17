/// Chooses how a picture of one shape is laid into a frame of another.
public enum FitMode: String, CaseIterable, Codable, Sendable {
  /// Changes width and height independently.
  case stretch
  /// Fills the frame and cuts off what sticks out, equally on both sides.
  case crop
  /// Shows the whole picture and fills the rest with the background colour.
  case pad
}

struct PixelRectangle: Hashable {
  var x, y, width, height: Int
}

/// Which part of the source is used, and which part of the target it fills.
struct FitGeometry: Hashable {
  var source: PixelRectangle
  var target: PixelRectangle

  /// Fits `source`, whose pixels are `pixelAspect` times as wide as high, into `target`.
  ///
  /// Corners of a cut are multiples of `alignment`, so that chroma planes are cut at the same place
  /// as luma.
  init(
    source: FrameSize, pixelAspect: Double, target: FrameSize, mode: FitMode,
    alignment: (x: Int, y: Int) = (1, 1)
  ) {
    self.source = PixelRectangle(x: 0, y: 0, width: source.width, height: source.height)
    self.target = PixelRectangle(x: 0, y: 0, width: target.width, height: target.height)
    let sourceAspect = Double(source.width) * pixelAspect / Double(source.height)
    let targetAspect = Double(target.width) / Double(target.height)
    let isWider = sourceAspect > targetAspect
    switch mode {
    case .stretch:
      return
    case .crop where isWider:
      let width = Self.part(source.width, targetAspect / sourceAspect)
      self.source.x = (source.width - width) / 2 / alignment.x * alignment.x
      self.source.width = width
    case .crop:
      let height = Self.part(source.height, sourceAspect / targetAspect)
      self.source.y = (source.height - height) / 2 / alignment.y * alignment.y
      self.source.height = height
    case .pad where isWider:
      let height = Self.part(target.height, targetAspect / sourceAspect)
      self.target.y = (target.height - height) / 2
      self.target.height = height
    case .pad:
      let width = Self.part(target.width, sourceAspect / targetAspect)
      self.target.x = (target.width - width) / 2
      self.target.width = width
    }
  }

  private static func part(_ whole: Int, _ fraction: Double) -> Int {
    min(whole, max(1, Int((Double(whole) * fraction).rounded())))
  }
}
