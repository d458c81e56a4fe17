public import Foundation
internal import Kino
public import KinoMedia
public import KinoModels
public import KinoTensor
internal import KinoWorld

/// How well an autoencoder restores what it never saw.
public struct AutoencoderEvaluation {
  /// Mean figures over one set of clips or pictures.
  public struct Score: Codable, Hashable, Sendable {
    /// What was restored.
    public var set: String
    /// Clips or pictures in it.
    public var count: Int
    /// Peak signal-to-noise ratio over 8-bit RGB, in dB; higher is better.
    public var psnr: Double
    /// Structural similarity over luma, at most 1.
    public var ssim: Double
    /// What moves and what stays, and frames by their place, over all pixels of all clips; `nil` for
    /// pictures, and in scores that were written before these were measured.
    public var parts: RestorationScore?
  }

  /// A clip beside itself after encoding and decoding.
  public struct Comparison: Sendable {
    /// What was encoded.
    public let original: Clip
    /// What was decoded.
    public let restored: Clip
    /// How well.
    public let score: RestorationScore
    /// The share of the original's pixels that move, in `0...1`.
    public let movingShare: Double

    /// Every frame of the original with the restored one to its right.
    public var sideBySide: Clip {
      let frames = zip(original.frames, restored.frames).map { original, restored in
        var frame = Frame(width: 2 * original.width, height: original.height, color: .black)
        frame.draw(original, x: 0, y: 0)
        frame.draw(restored, x: original.width, y: 0)
        return frame
      }
      return Clip(frames: frames, framesPerSecond: original.framesPerSecond)
    }
  }

  private let autoencoder: VideoAutoencoder
  private let computeType: DType

  /// Evaluates one autoencoder.
  ///
  /// - Parameters:
  ///   - autoencoder: What is evaluated.
  ///   - computeType: The type it computes in.
  public init(_ autoencoder: VideoAutoencoder, computeType: DType) {
    self.autoencoder = autoencoder
    self.computeType = computeType
  }

  /// Which clips of the procedural world are restored.
  public struct WorldSet: Hashable, Sendable {
    /// How many, at least 1.
    public var count = 16
    /// Their size; both sides multiples of the autoencoder's spatial scale.
    public var size = FrameSize(width: 256, height: 256)
    /// Their length, `1 + n` times the autoencoder's temporal scale.
    public var frames = 17
    /// Their rate, above 0: the lower it is, the farther things move from frame to frame.
    public var framesPerSecond = 12.0

    /// The set that figures of this project are measured on.
    public init() {}
  }

  /// Why a set can't be restored, as a sentence; `nil` if it can.
  public func objection(to set: WorldSet) -> String? {
    let shape = autoencoder.configuration
    let (side, step) = (shape.spatialScale, shape.temporalScale)
    let length = max(set.size.width, set.size.height)
    if set.size.width % side != 0 || set.size.height % side != 0 || length > 2048 {
      return "The size \(set.size) can't be restored; use multiples of \(side) up to 2048."
    }
    if !(1...961 ~= set.frames) || (set.frames - 1) % step != 0 {
      return "\(set.frames) frames can't be restored; use 1 + \(step)n, up to 961."
    }
    if !(1...10_000 ~= set.count) { return "The count is \(set.count); use a number in 1...10000." }
    if !(set.framesPerSecond >= 1 && set.framesPerSecond <= 120) {
      return "\(set.framesPerSecond) frames per second is out of range; use a rate in 1...120."
    }
    return nil
  }

  /// Scores clips of unseen combinations of the procedural world.
  ///
  /// - Parameters:
  ///   - set: A set without ``objection(to:)``.
  ///   - shownCount: Clips to give back for a look.
  /// - Returns: The means, and the clips in which most moves, the fastest first.
  public func world(_ set: WorldSet = WorldSet(), showing shownCount: Int = 0) -> (
    score: Score, shown: [Comparison]
  ) {
    let clips = (0..<set.count).lazy.map { index in
      Clip(
        SceneRenderer(width: set.size.width, height: set.size.height).render(
          .random(seed: UInt64(600_000 + index), split: .heldOut), frameCount: set.frames,
          framesPerSecond: set.framesPerSecond))
    }
    var name = "world, \(set.size), \(set.frames) frames"
    if set.framesPerSecond != 12 { name += " at \(set.framesPerSecond) a second" }
    var shown: [Comparison] = []
    let score = score(name, clips) { comparison in
      shown.append(comparison)
      shown.sort { $0.movingShare > $1.movingShare }
      shown.removeLast(max(0, shown.count - shownCount))
    }
    return (score, shown)
  }

  /// Scores every picture, or the first frames of every clip, of a folder.
  ///
  /// - Parameters:
  ///   - folder: Its files are taken by name; those that can't be read are left out.
  ///   - side: Clips are cropped and resized to a square of this many pixels.
  ///   - frames: 1 takes the pictures, more the clips that are long enough.
  /// - Returns: The means over the folder.
  /// - Throws: A Foundation error if the folder can't be listed.
  public func footage(in folder: URL, side: Int = 256, frames: Int) throws -> Score {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    let options = ReadOptions(size: FrameSize(width: side, height: side), frameLimit: frames)
    let clips = names.compactMap { name -> Clip? in
      let path = folder.appendingPathComponent(name).path
      guard let info = try? MediaInfo.probe(path), (info.frameCount > 1) == (frames > 1)
      else { return nil }
      guard let clip = try? Clip.read(path, options), clip.frameCount == frames else { return nil }
      return clip
    }
    return score(
      frames == 1 ? "photographs, \(side)x\(side)" : "footage, \(side)x\(side), \(frames) frames",
      clips)
  }

  private func score(
    _ name: String, _ clips: some Sequence<Clip>, look: (Comparison) -> Void = { _ in }
  ) -> Score {
    var scores: [(psnr: Double, ssim: Double)] = []
    var parts: RestorationErrors?
    for clip in clips {
      let restored = restored(clip)
      let comparison = ClipComparison(clip, restored)
      scores.append((comparison.psnr, comparison.ssim))
      let motion = MotionMask(clip)
      let errors = RestorationErrors(
        original: clip, restored: restored, motion: motion,
        framesPerLatent: autoencoder.configuration.temporalScale)
      if clip.frameCount > 1 {
        if parts == nil { parts = errors } else { parts? += errors }
      }
      look(
        Comparison(
          original: clip, restored: restored, score: errors.score, movingShare: motion.movingShare))
    }
    let count = Double(max(1, scores.count))
    return Score(
      set: name, count: scores.count, psnr: scores.reduce(0) { $0 + $1.psnr } / count,
      ssim: scores.reduce(0) { $0 + $1.ssim } / count, parts: parts?.score)
  }

  /// A clip after encoding to the latents' means and decoding.
  public func restored(_ clip: Clip) -> Clip {
    withoutGradient {
      ClipCodec(autoencoder, computeType: computeType, device: .cpu).restored(clip)
    }
  }
}

extension Clip {
  init(_ rendered: RenderedClip) {
    self.init(
      width: rendered.width, height: rendered.height, framesPerSecond: rendered.framesPerSecond,
      pixels: rendered.pixels)
  }
}
