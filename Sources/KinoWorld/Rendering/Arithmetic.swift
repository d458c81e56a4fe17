// Arithmetic for inner loops: no library calls, no overflow checks, the same on every platform.

typealias Vector = SIMD3<Float>

@inline(__always)
func floorFast(_ x: Float) -> Float {
  // Adding 1.5 * 2^23 leaves no room for a fraction; valid for magnitudes below 2^22.
  let rounded = (x + 12_582_912) - 12_582_912
  return rounded > x ? rounded - 1 : rounded
}

@inline(__always)
func fraction(_ x: Float) -> Float { x - floorFast(x) }

/// The low bits of an integral number of magnitude below 2^22.
@inline(__always)
func integerBits(_ x: Float) -> UInt32 { (x + 12_582_912).bitPattern & 0x7F_FFFF }

@inline(__always)
func clamp01(_ x: Float) -> Float { max(0, min(1, x)) }

@inline(__always)
func mix(_ a: Float, _ b: Float, _ t: Float) -> Float { a + (b - a) * t }

@inline(__always)
func mix(_ a: Vector, _ b: Vector, _ t: Float) -> Vector { a + (b - a) * t }

@inline(__always)
func smoothstep(_ low: Float, _ high: Float, _ x: Float) -> Float {
  let t = clamp01((x - low) / (high - low))
  return t * t * (3 - 2 * t)
}

@inline(__always)
func reflect(_ d: Vector, _ n: Vector) -> Vector { d - n * (2 * dot(d, n)) }

/// Sine of `2 pi x`, to about 1e-3: a parabola with one correction.
@inline(__always)
func sineOfTurns(_ x: Float) -> Float {
  let f = fraction(x) - 0.5
  let y = 16 * f * (abs(f) - 0.5)
  return y * (0.775 + 0.225 * abs(y))
}

@inline(__always)
func schlick(_ cosine: Float, _ base: Float) -> Float {
  let m = 1 - clamp01(cosine)
  let m2 = m * m
  return base + (1 - base) * m2 * m2 * m
}

/// A repeating field of smooth random numbers in 0...1.
struct NoiseTable: Sendable {
  static let side = 128
  let values: [Float]

  init() {
    var random = WorldRandom(seed: 0x4B69_6E6F)
    values = (0..<NoiseTable.side * NoiseTable.side).map { _ in random.unit() }
  }
}

/// A view of a ``NoiseTable``, valid while the table's buffer is.
struct Noise {
  let base: UnsafePointer<Float>

  @inline(__always)
  func callAsFunction(_ x: Float, _ y: Float) -> Float {
    let (fx, fy) = (floorFast(x), floorFast(y))
    let (u, v) = (x - fx, y - fy)
    let mask = UInt32(NoiseTable.side - 1)
    let (x0, y0) = (integerBits(fx) & mask, integerBits(fy) & mask)
    let (x1, y1) = ((x0 &+ 1) & mask, (y0 &+ 1) & mask)
    let (r0, r1) = (Int(y0) &* NoiseTable.side, Int(y1) &* NoiseTable.side)
    let (su, sv) = (u * u * (3 - 2 * u), v * v * (3 - 2 * v))
    let low = mix(base[r0 &+ Int(x0)], base[r0 &+ Int(x1)], su)
    let high = mix(base[r1 &+ Int(x0)], base[r1 &+ Int(x1)], su)
    return mix(low, high, sv)
  }

  /// The table's entry for an integral cell.
  @inline(__always)
  func cell(_ x: Float, _ y: Float) -> Float {
    let mask = UInt32(NoiseTable.side - 1)
    return base[Int(integerBits(y) & mask) &* NoiseTable.side &+ Int(integerBits(x) & mask)]
  }
}
