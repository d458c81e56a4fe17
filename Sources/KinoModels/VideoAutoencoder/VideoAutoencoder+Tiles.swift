public import KinoTensor

extension VideoAutoencoder.Configuration {
  /// Latent rows and columns on each side of a tile that its pixels depend on: with so many around it,
  /// a tile is decoded as in the whole picture.
  public var tileMargin: Int {
    // Convolutions of 3x3 reach one place at the resolution of their level.
    var reach = 0.0
    for level in widthMultipliers.indices {
      let scale = Double(1 << level)
      reach += Double(2 * (residualBlockCount + 1)) / scale
      if level > 0 { reach += 1 / scale }
    }
    return Int((reach + 1 / Double(1 << (widthMultipliers.count - 1))).rounded(.up))
  }

  /// Rows and columns of latents on each side of a tile whose pixels its features depend on.
  var encodingMargin: Int {
    // At the resolution of the patched pixels: the first convolution, blocks of two and a reduction at each level.
    var reach = 1
    for level in widthMultipliers.indices {
      let isLast = level == widthMultipliers.count - 1
      reach += (2 * residualBlockCount + (isLast ? 0 : 2)) << level
    }
    let scale = 1 << (widthMultipliers.count - 1)
    return (reach + scale - 1) / scale
  }

  /// Cuts rows or columns of latents into equal parts.
  ///
  /// - Parameters:
  ///   - length: Rows or columns.
  ///   - count: How many parts.
  ///   - margin: What a part needs on either side; `nil` is ``tileMargin``.
  /// - Returns: For each part what it gives, and what it needs for that.
  public func tiles(
    of length: Int, parts count: Int, margin: Int? = nil
  ) -> [Tile] {
    let margin = margin ?? tileMargin
    return (0..<count).map { index in
      let core = length * index / count..<length * (index + 1) / count
      return Tile(
        core: core, needed: max(0, core.lowerBound - margin)..<min(length, core.upperBound + margin)
      )
    }
  }

  /// A part of the rows or columns of latents.
  public struct Tile: Hashable, Sendable {
    /// What it gives.
    public let core: Range<Int>
    /// What it needs for that.
    public let needed: Range<Int>

    /// Where ``core`` is in ``needed``.
    var inner: Range<Int> {
      core.lowerBound - needed.lowerBound..<core.upperBound - needed.lowerBound
    }
  }
}

extension Range<Int> {
  /// The pixels that rows or columns of latents stand for.
  func scaled(by scale: Int) -> Range<Int> { lowerBound * scale..<upperBound * scale }
}

extension VideoAutoencoder {
  /// Decodes a clip in tiles, one after the other over all of its frames: the same pixels in less memory.
  ///
  /// The deepest level, where every place sees every other, is computed whole for each tile.
  ///
  /// - Parameters:
  ///   - latents: `[1, Z, f, h, w]`, float, not normalised.
  ///   - tiles: Parts along each side, at least 1.
  ///   - framesAtOnce: Latent frames that are decoded together.
  ///   - computeType: The type the layers compute in.
  ///   - body: Is given pixels `[1, 3, F, H, W]` in -1...1 of a part of the frames of a tile, the number of
  ///     the first frame, and the row and column of their upper left corner.
  /// - Throws: What `body` throws.
  public func decode(
    _ latents: Tensor, tiles: Int, framesAtOnce: Int, computeType: DType = .float32,
    _ body: (_ pixels: Tensor, _ frame: Int, _ row: Int, _ column: Int) throws -> Void
  ) throws {
    let (_, _, frames, height, width) = latents.shape5
    let scale = configuration.spatialScale
    for rows in configuration.tiles(of: height, parts: tiles) {
      for columns in configuration.tiles(of: width, parts: tiles) {
        var stream = CausalStream(isContinued: true)
        var frame = 0
        for start in stride(from: 0, to: frames, by: framesAtOnce) {
          let piece = latents.slice(2, start..<min(start + framesAtOnce, frames))
          let x = restored(piece.cast(to: computeType).channelsLast(), &stream)
          let features = decoder.features(x, &stream)
            .slice(3, rows.needed).slice(4, columns.needed).copied().channelsLast()
          let pixels = Patches.unfolded(
            decoder.enlarged(features, &stream).cast(to: .float32), patch: configuration.patch)
          stream.advance()
          try body(
            pixels.slice(3, rows.inner.scaled(by: scale)).slice(4, columns.inner.scaled(by: scale))
              .clamped(to: -1...1), frame,
            rows.core.lowerBound * scale, columns.core.lowerBound * scale)
          frame += pixels.size(2)
        }
      }
    }
  }
}
