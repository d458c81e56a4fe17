/// A picture with its place on the timeline.
protocol TimedPicture {
  /// When it is shown, in seconds from the first picture.
  var time: Double { get }
  /// For how long it is shown, in seconds.
  var duration: Double { get }
}

/// Chooses which stored picture each frame of a constant rate shows: the nearest by time.
struct FrameSampler<Picture: TimedPicture> {
  /// The picture of the last frame returned.
  private(set) var current: Picture

  private let options: ReadOptions
  private let rate: FrameRate
  /// How long the file says it lasts, in seconds; 0 if it doesn't.
  private let statedDuration: Double
  /// Whether a single picture is one frame, however long it is shown.
  private let holdsStills: Bool
  /// A stored frame counts this much before its time, which absorbs rounded timestamps.
  private let tolerance: Double
  private let source: () throws -> Picture?
  private var upcoming: Picture?
  private var pictureCount = 1
  /// The next frame, counted from the start of the part asked for.
  private var index: Int
  private var isPrepared = false

  /// Samples a file's pictures.
  ///
  /// - Parameters:
  ///   - file: What the pictures are from.
  ///   - options: The part and rate asked for.
  ///   - rate: The rate of the result.
  ///   - index: The first frame to return.
  ///   - first: A picture shown at or before that frame's time.
  ///   - source: Gives the pictures after `first`.
  init(
    _ file: MediaFile, _ options: ReadOptions, rate: FrameRate, from index: Int, first: Picture,
    source: @escaping () throws -> Picture?
  ) {
    self.options = options
    self.rate = rate
    self.index = index
    self.source = source
    current = first
    statedDuration = file.durationSeconds
    holdsStills = file.isPictureFormat
    tolerance = 0.43 * min(1 / rate.framesPerSecond, 1 / file.frameRate.framesPerSecond)
  }

  /// Returns the picture of the next frame, and whether it is another than the last frame's; `nil` at
  /// the end.
  mutating func next() throws -> (picture: Picture, isNew: Bool)? {
    if let limit = options.frameLimit, index >= limit { return nil }
    let offset = rate.seconds(ofFrame: index)
    if let duration = options.durationSeconds, offset >= duration - 1e-6 { return nil }
    let time = options.startSeconds + offset + tolerance
    var isNew = !isPrepared
    if !isPrepared { try fetch() }
    isPrepared = true
    while let picture = upcoming, picture.time <= time {
      current = picture
      isNew = true
      try fetch()
    }
    if upcoming == nil {
      if holdsStills && pictureCount == 1 {
        if index > 0 { return nil }
      } else if time >= end {
        return nil
      }
    }
    index += 1
    return (current, isNew)
  }

  /// When the last picture is over, in seconds.
  private var end: Double {
    let own = current.time + current.duration
    return statedDuration > current.time ? min(own, statedDuration) : own
  }

  private mutating func fetch() throws {
    upcoming = try source()
    if upcoming != nil { pictureCount += 1 }
  }
}
