internal import Foundation
public import KinoTensor

/// Rotates the queries and keys of self-attention by their tokens' positions in frame, row and
/// column.
///
/// A head's channels are split among the three axes; on an axis of `d` channels, pair `j` turns by
/// `position * 10000^(-2j/d)`. The angles are computed in double precision. Make a table once per
/// clip: it depends on sizes alone.
///
/// - Note: Su et al., arXiv:2104.09864, with interleaved pairs as in Wan.
public struct RotaryTable: Sendable {
  let cosine: Tensor  // [L, headDimension / 2]
  let sine: Tensor  // [L, headDimension / 2]

  /// The number of tokens.
  public let tokenCount: Int

  /// Makes the table of tokens at the given positions, which need not be whole numbers.
  ///
  /// - Parameters:
  ///   - framePositions: One position per token along time.
  ///   - rowPositions: One position per token from top to bottom.
  ///   - columnPositions: One position per token from left to right.
  ///   - headDimension: Channels in a head; even.
  public init(
    framePositions: [Double], rowPositions: [Double], columnPositions: [Double],
    headDimension: Int
  ) {
    precondition(
      headDimension.isMultiple(of: 2), "RotaryTable: \(headDimension) channels in a head")
    let spatial = 2 * (headDimension / 6)
    let frames = Self.angles(framePositions, channels: headDimension - 2 * spatial)
    let rows = Self.angles(rowPositions, channels: spatial)
    let columns = Self.angles(columnPositions, channels: spatial)
    tokenCount = frames.count * rows.count * columns.count
    var angles: [Double] = []
    angles.reserveCapacity(tokenCount * headDimension / 2)
    for frame in frames {
      for row in rows {
        for column in columns { angles += frame + row + column }
      }
    }
    let shape = [tokenCount, headDimension / 2]
    cosine = Tensor(angles.map { Float(cos($0)) }, shape: shape)
    sine = Tensor(angles.map { Float(sin($0)) }, shape: shape)
  }

  /// Makes the table of a grid of tokens.
  ///
  /// - Parameters:
  ///   - frames: Tokens along time.
  ///   - height: Tokens from top to bottom.
  ///   - width: Tokens from left to right.
  ///   - headDimension: Channels in a head; even.
  ///   - frameOffset: The position of the first frame: where a window starts on a longer canvas.
  ///   - frameScale: The distance between neighbouring frames.
  ///   - spatialScale: The distance between neighbouring rows and columns.
  public init(
    frames: Int, height: Int, width: Int, headDimension: Int, frameOffset: Double = 0,
    frameScale: Double = 1, spatialScale: Double = 1
  ) {
    self.init(
      framePositions: (0..<frames).map { frameOffset + Double($0) * frameScale },
      rowPositions: (0..<height).map { Double($0) * spatialScale },
      columnPositions: (0..<width).map { Double($0) * spatialScale },
      headDimension: headDimension)
  }

  private init(cosine: Tensor, sine: Tensor, tokenCount: Int) {
    self.cosine = cosine
    self.sine = sine
    self.tokenCount = tokenCount
  }

  /// Copies the table to another device; free if it is there already.
  public func moved(to device: Device) -> RotaryTable {
    RotaryTable(
      cosine: cosine.moved(to: device), sine: sine.moved(to: device), tokenCount: tokenCount)
  }

  /// The angle of every channel pair, for every position.
  private static func angles(_ positions: [Double], channels: Int) -> [[Double]] {
    let frequencies = stride(from: 0, to: channels, by: 2).map {
      pow(10000, -Double($0) / Double(channels))
    }
    return positions.map { position in frequencies.map { position * $0 } }
  }
}
