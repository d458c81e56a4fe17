/// A stretch of a file's sound, and its place in the file that is written.
public struct SoundPiece: Hashable, Sendable {
  /// The file the sound is taken from: any clip that ``ClipReader`` reads.
  public var path: String
  /// Where it begins in the file, in seconds from the first picture. At least 0.
  public var start: Double
  /// How long it lasts, in seconds. Above 0.
  public var duration: Double
  /// Where it begins in the result, in seconds. At least 0.
  public var at: Double
  /// Whether it is played backwards.
  public var isReversed: Bool

  /// Creates a piece. Out-of-range numbers are reported when the writer is created.
  public init(
    path: String, start: Double = 0, duration: Double, at: Double = 0, isReversed: Bool = false
  ) {
    self.path = path
    self.start = start
    self.duration = duration
    self.at = at
    self.isReversed = isReversed
  }

  func validate() throws {
    func require(_ isValid: Bool, _ text: String) throws {
      if !isValid { throw MediaError(.invalidOption, path: path, details: text) }
    }
    let longest = 1e6
    try require(
      start >= 0 && start <= longest, "The sound's start is \(start); use a time from 0 on.")
    try require(
      duration > 0 && duration <= longest,
      "The sound's duration is \(duration); use a positive time.")
    try require(
      at >= 0 && at <= longest, "The sound's place is \(at) s; use a time from 0 on.")
  }

  /// The piece with another at its end, if that one goes on where this one ends.
  func joined(with next: SoundPiece) -> SoundPiece? {
    // Less than any frame, more than rounding.
    func isSame(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-4 }
    let (first, last) = isReversed ? (next, self) : (self, next)
    guard path == next.path, isReversed == next.isReversed, isSame(at + duration, next.at),
      isSame(first.start + first.duration, last.start)
    else { return nil }
    var result = self
    result.start = first.start
    result.duration = duration + next.duration
    return result
  }
}
