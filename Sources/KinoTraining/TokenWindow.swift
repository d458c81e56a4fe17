internal import KinoNN
internal import KinoTensor
internal import KinoWorld

/// A square of tokens around an object, cut from a sample's latents.
struct TokenWindow: Hashable {
  let row: Int
  let column: Int
  let side: Int

  /// Draws that a window takes.
  static let drawCount: UInt64 = 3

  /// Draws a window that holds a token of an object, or any window where none is known.
  ///
  /// - Parameters:
  ///   - truth: What a frame of the sample shows.
  ///   - rows: Rows of tokens, at least `side`.
  ///   - columns: Tokens in a row, at least `side`.
  ///   - side: Tokens along the window's sides.
  ///   - random: Moves on by ``drawCount`` draws.
  init(
    around truth: SceneTruth?, rows: Int, columns: Int, side: Int, by random: inout RandomSource
  ) {
    precondition(
      1...min(rows, columns) ~= side, "TokenWindow: side \(side) of \(rows)x\(columns) tokens")
    self.side = side
    let cells = truth?.objectCells ?? []
    let cell =
      cells.isEmpty
      ? random.integer(below: rows * columns) : cells[random.integer(below: cells.count)]
    row = max(0, min(rows - side, cell / columns - random.integer(below: side)))
    column = max(0, min(columns - side, cell % columns - random.integer(below: side)))
  }

  /// Cuts latents `[C, F, H, W]` with `patch` latents along a token's sides.
  func cut(_ latents: Tensor, patch: Int) -> Tensor {
    latents.slice(2, row * patch..<(row + side) * patch)
      .slice(3, column * patch..<(column + side) * patch)
  }

  /// Cuts every frame's truth.
  func cut(_ truths: [SceneTruth]?) -> [SceneTruth]? {
    truths?.map { $0.cut(row: row, column: column, rows: side, columns: side) }
  }
}
