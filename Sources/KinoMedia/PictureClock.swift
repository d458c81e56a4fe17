/// Turns the timestamps of pictures into times that only grow.
struct PictureClock {
  /// When the first picture is shown, in seconds on the container's clock; `nil` until one with a
  /// timestamp came.
  private(set) var origin: Double?
  /// Whether every picture had a timestamp, and each a later one than the last.
  private(set) var isRegular = true

  private let interval: Double
  /// Jumps longer than the clip itself are damage, not pauses.
  private let longest: Double
  private var last: Double?

  init(_ file: MediaFile) {
    interval = 1 / file.frameRate.framesPerSecond
    let stated = file.durationSeconds
    longest = stated > 0 ? min(stated, 86_400) + interval : 60
  }

  /// Lets the next time be any.
  mutating func restart() { last = nil }

  /// Returns when a picture is shown, in seconds from the first, and for how long.
  mutating func place(stamp: Double?, duration: Double) -> (time: Double, duration: Double) {
    let expected = last.map { $0 + interval } ?? 0
    var time = expected
    if let stamp {
      let origin = self.origin ?? stamp
      time = stamp - origin
      let isForward = last.map { time > $0 } ?? true
      if !time.isFinite || !isForward || time - (last ?? 0) > longest {
        time = expected
        self.origin = stamp - expected
        isRegular = false
      } else {
        self.origin = origin
      }
    } else {
      isRegular = false
    }
    last = time
    return (time, duration > 0 && duration <= longest ? duration : interval)
  }
}
