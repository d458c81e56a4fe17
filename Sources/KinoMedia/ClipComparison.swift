import Foundation

/// Measures how far a clip or picture is from its original.
///
/// PSNR is over all 8-bit RGB samples. SSIM (Wang et al. 2004) is over BT.601 luma with an 11x11
/// Gaussian window of sigma 1.5 at every place where it fits whole; in pictures under 11 pixels
/// the window is the largest odd square that fits.
public struct ClipComparison: Hashable, Sendable {
  /// The mean squared error of each frame, in squared 8-bit levels.
  public let meanSquaredErrors: [Double]
  /// The SSIM of each frame, at most 1.
  public let structuralSimilarities: [Double]

  /// Compares two clips. Traps unless they have the same size, and frames of the same number.
  public init(_ first: Clip, _ second: Clip) {
    precondition(
      first.size == second.size && first.frameCount == second.frameCount,
      """
      ClipComparison: \(first.frameCount) frames of \(first.size) and \(second.frameCount) of \
      \(second.size)
      """)
    precondition(first.frameCount > 0, "ClipComparison: no frames")
    var errors: [Double] = []
    var similarities: [Double] = []
    for (a, b) in zip(first.frames, second.frames) {
      errors.append(Self.meanSquaredError(a, b))
      similarities.append(Self.structuralSimilarity(a, b))
    }
    meanSquaredErrors = errors
    structuralSimilarities = similarities
  }

  /// Compares two pictures. Traps unless they have the same size.
  public init(_ first: Frame, _ second: Frame) {
    self.init(
      Clip(frames: [first], framesPerSecond: 1), Clip(frames: [second], framesPerSecond: 1))
  }

  /// The PSNR of the whole clip in dB, from the mean error of all frames; infinite if equal.
  public var psnr: Double {
    Self.decibels(meanSquaredErrors.reduce(0, +) / Double(meanSquaredErrors.count))
  }

  /// The PSNR of each frame in dB; infinite where equal.
  public var framePSNRs: [Double] { meanSquaredErrors.map(Self.decibels) }

  /// The mean SSIM over the frames.
  public var ssim: Double {
    structuralSimilarities.reduce(0, +) / Double(structuralSimilarities.count)
  }

  // MARK: Internal

  private static func decibels(_ error: Double) -> Double {
    error > 0 ? 10 * log10(255 * 255 / error) : .infinity
  }

  private static func meanSquaredError(_ a: Frame, _ b: Frame) -> Double {
    let sum = a.pixels.withUnsafeBufferPointer { a in
      b.pixels.withUnsafeBufferPointer { b in
        var sum = 0
        for index in a.indices {
          let difference = Int(a[index]) - Int(b[index])
          sum &+= difference &* difference
        }
        return sum
      }
    }
    return Double(sum) / Double(a.pixels.count)
  }

  private static func structuralSimilarity(_ a: Frame, _ b: Frame) -> Double {
    let side = min(11, (min(a.width, a.height) - 1) / 2 * 2 + 1)
    let window = GaussianWindow(side: side, width: a.width, height: a.height)
    let (x, y) = (luma(a), luma(b))
    let (meanX, meanY) = (window.mean(x), window.mean(y))
    let squareX = window.mean(zip(x, x).map { $0 * $1 })
    let squareY = window.mean(zip(y, y).map { $0 * $1 })
    let product = window.mean(zip(x, y).map { $0 * $1 })
    let (c1, c2): (Float, Float) = (0.01 * 0.01 * 255 * 255, 0.03 * 0.03 * 255 * 255)
    var sum = 0.0
    for index in meanX.indices {
      let (mx, my) = (meanX[index], meanY[index])
      let varianceX = max(0, squareX[index] - mx * mx)
      let varianceY = max(0, squareY[index] - my * my)
      let covariance = product[index] - mx * my
      let value =
        (2 * mx * my + c1) * (2 * covariance + c2)
        / ((mx * mx + my * my + c1) * (varianceX + varianceY + c2))
      sum += Double(value)
    }
    return sum / Double(meanX.count)
  }

  /// BT.601 luma, 0...255.
  private static func luma(_ frame: Frame) -> [Float] {
    let count = frame.width * frame.height
    return [Float](unsafeUninitializedCapacity: count) { result, filled in
      frame.pixels.withUnsafeBufferPointer { pixels in
        for index in 0..<count {
          result[index] =
            0.299 * Float(pixels[3 * index]) + 0.587 * Float(pixels[3 * index + 1])
            + 0.114 * Float(pixels[3 * index + 2])
        }
      }
      filled = count
    }
  }
}

/// A separable window over planes of one size.
private struct GaussianWindow {
  let width, height: Int
  let weights: [Float]

  init(side: Int, width: Int, height: Int) {
    self.width = width
    self.height = height
    let raw = (0..<side).map { index in
      let distance = Double(index) - Double(side - 1) / 2
      return exp(-distance * distance / (2 * 1.5 * 1.5))
    }
    let total = raw.reduce(0, +)
    weights = raw.map { Float($0 / total) }
  }

  /// The weighted means at every place where the window fits whole.
  func mean(_ plane: [Float]) -> [Float] {
    let outWidth = width - weights.count + 1
    let outHeight = height - weights.count + 1
    var rows = [Float](repeating: 0, count: outWidth * height)
    for y in 0..<height {
      for (offset, weight) in weights.enumerated() {
        accumulate(plane, y * width + offset, weight, &rows, y * outWidth, outWidth)
      }
    }
    var result = [Float](repeating: 0, count: outWidth * outHeight)
    for y in 0..<outHeight {
      for (offset, weight) in weights.enumerated() {
        accumulate(rows, (y + offset) * outWidth, weight, &result, y * outWidth, outWidth)
      }
    }
    return result
  }

  private func accumulate(
    _ from: [Float], _ start: Int, _ weight: Float, _ to: inout [Float], _ place: Int, _ count: Int
  ) {
    from.withUnsafeBufferPointer { from in
      to.withUnsafeMutableBufferPointer { to in
        for index in 0..<count { to[place + index] += weight * from[start + index] }
      }
    }
  }
}
