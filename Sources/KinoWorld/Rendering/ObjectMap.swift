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
    let time = Float(max(0, time))
    var solids = scene.objects.indices.map {
      Solid(scene.objects[$0], pose: scene.pose(of: $0, at: time))
    }
    if let wall = scene.wall { solids.append(Solid(wall)) }
    let half = Scene.Camera.halfAngles(width: width, height: height)
    let fan = RayFan(
      scene.camera.viewpoint(at: time), half: half, width: columns, height: rows)
    let pixel = 2 * half.y / Float(height)
    return (0..<rows * columns).map { cell in
      let ray = fan.direction(Float(cell % columns) + 0.5, Float(cell / columns) + 0.5)
      var nearest: Float = ray.y < -1e-4 ? min(-fan.origin.y / ray.y, 400) : 400
      var seen = -1
      for index in solids.indices {
        let distance = solids[index].hit(fan.origin, ray, farthest: nearest, pixel: pixel)
        if distance > 0 && distance < nearest { (nearest, seen) = (distance, index) }
      }
      return seen < 0 || seen >= scene.objects.count ? 0 : UInt8(seen + 1)
    }
  }
}
