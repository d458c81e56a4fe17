/// Tells which pixels of a clip are near a change since the frame before.
///
/// A pixel changes where a channel differs from that of the frame before by more than an eighth of the
/// range, 32 levels or more. It moves if a pixel within `reach` rows and columns changes. Nothing of the
/// first frame moves.
public struct MotionMask: Hashable, Sendable {
  /// The size of every frame in pixels.
  public let size: FrameSize
  /// `[frameCount, height, width]`: whether each pixel moves.
  public let isMoving: [Bool]

  /// Finds what moves.
  ///
  /// - Parameters:
  ///   - clip: Any clip.
  ///   - reach: Pixels around a change, in rows and columns, that move too; at least 0.
  public init(_ clip: Clip, reach: Int = 4) {
    precondition(reach >= 0, "MotionMask: a reach of \(reach)")
    size = clip.size
    let count = clip.width * clip.height
    var mask = [Bool](repeating: false, count: min(clip.frameCount, 1) * count)
    mask.reserveCapacity(clip.frameCount * count)
    for frame in 1..<max(1, clip.frameCount) {
      let changes = Self.changes(clip.pixels, frame: frame, pixelCount: count)
      let rows = Self.widened(
        changes, reach: reach, lines: clip.height, lineStride: clip.width, count: clip.width,
        stride: 1)
      mask += Self.widened(
        rows, reach: reach, lines: clip.width, lineStride: 1, count: clip.height,
        stride: clip.width)
    }
    isMoving = mask
  }

  /// The number of pixels that move, in all frames.
  public var movingCount: Int { isMoving.reduce(0) { $0 + ($1 ? 1 : 0) } }

  /// The share of all pixels that move, in `0...1`; 0 for a clip without frames.
  public var movingShare: Double { Double(movingCount) / Double(max(1, isMoving.count)) }

  // MARK: Internal

  /// More than an eighth of 255.
  private static let leastChange = 32

  private static func changes(_ pixels: [UInt8], frame: Int, pixelCount: Int) -> [Bool] {
    pixels.withUnsafeBufferPointer { pixels in
      (0..<pixelCount).map { index in
        let now = 3 * (frame * pixelCount + index)
        let before = now - 3 * pixelCount
        return (0..<3).contains {
          abs(Int(pixels[now + $0]) - Int(pixels[before + $0])) >= leastChange
        }
      }
    }
  }

  /// Sets what is within `reach` of a set value on its line.
  private static func widened(
    _ mask: [Bool], reach: Int, lines: Int, lineStride: Int, count: Int, stride: Int
  ) -> [Bool] {
    var result = mask
    for line in 0..<lines {
      var last = -reach - 1
      func place(_ index: Int) -> Int { line * lineStride + index * stride }
      for index in 0..<count {
        if mask[place(index)] { last = index }
        if index - last <= reach { result[place(index)] = true }
      }
      last = count + reach
      for index in (0..<count).reversed() {
        if mask[place(index)] { last = index }
        if last - index <= reach { result[place(index)] = true }
      }
    }
    return result
  }
}
