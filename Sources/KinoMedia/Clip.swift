/// Holds frames of one size at a constant rate, in one block of memory.
///
/// A still picture is a ``Frame``; a clip may hold one frame, and none.
public struct Clip: Hashable, Sendable {
  /// The size of every frame in pixels.
  public let width, height: Int
  /// The rate at which frames are shown, per second.
  public var framesPerSecond: Double
  /// `[frameCount, height, width, 3]` bytes, RGB, no padding.
  public private(set) var pixels: [UInt8]

  /// Creates a clip from its bytes.
  ///
  /// Traps unless `pixels` holds a whole number of `height * width * 3` frames and the rate is
  /// positive and finite.
  public init(width: Int, height: Int, framesPerSecond: Double, pixels: [UInt8]) {
    precondition(width > 0 && height > 0, "Clip: \(width)x\(height) is empty")
    precondition(
      pixels.count % (width * height * 3) == 0,
      "Clip: \(pixels.count) bytes are no whole number of \(width)x\(height) RGB frames")
    precondition(
      framesPerSecond > 0 && framesPerSecond.isFinite,
      "Clip: framesPerSecond \(framesPerSecond) is not positive")
    self.width = width
    self.height = height
    self.framesPerSecond = framesPerSecond
    self.pixels = pixels
  }

  /// Creates a clip from frames of one size. Traps if there are none or their sizes differ.
  public init(frames: [Frame], framesPerSecond: Double) {
    guard let first = frames.first else { preconditionFailure("Clip: no frames") }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(frames.count * first.pixels.count)
    for frame in frames {
      precondition(frame.size == first.size, "Clip: frames of \(first.size) and \(frame.size)")
      pixels += frame.pixels
    }
    self.init(
      width: first.width, height: first.height, framesPerSecond: framesPerSecond, pixels: pixels)
  }

  /// The number of frames.
  public var frameCount: Int { pixels.count / bytesPerFrame }

  /// The size of every frame as one value.
  public var size: FrameSize { FrameSize(width: width, height: height) }

  /// How long the clip lasts, in seconds.
  public var durationSeconds: Double { Double(frameCount) / framesPerSecond }

  /// The frames, each copied as it is asked for.
  public var frames: some RandomAccessCollection<Frame> {
    (0..<frameCount).lazy.map { self[$0] }
  }

  /// Reads or replaces one frame. A frame of another size traps.
  public subscript(index: Int) -> Frame {
    get { Frame(width: width, height: height, pixels: Array(pixels[byteRange(index..<index + 1)])) }
    set {
      precondition(newValue.size == size, "Clip: a frame of \(newValue.size) in a clip of \(size)")
      pixels.replaceSubrange(byteRange(index..<index + 1), with: newValue.pixels)
    }
  }

  /// Copies the frames of a range, at the same rate.
  public subscript(range: some RangeExpression<Int>) -> Clip {
    let bytes = byteRange(range.relative(to: 0..<frameCount))
    return Clip(
      width: width, height: height, framesPerSecond: framesPerSecond, pixels: Array(pixels[bytes]))
  }

  /// Returns the frames in the opposite order.
  public func reversed() -> Clip {
    var result: [UInt8] = []
    result.reserveCapacity(pixels.count)
    for index in (0..<frameCount).reversed() {
      result += pixels[byteRange(index..<index + 1)]
    }
    return Clip(width: width, height: height, framesPerSecond: framesPerSecond, pixels: result)
  }

  /// Takes memory for so many frames in all, so that appending them copies nothing twice.
  public mutating func reserveCapacity(_ frameCount: Int) {
    pixels.reserveCapacity(frameCount * bytesPerFrame)
  }

  /// Adds a frame at the end. A frame of another size traps.
  public mutating func append(_ frame: Frame) {
    precondition(frame.size == size, "Clip: a frame of \(frame.size) in a clip of \(size)")
    pixels += frame.pixels
  }

  /// Adds the frames of another clip, whose rate is ignored. A clip of another size traps.
  public mutating func append(_ other: Clip) {
    precondition(other.size == size, "Clip: joining clips of \(size) and \(other.size)")
    pixels += other.pixels
  }

  /// Returns both clips one after the other, at the rate of the first.
  public static func + (first: Clip, second: Clip) -> Clip {
    var result = first
    result.append(second)
    return result
  }

  private var bytesPerFrame: Int { width * height * 3 }

  private func byteRange(_ range: Range<Int>) -> Range<Int> {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= frameCount,
      "Clip: frames \(range) of \(frameCount)")
    return range.lowerBound * bytesPerFrame..<range.upperBound * bytesPerFrame
  }
}
