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

  /// Scores clips of unseen combinations of the procedural world.
  public func world(
    count: Int = 16, size: FrameSize = FrameSize(width: 256, height: 256), frames: Int = 17
  ) -> Score {
    let clips = (0..<count).lazy.map { index in
      let clip = SceneRenderer(width: size.width, height: size.height).render(
        .random(seed: UInt64(600_000 + index), split: .heldOut), frameCount: frames,
        framesPerSecond: 12)
      return Clip(
        width: clip.width, height: clip.height, framesPerSecond: clip.framesPerSecond,
        pixels: clip.pixels)
    }
    return score("world, \(size), \(frames) frames", clips)
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

  private func score(_ name: String, _ clips: some Sequence<Clip>) -> Score {
    var scores: [(psnr: Double, ssim: Double)] = []
    for clip in clips {
      let comparison = ClipComparison(clip, restored(clip))
      scores.append((comparison.psnr, comparison.ssim))
    }
    let count = Double(max(1, scores.count))
    return Score(
      set: name, count: scores.count, psnr: scores.reduce(0) { $0 + $1.psnr } / count,
      ssim: scores.reduce(0) { $0 + $1.ssim } / count)
  }

  /// A clip after encoding to the latents' means and decoding.
  public func restored(_ clip: Clip) -> Clip {
    withoutGradient {
      let latents = autoencoder.encode(clip.tensor, computeType: computeType).mean
      let pixels = autoencoder.decode(latents, computeType: computeType)
      return Clip(tensor: pixels.select(0, 0), framesPerSecond: clip.framesPerSecond)
    }
  }
}
