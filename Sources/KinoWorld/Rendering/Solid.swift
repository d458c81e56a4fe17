/// One thing in a frame: its place, shape and surface, ready for rays.
struct Solid {
  var kind: Kind
  var center: Vector
  var axes: Rotation
  /// Object units to metres and back.
  var scale: Float
  var inverseScale: Float
  /// Radius of the sphere around it, in metres.
  var bound: Float
  /// Half extents in object units; only boxes and drums read it.
  var half: Vector
  var albedo: Vector
  /// Colour of the mark that makes rotation visible.
  var mark: Vector
  var finish: Scene.Finish

  enum Kind: UInt8 {
    case ball, box, drum, cone, ring, pyramid, pill, octahedron, coin
  }

  /// Tells whether a point of the surface can be shadowed by the same solid on its lit side.
  @inline(__always)
  var shadowsItself: Bool { kind == .ring }

  @inline(__always)
  func toLocal(_ v: Vector) -> Vector { Vector(dot(v, axes.x), dot(v, axes.y), dot(v, axes.z)) }

  @inline(__always)
  private func with<Result>(
    ball: (BallField) -> Result, box: (BoxField) -> Result, drum: (DrumField) -> Result,
    cone: (ConeField) -> Result, ring: (RingField) -> Result, pyramid: (PyramidField) -> Result,
    pill: (PillField) -> Result, octahedron: (OctahedronField) -> Result,
    coin: (CoinField) -> Result
  ) -> Result {
    switch kind {
    case .ball: ball(BallField())
    case .box: box(BoxField(half: half, rounding: 0.035))
    case .drum: drum(DrumField(radius: half.x, half: half.y, rounding: 0.03))
    case .cone: cone(ConeField(radius: half.x, half: half.y, rounding: 0.03))
    case .ring: ring(RingField(radius: half.x - half.z, tube: half.z))
    case .pyramid: pyramid(PyramidField(halfBase: half.x, half: half.y))
    case .pill: pill(PillField(half: half.x, radius: half.y))
    case .octahedron: octahedron(OctahedronField(half: half))
    case .coin: coin(CoinField(drum: DrumField(radius: half.x, half: half.z, rounding: 0.03)))
    }
  }

  /// Distance in metres along a ray to the surface, or -1.
  func hit(_ origin: Vector, _ direction: Vector, farthest: Float, pixel: Float) -> Float {
    let toCenter = center - origin
    let along = dot(toCenter, direction)
    let squared = dot(toCenter, toCenter) - along * along
    let room = bound * bound - squared
    if room < 0 { return -1 }
    let chord = room.squareRoot()
    let (enter, leave) = (max(along - chord, 1e-3), along + chord)
    if leave < 0 || enter > farthest { return -1 }
    if kind == .ball { return along - chord > 1e-3 ? along - chord : -1 }
    let o = toLocal(origin - center) * inverseScale
    let d = toLocal(direction)
    let (from, to) = (enter * inverseScale, leave * inverseScale)
    let tolerance = max(0.0006, 0.2 * pixel * enter * inverseScale)
    let t = with(
      ball: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      box: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      drum: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      cone: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      ring: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      pyramid: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      pill: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      octahedron: { $0.march(o, d, from: from, to: to, tolerance: tolerance) },
      coin: { $0.march(o, d, from: from, to: to, tolerance: tolerance) })
    return t < 0 ? -1 : t * scale
  }

  /// Share of the sun that passes this solid on its way to a point.
  func light(at point: Vector, toward sun: Vector, width: Float, isOwn: Bool) -> Float {
    let toCenter = center - point
    let along = dot(toCenter, sun)
    if along < -bound { return 1 }
    let reach = bound + max(along, 0) * width
    let squared = dot(toCenter, toCenter) - along * along
    if squared > reach * reach { return 1 }
    let chord = (reach * reach - squared).squareRoot()
    let from = max(along - chord, isOwn ? 0.06 * scale : 0.012) * inverseScale
    let to = (along + chord) * inverseScale
    if to < from { return 1 }
    let o = toLocal(point - center) * inverseScale
    let d = toLocal(sun)
    return with(
      ball: { $0.light(o, d, from: from, to: to, width: width) },
      box: { $0.light(o, d, from: from, to: to, width: width) },
      drum: { $0.light(o, d, from: from, to: to, width: width) },
      cone: { $0.light(o, d, from: from, to: to, width: width) },
      ring: { $0.light(o, d, from: from, to: to, width: width) },
      pyramid: { $0.light(o, d, from: from, to: to, width: width) },
      pill: { $0.light(o, d, from: from, to: to, width: width) },
      octahedron: { $0.light(o, d, from: from, to: to, width: width) },
      coin: { $0.light(o, d, from: from, to: to, width: width) })
  }

  /// Signed distance in metres from a world point.
  func distance(_ point: Vector) -> Float {
    let p = toLocal(point - center) * inverseScale
    return scale
      * with(
        ball: { $0.distance(p) }, box: { $0.distance(p) }, drum: { $0.distance(p) },
        cone: { $0.distance(p) }, ring: { $0.distance(p) }, pyramid: { $0.distance(p) },
        pill: { $0.distance(p) }, octahedron: { $0.distance(p) }, coin: { $0.distance(p) })
  }

  /// Outward normal in object space at a point of object space.
  func localNormal(_ p: Vector) -> Vector {
    with(
      ball: { _ in normalize(p) }, box: { $0.normal(p) }, drum: { $0.normal(p) },
      cone: { $0.normal(p) }, ring: { $0.normal(p) }, pyramid: { $0.normal(p) },
      pill: { $0.normal(p) }, octahedron: { $0.normal(p) }, coin: { $0.normal(p) })
  }

  /// Distance, in object units, from a point inside to the surface along a direction.
  func wayOut(_ o: Vector, _ d: Vector) -> Float {
    let end = 2 * bound * inverseScale
    return with(
      ball: { _ in -2 * dot(o, d) }, box: { $0.marchOut(o, d, to: end) },
      drum: { $0.marchOut(o, d, to: end) }, cone: { $0.marchOut(o, d, to: end) },
      ring: { $0.marchOut(o, d, to: end) }, pyramid: { $0.marchOut(o, d, to: end) },
      pill: { $0.marchOut(o, d, to: end) }, octahedron: { $0.marchOut(o, d, to: end) },
      coin: { $0.marchOut(o, d, to: end) })
  }

  /// How much of the mark's colour shows at a point of object space, 0...1; `width` is a pixel's
  /// size.
  @inline(__always)
  func markShare(_ p: Vector, width: Float) -> Float {
    let edge = max(width, 0.008)
    switch kind {
    case .ball:
      return 1 - smoothstep(-edge, edge, abs(p.x) - 0.11)
    case .drum, .cone:
      return (1 - smoothstep(-edge, edge, abs(p.x) - 0.1))
    case .ring, .coin:
      return 1 - smoothstep(-edge, edge, abs(p.x) - 0.09)
    case .pill:
      return 1 - smoothstep(-edge, edge, abs(p.y) - 0.08)
    case .box, .pyramid, .octahedron:
      return 0
    }
  }
}

extension Solid {
  init(_ object: Scene.Object, pose: Pose) {
    let dimensions = Dimensions(object.shape)
    let scale = object.scale
    kind =
      switch object.shape {
      case .sphere: .ball
      case .cube, .brick: .box
      case .cylinder: .drum
      case .cone: .cone
      case .torus: .ring
      case .pyramid: .pyramid
      case .capsule: .pill
      case .octahedron: .octahedron
      case .disc: .coin
      }
    center = pose.position
    axes = pose.axes
    self.scale = scale
    inverseScale = 1 / scale
    bound = dimensions.bound * scale
    half = dimensions.half
    finish = object.finish
    albedo = Palette.linear(object.colour, object.finish)
    mark = Palette.mark(on: albedo, object.finish)
  }

  init(_ wall: Scene.Wall) {
    kind = .box
    half = Vector(wall.width / 2, wall.height / 2, Scene.Wall.halfDepth)
    center = Vector(wall.anchor.x, half.y, wall.anchor.y)
    axes = Rotation()
    scale = 1
    inverseScale = 1
    bound = length(half)
    finish = .matte
    albedo = Palette.linear(wall.colour, .matte) * 0.9
    mark = albedo
  }
}

/// The colours' reflectances, linear light.
enum Palette {
  static func linear(_ colour: Scene.Colour, _ finish: Scene.Finish) -> Vector {
    let value: SIMD3<UInt8> =
      switch colour {
      case .red: SIMD3(222, 24, 28)
      case .green: SIMD3(26, 160, 46)
      case .blue: SIMD3(24, 70, 224)
      case .yellow: SIMD3(252, 214, 14)
      case .orange: SIMD3(250, 122, 8)
      case .purple: SIMD3(126, 36, 190)
      case .pink: SIMD3(252, 122, 178)
      case .cyan: SIMD3(16, 200, 210)
      case .white: SIMD3(240, 240, 238)
      case .black: SIMD3(26, 26, 30)
      case .brown: SIMD3(118, 66, 30)
      case .gray: SIMD3(132, 134, 138)
      case .gold: SIMD3(255, 196, 64)
      case .silver: SIMD3(226, 228, 232)
      }
    return Vector(decoded(value.x), decoded(value.y), decoded(value.z))
  }

  /// A lighter tone of a colour; a darker one where the colour is light already, and on metal.
  static func mark(on albedo: Vector, _ finish: Scene.Finish) -> Vector {
    let brightness = dot(albedo, Vector(0.3, 0.6, 0.1))
    return brightness > 0.6 || finish == .metal && brightness > 0.08
      ? albedo * 0.42 : mix(albedo, Vector(0.95, 0.93, 0.9), 0.62)
  }

  private static func decoded(_ byte: UInt8) -> Float {
    let c = Float(byte) / 255
    return c <= 0.04045 ? c / 12.92 : powf((c + 0.055) / 1.055)
  }

  /// `c` to the power 2.4, without a library call whose last bit may vary.
  private static func powf(_ c: Float) -> Float {
    // c^2.4 = c^2 * c^0.4, and c^0.4 is the fifth root of c^2.
    let squared = c * c
    var root: Float = 0.8
    for _ in 0..<12 { root = (4 * root + squared / (root * root * root * root)) / 5 }
    return squared * root
  }
}
