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
  static let dollyRatio: Float = 1.5

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
        base + motion.heading
          * (range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / 16)
      }
    }
    switch motion.kind {
    case .still:
      guard
        let striker = objects.firstIndex(where: {
          $0.motion.kind == .collide && $0.partner == index
        })
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

  /// Points the camera at the middle of the action and steps back until all of it is in the
  /// picture.
  mutating func frame() {
    var low = SIMD3<Float>(repeating: .infinity)
    var high = SIMD3<Float>(repeating: -.infinity)
    var points: [(SIMD3<Float>, Float)] = []
    let radii = objects.map { Dimensions($0.shape).bound * $0.scale * 0.9 }
    for index in objects.indices {
      let radius = radii[index]
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
    let moments = framingMoments(paths: points, radii: radii)
    let farthest: Float = objects.count < 3 ? 7.4 : 9
    while camera.distance < farthest,
      !moments.allSatisfy({ fits($0.points, at: $0.time) })
    {
      camera.distance *= 1.04
    }
  }

  private typealias Moment = (time: Float, points: [(SIMD3<Float>, Float)])

  /// Times at which the picture must hold these points.
  ///
  /// A camera that travels once need not see at its start what happens at its end.
  private func framingMoments(paths: [(SIMD3<Float>, Float)], radii: [Float]) -> [Moment] {
    switch camera.motion {
    case .still, .shake:
      return [(0, paths)]
    case .orbit:
      return (0..<12).map { step -> Moment in
        (Float(step) * 2 * .pi / 12 / Scene.Camera.orbitSpeed, paths)
      }
    case .dollyIn, .dollyOut, .panLeft, .panRight, .rise:
      return (0...8).map { step -> Moment in
        let time = Float(step) * Scene.Camera.travelTime / 8
        return (time, objects.indices.map { (pose(of: $0, at: time).position, radii[$0]) })
      }
    }
  }

  private func fits(_ points: [(SIMD3<Float>, Float)], at time: Float) -> Bool {
    let margin: Float = camera.motion == .shake ? 0.9 : 0.97
    let limit = Scene.Camera.halfHeight * margin
    let view = camera.viewpoint(at: time)
    return points.allSatisfy { point, radius in
      let d = point - view.origin
      let depth = dot(d, view.forward)
      // Almost all of the bounding sphere must be inside; corners of boxes rarely reach it.
      let reach = radius * 0.9
      return depth > radius * 1.5 && abs(dot(d, view.right)) + reach < depth * limit
        && abs(dot(d, view.up)) + reach < depth * limit
    }
  }
}
