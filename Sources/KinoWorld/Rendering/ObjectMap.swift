extension SceneRenderer {
  /// Tells which object is seen where at one moment, through the middle of every cell of a grid.
  ///
  /// - Parameters:
  ///   - scene: What is seen.
  ///   - time: The scene's time in seconds; earlier than 0 counts as 0.
  ///   - columns: Cells from left to right, at least 1.
  ///   - rows: Cells from top to bottom, at least 1.
  /// - Returns: `rows * columns` numbers, rows from the top: 0 for none, else the object's index plus 1.
  public func objectMap(_ scene: Scene, time: Double, columns: Int, rows: Int) -> [UInt8] {
    precondition(columns > 0 && rows > 0, "objectMap: \(columns)x\(rows) cells")
    let moment = TruthMoment(scene, time: Float(max(0, time)), width: width, height: height)
    let (cellWidth, cellHeight) = (Float(width) / Float(columns), Float(height) / Float(rows))
    return (0..<rows * columns).map { cell in
      let sight = moment.sight(
        (Float(cell % columns) + 0.5) * cellWidth, (Float(cell / columns) + 0.5) * cellHeight)
      return sight.map { UInt8($0.index + 1) } ?? 0
    }
  }
}
