public import KinoTensor

/// A rectangle of a canvas's latents, over all of its frames.
public struct CanvasTile: Sendable, Hashable {
  /// Latent rows.
  public let rows: Range<Int>
  /// Latent columns.
  public let columns: Range<Int>

  /// Overlapping tiles that together cover a canvas; one that is no larger than a tile is its own.
  ///
  /// - Parameters:
  ///   - shape: The canvas; tiles begin and end at its patches.
  ///   - side: Latent rows and columns of a tile, at most.
  ///   - overlap: Rows and columns that neighbours share at least.
  /// - Returns: Tiles of one size, row by row.
  public static func covering(_ shape: LatentShape, side: Int, overlap: Int) -> [CanvasTile] {
    let rows = ranges(shape.height, side: side, overlap: overlap, step: shape.patch.height)
    let columns = ranges(shape.width, side: side, overlap: overlap, step: shape.patch.width)
    return rows.flatMap { rows in columns.map { CanvasTile(rows: rows, columns: $0) } }
  }

  private static func ranges(_ length: Int, side: Int, overlap: Int, step: Int) -> [Range<Int>] {
    let side = max(step, side / step * step)
    if length <= side { return [0..<length] }
    let advance = max(step, (side - overlap) / step * step)
    let count = (length - side + advance - 1) / advance + 1
    // Spread evenly, at whole patches.
    return (0..<count).map { index in
      let start = (length - side) * index / (count - 1) / step * step
      return start..<start + side
    }
  }

  /// How much each latent of the tile counts where tiles overlap, `[1, 1, h, w]`: most in the middle.
  public var weights: Tensor {
    func ramp(_ count: Int) -> [Float] {
      (0..<count).map { Float(min($0, count - 1 - $0) + 1) }
    }
    let (rows, columns) = (ramp(rows.count), ramp(columns.count))
    return Tensor(
      rows.flatMap { row in columns.map { row * $0 } }, shape: [1, 1, rows.count, columns.count])
  }

  /// Cuts the tile out of latents `[C, F, H, W]`.
  public func cut(_ latents: Tensor) -> Tensor { latents.slice(2, rows).slice(3, columns) }

  /// Adds numbers of the tile to their place in a whole that nobody else holds.
  fileprivate func add(_ values: Tensor, to whole: Tensor) {
    let place = cut(whole)
    place.add(inPlace: values)
  }
}

extension Canvas {
  /// Cuts out a rectangle, over all frames.
  ///
  /// - Throws: ``DiffusionError`` if the tile does not end at patches.
  public func cut(_ tile: CanvasTile) throws(DiffusionError) -> Canvas {
    let (patch, grid) = (shape.patch, shape.grid)
    let part = try LatentShape(
      channels: shape.channels, frames: shape.frames, height: tile.rows.count,
      width: tile.columns.count, patch: patch)
    try DiffusionError.require(
      tile.rows.lowerBound % patch.height == 0 && tile.columns.lowerBound % patch.width == 0
        && tile.rows.upperBound <= shape.height && tile.columns.upperBound <= shape.width, .range,
      "expected a tile of \(shape) at whole patches, found \(tile.rows), \(tile.columns)")
    let (top, left) = (tile.rows.lowerBound / patch.height, tile.columns.lowerBound / patch.width)
    let levels = (0..<grid[0]).flatMap { frame in
      (top..<top + part.grid[1]).flatMap { row in
        let start = (frame * grid[1] + row) * grid[2] + left
        return tokenLevels[start..<start + part.grid[2]]
      }
    }
    return try Canvas(
      shape: part, content: content.map { tile.cut($0) }, tokenLevels: levels, prompts: prompts)
  }

  /// The highest noise level: where sampling has to begin.
  public var highestLevel: Double { levels[levels.count - 1] }
}

/// Predicts the velocity of a canvas that is larger than a model's own from overlapping tiles, each of the
/// model's size, mixed in every step so that no border shows.
///
/// MultiDiffusion (arXiv:2302.08113) in the plane of the picture, with weights that fall towards a tile's
/// border.
public struct TiledDenoiser {
  private let tiles: [(tile: CanvasTile, canvas: Canvas, denoise: Denoise)]
  private let total: Tensor
  private let shape: LatentShape

  /// Cuts a canvas into tiles.
  ///
  /// - Parameters:
  ///   - canvas: The whole.
  ///   - tiles: What ``CanvasTile/covering(_:side:overlap:)`` gives for it.
  ///   - denoise: Makes the velocity of one tile's canvas, given that and the tile.
  /// - Throws: ``DiffusionError`` if a tile does not fit the canvas.
  public init(
    _ canvas: Canvas, tiles: [CanvasTile], denoise: (Canvas, CanvasTile) -> Denoise
  ) throws(DiffusionError) {
    shape = canvas.shape
    var parts: [(tile: CanvasTile, canvas: Canvas, denoise: Denoise)] = []
    let total = Tensor.zeros([1, 1, canvas.shape.height, canvas.shape.width])
    for tile in tiles {
      let part = try canvas.cut(tile)
      parts.append((tile, part, denoise(part, tile)))
      tile.add(tile.weights, to: total)
    }
    self.tiles = parts
    self.total = total
  }

  /// The velocity of the whole canvas.
  public func callAsFunction(_ latents: Tensor, _ moment: SamplingMoment) throws -> Tensor {
    let sum = Tensor.zeros(shape.axes, device: latents.device)
    for (tile, canvas, denoise) in tiles {
      let velocity = try denoise(tile.cut(latents).contiguous(), moment.seen(by: canvas))
        .cast(to: .float32)
      tile.add(velocity * tile.weights.moved(to: velocity.device), to: sum)
    }
    return sum / total.moved(to: sum.device)
  }
}
