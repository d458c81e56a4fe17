/// Chooses which part of a file is read, and at what size and rate.
public struct ReadOptions: Hashable, Sendable {
  /// The size of the result; `nil` keeps the file's own, after rotation and with square pixels.
  public var size: FrameSize?
  /// How a picture of another shape is laid into ``size``.
  public var fit: FitMode
  /// The rate of the result; `nil` keeps the file's own, made constant.
  public var framesPerSecond: Double?
  /// Where to begin, in seconds from the first frame. At least 0.
  public var startSeconds: Double
  /// How much to read, in seconds; `nil` reads to the end.
  public var durationSeconds: Double?
  /// The most frames to return; further ones are left unread.
  public var frameLimit: Int?
  /// What shows through transparent pixels, and around the picture with ``FitMode/pad``.
  public var background: Color
  /// The most pixels a picture may have. Larger ones are refused before memory is taken for them.
  public var pixelLimit: Int
  /// The most bytes ``Clip/read(_:_:)`` may return.
  public var byteLimit: Int

  /// Creates options. Out-of-range numbers are reported when the file is opened.
  public init(
    size: FrameSize? = nil, fit: FitMode = .crop, framesPerSecond: Double? = nil,
    startSeconds: Double = 0, durationSeconds: Double? = nil, frameLimit: Int? = nil,
    background: Color = .black, pixelLimit: Int = 1 << 26, byteLimit: Int = 4 << 30
  ) {
    self.size = size
    self.fit = fit
    self.framesPerSecond = framesPerSecond
    self.startSeconds = startSeconds
    self.durationSeconds = durationSeconds
    self.frameLimit = frameLimit
    self.background = background
    self.pixelLimit = pixelLimit
    self.byteLimit = byteLimit
  }

  func validate() throws {
    func require(_ isValid: Bool, _ text: String) throws {
      if !isValid { throw MediaError(.invalidOption, details: text) }
    }
    if let rate = framesPerSecond {
      try require(
        rate >= 0.01 && rate <= 1000, "framesPerSecond is \(rate); use a rate in 0.01...1000.")
    }
    try require(
      startSeconds >= 0 && startSeconds <= 1e6,
      "startSeconds is \(startSeconds); use a time from 0 on.")
    if let duration = durationSeconds {
      try require(duration > 0, "durationSeconds is \(duration); use a positive time.")
    }
    if let limit = frameLimit {
      try require(limit > 0, "frameLimit is \(limit); use at least 1.")
    }
    try require(pixelLimit > 0, "pixelLimit is \(pixelLimit); use at least 1.")
    if let size {
      try require(
        size.pixelCount <= pixelLimit, "size \(size) is over pixelLimit \(pixelLimit).")
    }
  }
}
