internal import CFFmpeg

/// Holds a number of frames per second as a fraction in lowest terms, so that times do not drift.
///
/// Numbers that are written 23.976, 29.97, 59.94 or 119.88, or rounded from these, mean
/// 24000/1001, 30000/1001, 60000/1001 and 120000/1001, as broadcasters use them.
public struct FrameRate: Hashable, Sendable, LosslessStringConvertible {
  /// Frames in ``denominator`` seconds, at least 1.
  public let numerator: Int
  /// Seconds, at least 1.
  public let denominator: Int

  /// Creates a rate of `numerator` frames in `denominator` seconds. Numbers below 1 trap.
  public init(_ numerator: Int, _ denominator: Int = 1) {
    precondition(
      numerator > 0 && denominator > 0, "FrameRate: \(numerator)/\(denominator) is not positive")
    var (divisor, rest) = (numerator, denominator)
    while rest > 0 { (divisor, rest) = (rest, divisor % rest) }
    self.numerator = numerator / divisor
    self.denominator = denominator / divisor
  }

  /// Takes the fraction that a number means; `nil` unless the number is in 0.01...1000.
  public init?(_ framesPerSecond: Double) {
    guard Self.range.contains(framesPerSecond) else { return nil }
    let whole = framesPerSecond.rounded()
    // Measured rates are off by as much as files round their times.
    if whole >= 1, abs(framesPerSecond - whole) < 1e-3 {
      self.init(Int(whole))
      return
    }
    let above = framesPerSecond.rounded(.up)
    let isCommon = [24, 30, 48, 60, 120].contains(above)
    if abs(framesPerSecond - above * 1000 / 1001) < (isCommon ? 5e-3 : 1e-4) {
      self.init(Int(above) * 1000, 1001)
      return
    }
    let nearest = av_d2q(framesPerSecond, Self.largestTerm)
    guard nearest.num > 0 && nearest.den > 0 else { return nil }
    self.init(Int(nearest.num), Int(nearest.den))
  }

  /// Parses `24`, `23.976` or `30000/1001`; `nil` for anything else, and out of 0.01...1000.
  public init?(_ description: String) {
    let parts = description.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count == 2 {
      guard let numerator = Int32(parts[0]), let denominator = Int32(parts[1]), numerator > 0,
        denominator > 0, Self.range.contains(Double(numerator) / Double(denominator))
      else { return nil }
      self.init(Int(numerator), Int(denominator))
    } else {
      guard let number = Double(description) else { return nil }
      self.init(number)
    }
  }

  /// Takes what a container states or FFmpeg measured; `nil` if that is no rate.
  init?(_ rational: AVRational) {
    guard rational.num > 0 && rational.den > 0 else { return nil }
    self.init(av_q2d(rational))
  }

  /// The rates that files are read and written at.
  static let range = 0.01...1000.0

  private static let largestTerm: Int32 = 1_001_000

  /// The number of frames per second.
  public var framesPerSecond: Double { Double(numerator) / Double(denominator) }

  /// When a frame is shown, in seconds from frame 0.
  public func seconds(ofFrame index: Int) -> Double {
    Double(index * denominator) / Double(numerator)
  }

  /// The rate as `24` or `30000/1001`.
  public var description: String {
    denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)"
  }

  var rational: AVRational { AVRational(num: Int32(numerator), den: Int32(denominator)) }
}

/// In JSON a rate is a number where that is exact, such as `24`, and else text, such as
/// `"30000/1001"`; both are read in either form.
extension FrameRate: Codable {
  /// Reads a number or a text.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let rate: FrameRate? =
      if let number = try? container.decode(Double.self) {
        FrameRate(number)
      } else {
        FrameRate(try container.decode(String.self))
      }
    guard let rate else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "Expected a rate in 0.01...1000, such as 24 or 30000/1001."
      )
    }
    self = rate
  }

  /// Writes a number or a text.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if denominator == 1 {
      try container.encode(numerator)
    } else {
      try container.encode(description)
    }
  }
}

extension Clip {
  /// The rate as a fraction: what ``framesPerSecond`` means.
  public var frameRate: FrameRate { FrameRate(framesPerSecond) ?? FrameRate(25) }
}
