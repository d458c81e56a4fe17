/// A shape's measurements at medium size, in metres, centred on the origin of object space.
///
/// Round shapes have their axis along `y`, except ring and disc (along `z`, facing the camera) and
/// capsule (along `x`, lying).
struct Dimensions: Sendable {
  /// Half extents along the object's own axes.
  var half: SIMD3<Float>
  /// Radius of the sphere around everything.
  var bound: Float

  init(_ shape: Scene.Shape) {
    switch shape {
    case .sphere: (half, bound) = (SIMD3(0.5, 0.5, 0.5), 0.5)
    case .cube: (half, bound) = (SIMD3(0.42, 0.42, 0.42), 0.72)
    case .cylinder: (half, bound) = (SIMD3(0.4, 0.5, 0.4), 0.645)
    case .cone: (half, bound) = (SIMD3(0.52, 0.54, 0.52), 0.755)
    case .torus: (half, bound) = (SIMD3(0.55, 0.55, 0.15), 0.555)
    case .pyramid: (half, bound) = (SIMD3(0.52, 0.5, 0.52), 0.9)
    case .capsule: (half, bound) = (SIMD3(0.68, 0.32, 0.32), 0.685)
    case .octahedron: (half, bound) = (SIMD3(0.58, 0.62, 0.58), 0.625)
    case .disc: (half, bound) = (SIMD3(0.52, 0.52, 0.11), 0.54)
    case .brick: (half, bound) = (SIMD3(0.64, 0.32, 0.34), 0.8)
    }
  }
}

extension Scene.Object {
  var scale: Float { size.scale }

  /// Tells whether the object turns as it travels, as a wheel or a ball does.
  var rolls: Bool {
    switch motion.kind {
    case .roll: shape.canRoll
    case .circle: shape == .sphere || shape == .torus || shape == .disc
    case .bounce, .collide, .passBehind, .still: shape == .sphere
    case .slide, .spin, .fall, .jump: false
    }
  }

  /// The radius at which the object rolls, at its size.
  var rollingRadius: Float {
    let half = Dimensions(shape).half * scale
    return shape == .cylinder ? half.x : half.y
  }

  /// Height of the object's centre above the ground at rest.
  var restHeight: Float {
    let half = Dimensions(shape).half * scale
    return shape == .cylinder && motion.kind == .roll ? half.x : half.y
  }

  /// Radius of the vertical tube in which the object stays whatever its turn.
  var footprint: Float {
    let half = Dimensions(shape).half * scale
    switch shape {
    case .sphere: return half.x
    case .cylinder:
      return motion.kind == .roll ? (half.x * half.x + half.y * half.y).squareRoot() : half.x
    case .cone: return half.x
    case .torus, .disc, .octahedron: return half.x
    case .capsule: return half.x
    case .cube, .pyramid, .brick: return (half.x * half.x + half.z * half.z).squareRoot()
    }
  }

  /// How far the object reaches along `x` from its centre while colliding (its yaw is then 0).
  var reach: Float { Dimensions(shape).half.x * scale }

  /// Proportional to the object's volume.
  var mass: Float { scale * scale * scale }
}
