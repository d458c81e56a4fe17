extension Scene {
  /// Whether a clip of the scene shows every object: at half of its moments or more, each covers a hundredth of a
  /// square picture.
  ///
  /// What is hidden, far off or outside the picture can be shown by no clip, nor be read from one.
  ///
  /// - Parameter seconds: The clip's length, from its first frame to its last, above 0.
  /// - Returns: Whether all are shown.
  package func showsAllObjects(seconds: Double) -> Bool {
    let (moments, side, least) = (9, 32, 10)
    let renderer = SceneRenderer(width: 128, height: 128)
    var counts = [Int](repeating: 0, count: objects.count)
    for moment in 0..<moments {
      let time = seconds * Double(moment) / Double(moments - 1)
      let map = renderer.objectMap(self, time: time, columns: side, rows: side)
      for index in objects.indices where map.count(where: { $0 == index + 1 }) >= least {
        counts[index] += 1
      }
    }
    return counts.allSatisfy { 2 * $0 >= moments }
  }
}
