/// The light of a sky: sun or moon, the sky's own light, and the colours above the horizon.
struct Light {
  var sky: Scene.Sky
  var direction: Vector
  var sun: Vector
  var ambient: Vector
  /// Light thrown back by the ground, onto faces that look down.
  var bounce: Vector
  /// Tangent of the penumbra's angle.
  var softness: Float
  var horizon: Vector
  var middle: Vector
  var zenith: Vector
  var seed: Float

  init(_ scene: Scene, azimuth: Float, groundColour: Vector) {
    sky = scene.sky
    seed = Float(scene.textureSeed % 97)
    let (sa, ca) = LightMath.sineCosine(azimuth)
    let (se, ce) = LightMath.sineCosine(scene.sunElevation)
    direction = Vector(sa * ce, se, ca * ce)
    switch scene.sky {
    case .day:
      (sun, ambient) = (Vector(0.98, 0.92, 0.80), Vector(0.30, 0.35, 0.44))
      (horizon, middle) = (Vector(0.56, 0.76, 0.95), Vector(0.20, 0.47, 0.90))
      (zenith, softness) = (Vector(0.08, 0.26, 0.70), 0.07)
    case .sunset:
      (sun, ambient) = (Vector(1.30, 0.70, 0.34), Vector(0.36, 0.27, 0.36))
      (horizon, middle) = (Vector(1.0, 0.52, 0.16), Vector(0.86, 0.30, 0.26))
      (zenith, softness) = (Vector(0.20, 0.14, 0.42), 0.08)
    case .night:
      (sun, ambient) = (Vector(0.36, 0.43, 0.62), Vector(0.10, 0.13, 0.24))
      (horizon, middle) = (Vector(0.05, 0.08, 0.20), Vector(0.018, 0.03, 0.10))
      (zenith, softness) = (Vector(0.006, 0.01, 0.04), 0.08)
    case .overcast:
      (sun, ambient) = (Vector(0.36, 0.36, 0.36), Vector(0.52, 0.54, 0.57))
      (horizon, middle) = (Vector(0.66, 0.68, 0.71), Vector(0.54, 0.56, 0.60))
      (zenith, softness) = (Vector(0.40, 0.42, 0.46), 0.35)
    }
    bounce = groundColour * (sun * direction.y + ambient) * 0.45
  }

  /// Light that reaches a surface from everywhere but the sun.
  @inline(__always)
  func surrounding(_ normal: Vector) -> Vector {
    mix(bounce, ambient, 0.5 + 0.5 * normal.y)
  }

  /// The sky's colour in a direction; `pixel` is the angle a pixel covers, in radians.
  func colour(_ d: Vector, noise: Noise, pixel: Float, hasStars: Bool = false) -> Vector {
    let h = max(d.y, 0)
    let low = smoothstep(-0.04, 0.22, h)
    var c = mix(mix(horizon, middle, low), zenith, smoothstep(0.12, 0.85, h))
    let toward = max(0, dot(d, direction))
    switch sky {
    case .day:
      c = clouds(over: c, d, h, noise, tint: Vector(0.95, 0.96, 0.98), low: 0.52, high: 0.78)
      c += sun * (glow(toward) * 0.5)
    case .sunset:
      c = clouds(over: c, d, h, noise, tint: Vector(0.95, 0.42, 0.36), low: 0.45, high: 0.85)
      let t2 = toward * toward
      c += Vector(0.9, 0.45, 0.10) * (t2 * t2 * 0.35) + sun * glow(toward)
    case .night:
      if hasStars { c += Vector(repeating: stars(d, h, noise, pixel)) }
      c += Vector(0.9, 0.95, 1) * (glow(toward) * 0.6)
    case .overcast:
      c = clouds(over: c, d, h, noise, tint: Vector(0.80, 0.81, 0.83), low: 0.2, high: 0.9)
    }
    return c
  }

  /// The disc and halo of the sun or the moon.
  @inline(__always)
  private func glow(_ toward: Float) -> Float {
    if toward < 0.9 { return 0 }
    let disc = smoothstep(0.9975, 0.9985, toward)
    let halo = smoothstep(0.9, 1.0, toward)
    return disc * 2 + halo * halo * 0.5
  }

  private func clouds(
    over sky: Vector, _ d: Vector, _ h: Float, _ noise: Noise, tint: Vector, low: Float, high: Float
  ) -> Vector {
    if h < 0.015 { return sky }
    let scale = 1.1 / (h + 0.16)
    let (x, y) = (d.x * scale + seed, d.z * scale + seed * 0.37)
    let n =
      noise(x, y) * 0.6 + noise(x * 2.3 + 7, y * 2.3) * 0.28 + noise(x * 5.1, y * 5.1 + 3) * 0.12
    let cover = smoothstep(low, high, n) * smoothstep(0.015, 0.16, h)
    return mix(sky, tint, cover * 0.85)
  }

  private func stars(_ d: Vector, _ h: Float, _ noise: Noise, _ pixel: Float) -> Float {
    if h < 0.01 { return 0 }
    // Cells on a plane above; each may hold one star, never smaller than a pixel.
    let scale: Float = 26 / (abs(d.z) + h + 0.2)
    let (x, y) = (d.x * scale + seed, h * scale + seed)
    let (cx, cy) = (floorFast(x), floorFast(y))
    let chance = noise.cell(cx * 3, cy * 5)
    if chance < 0.78 { return 0 }
    let (sx, sy) = (0.3 + 0.4 * noise.cell(cy, cx), 0.3 + 0.4 * noise.cell(cx + 31, cy))
    let (dx, dy) = (x - cx - sx, y - cy - sy)
    let radius = max(0.09, pixel * scale * 0.9)
    let distance = (dx * dx + dy * dy).squareRoot() / radius
    let fade = min(1, 0.09 / radius * 1.6)
    return max(0, 1 - distance) * (chance - 0.7) * 3.2 * fade * smoothstep(0.01, 0.12, h)
  }
}

enum LightMath {
  /// Sine and cosine, precise enough for light and alike on every platform.
  static func sineCosine(_ angle: Float) -> (Float, Float) {
    let turns = angle / (2 * .pi)
    return (sineOfTurns(turns), sineOfTurns(turns + 0.25))
  }
}
