import Foundation

/// What a scene must show; everything left open is drawn. Both random scenes and prompts become
/// drafts first, so that both get the same placement and framing.
struct SceneDraft {
  struct Object {
    var shape: Scene.Shape
    var colour: Scene.Colour
    var finish: Scene.Finish
    var size: Scene.Size
    var kind: Scene.MotionKind
    var direction: Scene.Direction?
    var partner: Int?
  }

  struct Constraint: Hashable, Sendable {
    var first: Int
    var relation: Scene.Relation
    var second: Int
  }

  var objects: [Object]
  var wallColour: Scene.Colour?
  var ground: Scene.Ground
  var sky: Scene.Sky
  var camera: Scene.CameraMotion
  var constraints: [Constraint] = []

  /// Gives every object its place and quantities, and frames the whole.
  func scene(using random: inout WorldRandom) -> Scene {
    var scene = Scene(
      objects: objects.map { object(from: $0, using: &random) }, wall: nil, ground: ground,
      sky: sky,
      camera: Scene.Camera(
        motion: camera, target: SIMD3(), distance: 5, azimuth: random.uniform(-0.2, 0.2),
        elevation: random.uniform(0.09, 0.22), panAngle: objects.count == 1 ? 0.15 : 0.11),
      sunAzimuth: (random.chance(0.5) ? 1 : -1) * random.uniform(0.5, 1.25),
      sunElevation: random.uniform(0.6, 0.95), textureSeed: random.next())
    switch sky {
    case .sunset: scene.sunElevation = random.uniform(0.3, 0.42)
    case .overcast: scene.sunElevation = random.uniform(1.0, 1.3)
    case .day, .night: break
    }
    // A can or a pill that rolls across is seen from its end; look at it from the side.
    let isSeenEndOn = scene.objects.contains {
      $0.motion.kind == .roll && ($0.shape == .cylinder || $0.shape == .capsule)
        && ($0.motion.direction == .left || $0.motion.direction == .right)
    }
    if isSeenEndOn { scene.camera.azimuth = scene.camera.azimuth < 0 ? -0.5 : 0.5 }
    place(&scene, using: &random)
    scene.frame()
    return scene
  }

  private func object(from draft: Object, using random: inout WorldRandom) -> Scene.Object {
    var object = Scene.Object(
      shape: draft.shape, colour: draft.colour, finish: draft.finish, size: draft.size,
      motion: Scene.Motion(draft.kind, draft.direction), anchor: SIMD2(), yaw: 0,
      partner: draft.partner)
    switch draft.shape {
    case .torus, .disc, .capsule, .brick: object.yaw = random.uniform(-0.65, 0.65)
    case .cube, .pyramid, .octahedron: object.yaw = random.uniform(0.25, 1.3)
    case .sphere, .cylinder, .cone: object.yaw = random.uniform(-0.5, 0.5)
    }
    object.motion = motion(for: object, using: &random)
    if draft.kind == .collide { object.yaw = 0 }
    return object
  }

  private func motion(for object: Scene.Object, using random: inout WorldRandom) -> Scene.Motion {
    let kind = object.motion.kind
    var direction = object.motion.direction
    if direction == nil && kind.needsDirection {
      direction = random.chance(0.5) ? .left : .right
    }
    if let named = direction, !kind.directions.contains(named) { direction = nil }
    var motion = Scene.Motion(kind, direction)
    switch kind {
    case .still: break
    case .bounce:
      motion.height = random.uniform(1.1, 1.6)
      motion.restitution = random.uniform(0.74, 0.84)
      if direction != nil { (motion.speed, motion.extent) = (random.uniform(1.05, 1.3), 1.15) }
    case .fall:
      motion.height = random.uniform(1.5, 2.0)
      motion.restitution = random.uniform(0.15, 0.28)
    case .jump: motion.height = random.uniform(0.7, 1.1)
    case .roll, .slide:
      motion.speed = random.uniform(1.15, 1.45)
      motion.extent = random.uniform(1.1, 1.3)
    case .passBehind:
      motion.speed = random.uniform(1.6, 1.9)
      motion.extent = 1.3 + object.footprint * 0.3
    case .spin: motion.speed = random.uniform(2.6, 4.2)
    case .circle:
      motion.speed = random.uniform(2.1, 2.7)
      motion.extent = 0.95
    case .collide: motion.speed = random.uniform(2.0, 2.5)
    }
    return motion
  }
}
