public import KinoTensor

/// The fresh noise that a sampling step may add.
///
/// Every draw depends on the seed, the step, the number of the draw within the step, and a frame's
/// place in the clip: a window sees the noise of the whole clip, and a step that is tried again
/// draws the same.
public struct StepNoise: Sendable {
  private let shape: LatentShape
  private let seed: UInt64
  private let step: Int
  private let firstFrame: Int
  private let device: Device
  private var drawCount = 0

  /// Starts the noise of one step.
  ///
  /// - Parameters:
  ///   - shape: The canvas's.
  ///   - seed: The seed of ``Canvas/noise(seed:firstFrame:)``; draws differ from that noise.
  ///   - step: The step, from 0.
  ///   - firstFrame: Where the canvas begins in its clip, in latent frames.
  ///   - device: Where the latents live.
  public init(
    for shape: LatentShape, seed: UInt64, step: Int, firstFrame: Int = 0, device: Device = .cpu
  ) {
    self.shape = shape
    self.seed = seed
    self.step = step
    self.firstFrame = firstFrame
    self.device = device
  }

  /// Draws standard normal numbers `[C, F, H, W]`, float32; at most 256 times a step.
  public mutating func next() -> Tensor {
    precondition(drawCount < 256, "StepNoise: more than 256 draws in step \(step)")
    defer { drawCount += 1 }
    // A source's draws are counted in 64 bits: step, draw, frame. Step 0 is the canvas's own noise.
    let stream = UInt64(step + 1) << 40 | UInt64(drawCount) << 32
    return shape.noise(seed: seed, firstDraw: stream + UInt64(max(0, firstFrame)))
      .moved(to: device)
  }
}

extension LatentShape {
  /// Draws noise `[C, F, H, W]` frame by frame, so that it does not depend on the frame count.
  func noise(seed: UInt64, firstDraw: UInt64) -> Tensor {
    var random = RandomSource(seed: seed, drawCount: firstDraw)
    return stack((0..<frames).map { _ in random.normal([channels, height, width]) }, along: 1)
  }
}
