internal import Foundation

/// A shape of batches that suits some of the clips: nothing is cropped square.
public struct BucketProposal: Codable, Hashable, Sendable {
  /// Columns and rows, multiples of 32.
  public let width, height: Int
  /// Frames, 4n + 1; 1 is a picture.
  public let frames: Int
  /// How many clips or pictures it suits.
  public let count: Int

  private static let lengths = [81, 65, 49, 33, 17, 9, 5]

  /// Deals clips out to shapes of about so many pixels, each of the nearest ratio of width to height.
  ///
  /// - Parameters:
  ///   - items: Clips and pictures.
  ///   - pixels: The most pixels of a frame.
  ///   - framesPerSecond: The rate at which they are trained on.
  /// - Returns: The shapes, the most common first.
  static func all(
    for items: [PreparedSource.Item], pixels: Int, framesPerSecond: Double
  ) -> [BucketProposal] {
    let shapes = items.map { item -> [Int] in
      let (width, height) = shape(
        ratio: Double(item.width) / Double(item.height), pixels: pixels)
      let available = item.frames == 1 ? 1 : Int(item.seconds * framesPerSecond + 1e-6)
      return [width, height, lengths.first { $0 <= available } ?? 1]
    }
    return Dictionary(grouping: shapes) { $0 }
      .map { BucketProposal(width: $0[0], height: $0[1], frames: $0[2], count: $1.count) }
      .sorted { ($1.count, $1.frames, $0.width) < ($0.count, $0.frames, $1.width) }
  }

  /// The sides, multiples of 32, whose ratio is nearest; of those equally near, the larger.
  static func shape(ratio: Double, pixels: Int) -> (width: Int, height: Int) {
    let most = max(1, pixels / (32 * 32))
    var best = (width: 1, height: 1, error: Double.infinity)
    for width in 1...most {
      let height = most / width
      for height in Set([height, max(1, Int((Double(width) / ratio).rounded()))])
      where width * height <= most {
        // Half of the pixels unused counts as much as a ratio that is a fifth off.
        let waste = log2(Double(most) / Double(width * height)) * 0.2
        let error = abs(log(Double(width) / Double(height) / ratio)) + waste
        if error < best.error { best = (width, height, error) }
      }
    }
    return (best.width * 32, best.height * 32)
  }
}
