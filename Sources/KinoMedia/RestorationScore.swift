import Foundation

/// How well clips were restored, part by part: PSNR over 8-bit RGB samples in dB, at most 100, and `nil`
/// for a part without pixels.
///
/// What moves is a small part of most clips, and what a video autoencoder loses first: the PSNR of whole
/// frames hardly shows it. ``RestorationErrors`` measures it.
public struct RestorationScore: Codable, Hashable, Sendable {
  /// What moves in the original, by ``MotionMask``, in all frames but the first.
  public var moving: Double?
  /// All else in those frames.
  public var still: Double?
  /// The first frame.
  public var firstFrame: Double?
  /// The first, second and further frames of every latent after the first, which holds one frame.
  public var latentFrames: [Double?]

  enum CodingKeys: String, CodingKey {
    case moving, still
    case firstFrame = "first_frame"
    case latentFrames = "latent_frames"
  }

  /// Holds figures that are known already.
  public init(moving: Double?, still: Double?, firstFrame: Double?, latentFrames: [Double?]) {
    self.moving = moving
    self.still = still
    self.firstFrame = firstFrame
    self.latentFrames = latentFrames
  }
}

/// The squared errors of restored clips, by the parts of a ``RestorationScore``, summed over all pixels:
/// a clip in which little moves counts little for what moves.
public struct RestorationErrors: Hashable, Sendable {
  private var moving = Part()
  private var still = Part()
  private var first = Part()
  private var latents: [Part]

  /// Compares a clip with its original. Traps unless they have the same size, and frames of the same
  /// number.
  ///
  /// - Parameters:
  ///   - original: What was encoded.
  ///   - restored: What was decoded.
  ///   - motion: What moves in the original.
  ///   - framesPerLatent: Frames of a latent after the first, at least 1.
  public init(original: Clip, restored: Clip, motion: MotionMask, framesPerLatent: Int) {
    precondition(
      original.size == restored.size && original.frameCount == restored.frameCount
        && motion.size == original.size
        && motion.isMoving.count == original.pixels.count / 3 && framesPerLatent > 0,
      "RestorationErrors: \(restored.frameCount) frames of \(restored.size) for an original of "
        + "\(original.frameCount) of \(original.size)")
    latents = [Part](repeating: Part(), count: framesPerLatent)
    let count = original.width * original.height
    for frame in 0..<original.frameCount {
      let range = frame * count..<(frame + 1) * count
      let (changed, same) = Self.errors(original, restored, motion, range)
      if frame == 0 {
        first += same
      } else {
        moving += changed
        still += same
        latents[(frame - 1) % framesPerLatent] += changed
        latents[(frame - 1) % framesPerLatent] += same
      }
    }
  }

  /// Adds another clip's errors. Traps unless both have as many frames per latent.
  public static func += (sum: inout RestorationErrors, other: RestorationErrors) {
    precondition(
      sum.latents.count == other.latents.count,
      "RestorationErrors: \(sum.latents.count) and \(other.latents.count) frames per latent")
    sum.moving += other.moving
    sum.still += other.still
    sum.first += other.first
    for index in sum.latents.indices { sum.latents[index] += other.latents[index] }
  }

  /// The errors in dB.
  public var score: RestorationScore {
    RestorationScore(
      moving: moving.psnr, still: still.psnr, firstFrame: first.psnr,
      latentFrames: latents.map(\.psnr))
  }

  // MARK: Internal

  /// Squared errors of pixels, summed.
  private struct Part: Hashable {
    var squares = 0
    var pixels = 0

    var psnr: Double? {
      guard pixels > 0 else { return nil }
      let error = Double(squares) / Double(3 * pixels)
      return error > 0 ? min(100, 10 * log10(255 * 255 / error)) : 100
    }

    static func += (sum: inout Part, part: Part) {
      sum.squares += part.squares
      sum.pixels += part.pixels
    }
  }

  private static func errors(
    _ original: Clip, _ restored: Clip, _ motion: MotionMask, _ range: Range<Int>
  ) -> (moving: Part, still: Part) {
    var (moving, still) = (Part(), Part())
    original.pixels.withUnsafeBufferPointer { first in
      restored.pixels.withUnsafeBufferPointer { second in
        for pixel in range {
          var squares = 0
          for sample in 3 * pixel..<3 * pixel + 3 {
            let difference = Int(first[sample]) - Int(second[sample])
            squares &+= difference &* difference
          }
          let part = Part(squares: squares, pixels: 1)
          if motion.isMoving[pixel] { moving += part } else { still += part }
        }
      }
    }
    return (moving, still)
  }
}
