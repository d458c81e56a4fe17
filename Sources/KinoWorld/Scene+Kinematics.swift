import Foundation

/// Where an object is and how it is turned. `axes` are the object's own axes in the world.
struct Pose: Sendable {
  var position: SIMD3<Float>
  var axes: Rotation
}

/// Three orthogonal unit vectors: the images of `x`, `y` and `z`.
struct Rotation: Sendable {
  var x = SIMD3<Float>(1, 0, 0)
  var y = SIMD3<Float>(0, 1, 0)
  var z = SIMD3<Float>(0, 0, 1)

  static func around(_ axis: SIMD3<Float>, _ angle: Float) -> Rotation {
    let (s, c) = (sin(angle), cos(angle))
    func turned(_ v: SIMD3<Float>) -> SIMD3<Float> {
      v * c + cross(axis, v) * s + axis * (dot(axis, v) * (1 - c))
    }
    return Rotation(
      x: turned(SIMD3(1, 0, 0)), y: turned(SIMD3(0, 1, 0)), z: turned(SIMD3(0, 0, 1)))
  }

  static func yaw(_ angle: Float) -> Rotation { around(SIMD3(0, 1, 0), angle) }

  func callAsFunction(_ v: SIMD3<Float>) -> SIMD3<Float> { x * v.x + y * v.y + z * v.z }

  static func * (a: Rotation, b: Rotation) -> Rotation { Rotation(x: a(b.x), y: a(b.y), z: a(b.z)) }
}

extension Scene {
  /// Acceleration of falling objects in metres per second squared.
  public static let gravity: Float = 9.8

  /// Tells where an object is at a time.
  ///
  /// - Parameters:
  ///   - index: Which object, in `0..<objects.count`.
  ///   - time: Seconds since the action started; earlier times count as 0.
  /// - Returns: The object's centre, in metres.
  public func position(of index: Int, at time: Double) -> SIMD3<Float> {
    pose(of: index, at: Float(time)).position
  }

  /// Returns where an object is and how it is turned.
  func pose(of index: Int, at time: Float) -> Pose {
    let object = objects[index]
    let motion = object.motion
    let t = max(0, time)
    let rest = object.restHeight
    let upright = SIMD3(object.anchor.x, rest, object.anchor.y)
    switch motion.kind {
    case .still:
      if let striker = objects.firstIndex(where: {
        $0.motion.kind == .collide && $0.partner == index
      }) {
        return collisionPose(of: index, striker: striker, time: t)
      }
      return Pose(position: upright, axes: object.restingAxes)
    case .spin:
      return Pose(position: upright, axes: .yaw(motion.speed * t) * object.restingAxes)
    case .fall, .bounce, .jump:
      let lift = SIMD3(0, motion.lift(at: t), 0)
      guard motion.direction != nil else {
        return Pose(position: upright + lift, axes: object.restingAxes)
      }
      let offset = motion.offset(at: t)
      return Pose(
        position: upright + lift + motion.heading * offset, axes: object.travelAxes(offset: offset))
    case .roll, .slide, .passBehind:
      let offset = motion.offset(at: t)
      return Pose(
        position: upright + motion.heading * offset, axes: object.travelAxes(offset: offset))
    case .circle:
      return circlePose(of: object, time: t)
    case .collide:
      return collisionPose(of: index, striker: index, time: t)
    }
  }

  private func circlePose(of object: Object, time t: Float) -> Pose {
    let motion = object.motion
    let angle = object.yaw + motion.speed * t
    let offset = SIMD3(cos(angle), 0, -sin(angle)) * motion.extent
    let position = SIMD3(object.anchor.x, object.restHeight, object.anchor.y) + offset
    // The object's x axis follows the path; what can roll turns around its z axis, which points
    // outward.
    var axes = Rotation.yaw(angle + .pi / 2)
    if object.rolls {
      let turns = motion.extent * motion.speed * t / object.rollingRadius
      axes = axes * Rotation.around(SIMD3(0, 0, 1), -turns) * object.tilt
    }
    return Pose(position: position, axes: axes)
  }

  private func collisionPose(of index: Int, striker: Int, time t: Float) -> Pose {
    let object = objects[index]
    let heading = objects[striker].motion.heading
    let offset = collision(striker: striker).offset(ofStriker: index == striker, at: t)
    let position = SIMD3(object.anchor.x, object.restHeight, object.anchor.y) + heading * offset
    guard object.shape == .sphere else { return Pose(position: position, axes: object.restingAxes) }
    let axis = cross(SIMD3(0, 1, 0), heading)
    return Pose(
      position: position, axes: .around(axis, offset / object.rollingRadius) * object.restingAxes)
  }

  /// Solves the hit between a striker and its partner along the striker's heading.
  func collision(striker: Int) -> Collision {
    let first = objects[striker]
    guard let partner = first.partner, objects.indices.contains(partner) else {
      return Collision(approach: .infinity, speed: first.motion.speed, masses: (1, 1))
    }
    let second = objects[partner]
    let gap = abs(second.anchor.x - first.anchor.x) - Scene.contactDistance(first, second)
    return Collision(
      approach: max(0, gap), speed: first.motion.speed, masses: (first.mass, second.mass))
  }

  /// Distance between the centres of two objects that touch side by side, along the ground.
  static func contactDistance(_ a: Object, _ b: Object) -> Float {
    if a.shape == .sphere && b.shape == .sphere { return 2 * (a.reach * b.reach).squareRoot() }
    return a.reach + b.reach
  }
}

/// A hit along a line: the striker arrives at constant speed, then both slow down through friction.
struct Collision {
  /// Time of the hit.
  var hit: Float
  var approach: Float
  var speed: Float
  /// Speeds just after the hit.
  var after: (striker: Float, struck: Float)
  var friction: Float

  static let restitution: Float = 0.9
  /// How far the faster object goes on after the hit.
  static let run: Float = 1.15

  init(approach: Float, speed: Float, masses: (Float, Float)) {
    self.approach = approach
    self.speed = speed
    hit = approach / max(speed, 1e-3)
    let total = masses.0 + masses.1
    let common = masses.0 / total * speed
    let kick = Collision.restitution * speed / total
    after = (common - masses.1 * kick, common + masses.0 * kick)
    let fastest = max(abs(after.striker), abs(after.struck))
    friction = max(0.1, fastest * fastest / (2 * Collision.run))
  }

  func offset(ofStriker isStriker: Bool, at t: Float) -> Float {
    if t < hit { return isStriker ? speed * t : 0 }
    let v = isStriker ? after.striker : after.struck
    let elapsed = min(t - hit, abs(v) / friction)
    let slid = v * elapsed - (v < 0 ? -1 : 1) * friction * elapsed * elapsed / 2
    return (isStriker ? approach : 0) + slid
  }

  /// Where each object ends up, and the extremes in between.
  func reach(ofStriker isStriker: Bool) -> ClosedRange<Float> {
    let end = offset(ofStriker: isStriker, at: hit + 100)
    let middle = isStriker ? approach : 0
    return min(0, end)...max(middle, end)
  }
}

extension Scene.Motion {
  /// The unit vector along which the object travels.
  var heading: SIMD3<Float> {
    switch direction {
    case .left: SIMD3(-1, 0, 0)
    case .right, nil: SIMD3(1, 0, 0)
    case .toward: SIMD3(0, 0, 1)
    case .away: SIMD3(0, 0, -1)
    }
  }

  /// Distance from the path's middle along the heading: a steady run, a soft turn, and back again.
  func offset(at t: Float) -> Float {
    // asin(k sin u) is a triangle wave with rounded corners.
    let k: Float = 0.985
    let top = asin(k)
    let rate = speed * top / (max(extent, 1e-3) * k)
    return extent * asin(k * sin(-1.27 + rate * t)) / top
  }

  /// Height above rest.
  func lift(at t: Float) -> Float {
    let g = Scene.gravity
    if kind == .jump {
      let speed = (2 * g * height).squareRoot()
      let flight = 2 * speed / g
      let phase = t.truncatingRemainder(dividingBy: flight + Scene.Motion.pause)
      return phase < flight ? max(0, phase * (speed - g * phase / 2)) : 0
    }
    let drop = (2 * height / g).squareRoot()
    if t < drop { return height - g * t * t / 2 }
    var rest = t - drop
    var speed = restitution * g * drop
    while speed > 0.12 {
      let flight = 2 * speed / g
      if rest < flight { return max(0, rest * (speed - g * rest / 2)) }
      rest -= flight
      speed *= restitution
    }
    return 0
  }

  /// Seconds on the ground between jumps.
  static let pause: Float = 0.22
}

extension Scene.Object {
  /// A ball's mark is tilted, so that any rotation shows.
  var tilt: Rotation {
    shape == .sphere ? .around(SIMD3(0, 0, 1), 0.6) * .around(SIMD3(1, 0, 0), 0.5) : Rotation()
  }

  var restingAxes: Rotation { .yaw(yaw) * tilt }

  /// How the object is turned after travelling `offset` from the middle of its path.
  func travelAxes(offset: Float) -> Rotation {
    guard rolls else { return restingAxes }
    let heading = motion.heading
    let axis = cross(SIMD3(0, 1, 0), heading)
    let turn = Rotation.around(axis, offset / rollingRadius)
    switch shape {
    case .cylinder:
      // The axis lies across the path.
      return turn
        * (abs(axis.z) > 0.5 ? .around(SIMD3(1, 0, 0), .pi / 2) : .around(SIMD3(0, 0, 1), .pi / 2))
    case .capsule:
      return turn * (abs(axis.z) > 0.5 ? .yaw(.pi / 2) : Rotation())
    case .torus, .disc:
      return turn * (abs(axis.z) > 0.5 ? Rotation() : .yaw(.pi / 2))
    default:
      return turn * restingAxes
    }
  }
}

@inline(__always)
func dot(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> Float { a.x * b.x + a.y * b.y + a.z * b.z }

@inline(__always)
func cross(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> SIMD3<Float> {
  SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

@inline(__always)
func length(_ a: SIMD3<Float>) -> Float { dot(a, a).squareRoot() }

@inline(__always)
func normalize(_ a: SIMD3<Float>) -> SIMD3<Float> { a * (1 / max(length(a), 1e-12)) }
