package import KinoMedia
package import KinoModels
package import KinoTensor

/// Whole clips to latents and back: an autoencoder, with the type and the place it computes in.
///
/// For short clips, of training and of measures; clips of any length stream through a ``ModelPipeline``.
package struct ClipCodec: Sendable {
  private let autoencoder: VideoAutoencoder
  private let computeType: DType
  private let device: Device

  package init(_ autoencoder: VideoAutoencoder, computeType: DType, device: Device) {
    self.autoencoder = autoencoder
    self.computeType = computeType
    self.device = device
  }

  /// Encodes pixels.
  ///
  /// - Parameter pixels: `[B, 3, F, H, W]` in -1...1.
  /// - Returns: The means of the latents' distributions, normalised, `[B, C, f, H, W]` on the device.
  package func latents(of pixels: Tensor) -> Tensor {
    autoencoder.normalized(means(of: pixels))
  }

  /// The means as the autoencoder's statistics are measured on, not normalised.
  package func means(of pixels: Tensor) -> Tensor {
    autoencoder.encode(pixels.moved(to: device), computeType: computeType).mean
  }

  /// The pixels of latents that are normalised, `[B, 3, F, H, W]` in about -1...1.
  package func pixels(of latents: Tensor) -> Tensor {
    autoencoder.decode(autoencoder.denormalized(latents), computeType: computeType)
  }

  /// A clip after encoding and decoding, as pixels `[1, 3, F, H, W]`.
  package func restoredPixels(_ clip: Clip) -> Tensor {
    autoencoder.decode(means(of: clip.tensor), computeType: computeType)
  }

  /// A clip after encoding and decoding.
  package func restored(_ clip: Clip) -> Clip {
    Clip(tensor: restoredPixels(clip).select(0, 0), framesPerSecond: clip.framesPerSecond)
  }
}
