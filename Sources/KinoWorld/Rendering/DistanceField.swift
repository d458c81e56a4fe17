/// A solid as the signed distance to its surface: negative inside, never larger than the true
/// distance.
///
/// One description serves rays, soft shadows, contact darkening, normals and the inside of glass.
protocol DistanceField {
  func distance(_ p: Vector) -> Float
}

struct BallField: DistanceField {
  @inline(__always)
  func distance(_ p: Vector) -> Float { dot(p, p).squareRoot() - 0.5 }
}

struct BoxField: DistanceField {
  var half: Vector
  var rounding: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let q = pointwiseMax(p, -p) - (half - rounding)
    let outside = pointwiseMax(q, Vector())
    return dot(outside, outside).squareRoot() + min(max(q.x, max(q.y, q.z)), 0) - rounding
  }
}

/// A drum of the given radius along `y`, with a rounded rim.
struct DrumField: DistanceField {
  var radius: Float
  var half: Float
  var rounding: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let x = (p.x * p.x + p.z * p.z).squareRoot() - (radius - rounding)
    let y = abs(p.y) - (half - rounding)
    let (ox, oy) = (max(x, 0), max(y, 0))
    return (ox * ox + oy * oy).squareRoot() + min(max(x, y), 0) - rounding
  }
}

struct ConeField: DistanceField {
  var radius: Float
  var half: Float
  var rounding: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    // A triangle in the plane (distance from the axis, height), shrunk by the rounding.
    let r = radius - 1.6 * rounding
    let (bottom, top) = (rounding - half, half - 2 * rounding)
    let x = (p.x * p.x + p.z * p.z).squareRoot()
    let y = p.y
    let (ex, ey) = (-r, top - bottom)
    let (wx, wy) = (x - r, y - bottom)
    let along = clamp01((wx * ex + wy * ey) / (ex * ex + ey * ey))
    let (sx, sy) = (wx - ex * along, wy - ey * along)
    let (bx, by) = (x - min(x, r), y - bottom)
    let squared = min(sx * sx + sy * sy, bx * bx + by * by)
    let inside = wx * ey - wy * ex < 0 && y > bottom
    return (inside ? -1 : 1) * squared.squareRoot() - rounding
  }
}

/// A ring around the `z` axis.
struct RingField: DistanceField {
  var radius: Float
  var tube: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let x = (p.x * p.x + p.y * p.y).squareRoot() - radius
    return (x * x + p.z * p.z).squareRoot() - tube
  }
}

struct PyramidField: DistanceField {
  var halfBase: Float
  var half: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let q = pointwiseMax(p, -p)
    let slope = 2 * half
    let scale = 1 / (slope * slope + halfBase * halfBase).squareRoot()
    let rise = (p.y - half) * halfBase
    let sides = softMax((q.x * slope + rise) * scale, (q.z * slope + rise) * scale, 0.03)
    return softMax(sides, -p.y - half, 0.03)
  }
}

/// A pill along `x`.
struct PillField: DistanceField {
  var half: Float
  var radius: Float

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let x = max(abs(p.x) - (half - radius), 0)
    return (x * x + p.y * p.y + p.z * p.z).squareRoot() - radius
  }
}

struct OctahedronField: DistanceField {
  var half: Vector

  @inline(__always)
  func distance(_ p: Vector) -> Float {
    let q = pointwiseMax(p, -p)
    let inverse = Vector(repeating: 1) / half
    return (dot(q, inverse) - 1) / dot(inverse, inverse).squareRoot() - 0.004
  }
}

/// A coin standing on its edge, facing `z`.
struct CoinField: DistanceField {
  var drum: DrumField

  @inline(__always)
  func distance(_ p: Vector) -> Float { drum.distance(Vector(p.x, p.z, p.y)) }
}

/// The larger of two, with the crease rounded over a width of about `k`.
@inline(__always)
func softMax(_ a: Float, _ b: Float, _ k: Float) -> Float {
  let h = max(k - abs(a - b), 0) / k
  return max(a, b) + h * h * k * 0.25
}

extension DistanceField {
  /// Follows a ray to the surface; returns the distance along it, or -1 for a miss.
  @inline(__always)
  func march(_ o: Vector, _ d: Vector, from start: Float, to end: Float, tolerance: Float) -> Float
  {
    var t = start
    for _ in 0..<48 {
      let gap = distance(o + d * t)
      if gap < tolerance { return t }
      t += gap
      if t > end { return -1 }
    }
    return distance(o + d * t) < 4 * tolerance ? t : -1
  }

  /// Follows a ray from inside to where it leaves.
  @inline(__always)
  func marchOut(_ o: Vector, _ d: Vector, to end: Float) -> Float {
    var t: Float = 0.02
    for _ in 0..<32 {
      let gap = -distance(o + d * t)
      if gap < 0.0015 || t > end { break }
      t += gap
    }
    return t
  }

  /// Share of a light of the given angular width that passes the solid, 0...1.
  @inline(__always)
  func light(_ o: Vector, _ d: Vector, from start: Float, to end: Float, width: Float) -> Float {
    var t = start
    var share: Float = 1
    for _ in 0..<28 {
      let gap = distance(o + d * t)
      share = min(share, 0.5 + 0.5 * gap / (width * t))
      if share < 0 || t > end { break }
      t += max(abs(gap) * 0.9, 0.012)
    }
    let s = clamp01(share)
    return s * s * (3 - 2 * s)
  }

  @inline(__always)
  func normal(_ p: Vector) -> Vector {
    let e: Float = 0.004
    let a = Vector(1, -1, -1)
    let b = Vector(-1, -1, 1)
    let c = Vector(-1, 1, -1)
    let d = Vector(1, 1, 1)
    let (va, vb) = (distance(p + a * e), distance(p + b * e))
    let (vc, vd) = (distance(p + c * e), distance(p + d * e))
    return normalize(a * va + b * vb + c * vc + d * vd)
  }
}
