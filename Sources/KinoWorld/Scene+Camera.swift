import Foundation

/// A camera at one moment: where it is and its picture plane's axes.
struct Viewpoint: Sendable {
  var origin: SIMD3<Float>
  var right: SIMD3<Float>
  var up: SIMD3<Float>
  var forward: SIMD3<Float>
}

extension Scene.Camera {
  /// Tangent of half the vertical angle of view in square and landscape pictures.
  static let halfHeight: Float = 0.344
  /// Seconds that a dolly, pan or rise takes; then the camera rests.
  static let travelTime: Float = 2.6
  /// Radians per second of an orbit.
  static let orbitSpeed: Float = 0.4
  /// How much farther away a dolly's far end is than its near end.
  static let dollyRatio: Float = 1.6

  /// Share of the move done at a time: steady from the start, softly stopping at 1.
  static func progress(_ t: Float) -> Float {
    let stop: Float = 0.6
    let speed = 1 / (travelTime - stop / 2)
    if t < travelTime - stop { return speed * t }
    let left = max(0, travelTime - t)
    return 1 - speed * left * left / (2 * stop)
  }

  /// Returns the camera at a time in seconds.
  func viewpoint(at time: Float) -> Viewpoint {
    let t = max(0, time)
    let p = Scene.Camera.progress(t)
    var (azimuth, elevation, distance) = (azimuth, elevation, distance)
    var (yaw, pitch): (Float, Float) = (0, 0)
    switch motion {
    case .still: break
    case .orbit: azimuth += Scene.Camera.orbitSpeed * t
    case .dollyIn: distance *= pow(Scene.Camera.dollyRatio, 1 - p)
    case .dollyOut: distance *= pow(Scene.Camera.dollyRatio, p)
    case .panLeft: yaw = panAngle * (2 * p - 1)
    case .panRight: yaw = panAngle * (1 - 2 * p)
    case .rise: elevation = 0.03 + 0.62 * p
    case .shake:
      yaw = 0.012 * sin(13.1 * t) + 0.010 * sin(21.7 * t + 1)
      pitch = 0.011 * sin(15.3 * t + 2) + 0.009 * sin(24.1 * t)
    }
    let away = SIMD3(sin(azimuth) * cos(elevation), sin(elevation), cos(azimuth) * cos(elevation))
    var origin = target + away * distance
    origin.y = max(origin.y, 0.3)
    var forward = normalize(target - origin)
    forward = Rotation.yaw(yaw)(forward)
    let right = normalize(cross(forward, SIMD3(0, 1, 0)))
    forward = Rotation.around(right, pitch)(forward)
    return Viewpoint(origin: origin, right: right, up: cross(right, forward), forward: forward)
  }

  /// Tangents of half the angles of view. Portrait pictures keep the square picture's width.
  static func halfAngles(width: Int, height: Int) -> SIMD2<Float> {
    let aspect = Float(width) / Float(height)
    return aspect >= 1
      ? SIMD2(halfHeight * aspect, halfHeight) : SIMD2(halfHeight, halfHeight / aspect)
  }
}

extension Scene {
  /// Points along each object's whole path with the object's radius, for framing and spacing.
  func pathPoints(of index: Int) -> [SIMD3<Float>] {
    let object = objects[index]
    let motion = object.motion
    let base = SIMD3(object.anchor.x, object.restHeight, object.anchor.y)
    func line(_ range: ClosedRange<Float>) -> [SIMD3<Float>] {
      (0...16).map {
        base + motion.heading * (range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / 16)
      }
    }
    switch motion.kind {
    case .still:
      guard let striker = objects.firstIndex(where: { $0.motion.kind == .collide && $0.partner == index })
      else { return [base] }
      let range = collision(striker: striker).reach(ofStriker: false)
      let heading = objects[striker].motion.heading
      return (0...8).map { base + heading * (range.upperBound * Float($0) / 8) }
    case .spin: return [base]
    case .fall, .jump: return [base, base + SIMD3(0, motion.height, 0)]
    case .bounce:
      guard motion.direction != nil else { return [base, base + SIMD3(0, motion.height, 0)] }
      return line(-motion.extent...motion.extent).flatMap { [$0, $0 + SIMD3(0, motion.height, 0)] }
    case .roll, .slide, .passBehind: return line(-motion.extent...motion.extent)
    case .circle:
      return (0..<24).map {
        let angle = Float($0) * .pi / 12
        return base + SIMD3(cos(angle), 0, -sin(angle)) * motion.extent
      }
    case .collide: return line(collision(striker: index).reach(ofStriker: true))
    }
  }

  /// Points the camera at the middle of the action and steps back until all of it is in the picture.
  mutating func frame() {
    var low = SIMD3<Float>(repeating: .infinity)
    var high = SIMD3<Float>(repeating: -.infinity)
    var points: [(SIMD3<Float>, Float)] = []
    for index in objects.indices {
      let radius = Dimensions(objects[index].shape).bound * objects[index].scale * 0.9
      for point in pathPoints(of: index) {
        points.append((point, radius))
        low = pointwiseMin(low, point - radius)
        high = pointwiseMax(high, point + radius)
      }
    }
    if let wall {
      for side in [-0.5, 0.5] as [Float] {
        let corner = SIMD3(wall.anchor.x + side * wall.width, wall.height, wall.anchor.y)
        points.append((corner, 0.05))
        high = pointwiseMax(high, corner)
      }
    }
    let middle = (low + high) / 2
    camera.target = SIMD3(middle.x, max(0.55, min(middle.y, 1.1)), middle.z)
    camera.distance = 4.2
    for _ in 0..<60 where !fits(points) { camera.distance *= 1.04 }
  }

  private func fits(_ points: [(SIMD3<Float>, Float)]) -> Bool {
    let times: [Float] =
      switch camera.motion {
      case .still, .shake: [0]
      case .orbit: (0..<12).map { Float($0) * 2 * .pi / 12 / Scene.Camera.orbitSpeed }
      default: [0, 0.9, 1.8, Scene.Camera.travelTime]
      }
    let margin: Float = camera.motion == .shake ? 0.9 : 0.96
    let limit = Scene.Camera.halfHeight * margin
    for time in times {
      let view = camera.viewpoint(at: time)
      for (point, radius) in points {
        let d = point - view.origin
        let depth = dot(d, view.forward)
        guard depth > radius * 1.5 else { return false }
        // Almost all of the bounding sphere must be inside; corners of boxes rarely reach it.
        let reach = radius * 0.92
        if abs(dot(d, view.right)) + reach > depth * limit { return false }
        if abs(dot(d, view.up)) + reach > depth * limit { return false }
      }
    }
    return true
  }
}
