public import KinoTensor

extension VideoAutoencoder {
  /// Encodes a clip piece by piece in memory that does not grow with its length.
  public struct EncodingStream {
    private let autoencoder: VideoAutoencoder
    private let computeType: DType
    private let tiles: Int
    private var stream = CausalStream(isContinued: true)
    /// Of each tile, row by row.
    private var tileStreams: [CausalStream]

    /// - Parameter pixels: `[B, 3, F, H, W]` in `-1...1`; the first piece has `temporalScale * n + 1`
    ///   frames, every later one a multiple of `temporalScale`.
    /// - Returns: The means of the piece's latents, not normalised.
    public mutating func callAsFunction(_ pixels: Tensor) -> Tensor {
      defer { stream.advance() }
      if tiles == 1 { return autoencoder.encode(pixels, computeType: computeType, &stream).mean }
      return autoencoder.distribution(of: features(of: pixels), &stream).mean
    }

    /// The levels in which a place sees only what is around it, tile after tile.
    private mutating func features(of pixels: Tensor) -> Tensor {
      let sizes = autoencoder.configuration
      let (scale, (_, _, _, height, width)) = (sizes.spatialScale, pixels.shape5)
      func all(_ length: Int) -> [VideoAutoencoder.Configuration.Tile] {
        sizes.tiles(of: length / scale, parts: tiles, margin: sizes.encodingMargin)
      }
      var bands: [Tensor] = []
      for (row, rows) in all(height).enumerated() {
        var band: [Tensor] = []
        for (column, columns) in all(width).enumerated() {
          let part = pixels.slice(3, rows.needed.scaled(by: scale))
            .slice(4, columns.needed.scaled(by: scale))
          let number = row * tiles + column
          let features = autoencoder.features(
            of: part, computeType: computeType, &tileStreams[number])
          tileStreams[number].advance()
          band.append(features.slice(3, rows.inner).slice(4, columns.inner).copied())
        }
        bands.append(concatenate(band, along: 4))
      }
      return concatenate(bands, along: 3).channelsLast()
    }

    init(_ autoencoder: VideoAutoencoder, computeType: DType, tiles: Int) {
      self.autoencoder = autoencoder
      self.computeType = computeType
      self.tiles = tiles
      tileStreams = Array(repeating: CausalStream(isContinued: true), count: tiles * tiles)
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
  ///
  /// - Parameters:
  ///   - computeType: The type the layers compute in.
  ///   - tiles: Parts of the picture along each side, at least 1, that are encoded one after the other: the same
  ///     latents in less memory.
  /// - Returns: Takes the pieces in their order.
  public func encodingStream(computeType: DType = .float32, tiles: Int = 1) -> EncodingStream {
    EncodingStream(self, computeType: computeType, tiles: tiles)
  }

  /// Starts decoding a clip in pieces.
  public func decodingStream(computeType: DType = .float32) -> DecodingStream {
    DecodingStream(self, computeType: computeType)
  }
}
