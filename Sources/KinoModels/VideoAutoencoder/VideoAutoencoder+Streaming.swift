public import KinoTensor

extension VideoAutoencoder {
  /// Encodes a clip piece by piece in memory that does not grow with its length.
  public struct EncodingStream {
    private let autoencoder: VideoAutoencoder
    private let computeType: DType
    private var stream = CausalStream(isContinued: true)

    /// - Parameter pixels: `[B, 3, F, H, W]` in `-1...1`; the first piece has `temporalScale * n + 1`
    ///   frames, every later one a multiple of `temporalScale`.
    /// - Returns: The means of the piece's latents, not normalised.
    public mutating func callAsFunction(_ pixels: Tensor) -> Tensor {
      defer { stream.advance() }
      return autoencoder.encode(pixels, computeType: computeType, &stream).mean
    }

    init(_ autoencoder: VideoAutoencoder, computeType: DType) {
      self.autoencoder = autoencoder
      self.computeType = computeType
    }
  }

  /// Decodes latents piece by piece in memory that does not grow with the clip's length.
  public struct DecodingStream {
    private let autoencoder: VideoAutoencoder
    private let computeType: DType
    private var stream = CausalStream(isContinued: true)

    /// - Parameter latents: The next `[B, Z, f, h, w]`, any number of frames, not normalised.
    /// - Returns: Their pixels, float32, in `-1...1`.
    public mutating func callAsFunction(_ latents: Tensor) -> Tensor {
      defer { stream.advance() }
      return autoencoder.decode(latents, computeType: computeType, &stream).clamped(to: -1...1)
    }

    init(_ autoencoder: VideoAutoencoder, computeType: DType) {
      self.autoencoder = autoencoder
      self.computeType = computeType
    }
  }

  /// Starts encoding a clip in pieces.
  public func encodingStream(computeType: DType = .float32) -> EncodingStream {
    EncodingStream(self, computeType: computeType)
  }

  /// Starts decoding a clip in pieces.
  public func decodingStream(computeType: DType = .float32) -> DecodingStream {
    DecodingStream(self, computeType: computeType)
  }
}
