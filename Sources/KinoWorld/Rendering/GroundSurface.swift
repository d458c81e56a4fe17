/// The ground's material: its colour at a point, averaged over what a pixel covers.
struct GroundSurface {
  var kind: Scene.Ground
  var seed: Float
  var time: Float

  /// The colour that stands for the whole ground in reflected light.
  static func average(_ kind: Scene.Ground) -> Vector {
    switch kind {
    case .checker: Vector(0.42, 0.41, 0.40)
    case .grass: Vector(0.10, 0.26, 0.05)
    case .sand: Vector(0.62, 0.47, 0.27)
    case .wood: Vector(0.34, 0.165, 0.07)
    case .snow: Vector(0.82, 0.86, 0.92)
    case .water: Vector(0.02, 0.12, 0.17)
    }
  }

  /// The reflectance at a point, averaged over what a pixel covers: `across` metres wide and
  /// `along` metres long in the direction of `view`.
  @inline(__always)
  func albedo(_ x: Float, _ z: Float, across: Float, along: Float, view: Vector, noise: Noise)
    -> Vector
  {
    let base = GroundSurface.average(kind)
    let (px, pz) = (x + seed, z + seed * 0.61)
    switch kind {
    case .checker:
      let wx = mix(across, along, abs(view.x))
      let wz = mix(across, along, abs(view.z))
      let tone = checker(x * 1.25, z * 1.25, wx * 1.25, wz * 1.25)
      return mix(Vector(0.17, 0.18, 0.20), Vector(0.70, 0.68, 0.65), tone)
    case .grass:
      let n = layers(px, pz, 0.9, 3.1, 13, along, noise)
      return mix(Vector(0.045, 0.15, 0.02), Vector(0.19, 0.42, 0.085), n)
    case .sand:
      let warp = noise(px * 0.8, pz * 0.8) * 1.1
      let ripple = sineOfTurns(pz * 1.7 + px * 0.35 + warp)
      let fade = visible(1.7, along)
      let grain = layers(px, pz, 0.7, 4.3, 21, along, noise) - 0.5
      return base * (1 + 0.085 * ripple * fade + 0.22 * grain)
    case .wood:
      return wood(px, pz, across, along, view, noise)
    case .snow:
      let n = layers(px, pz, 0.6, 1.9, 9, along, noise)
      return mix(Vector(0.66, 0.74, 0.87), Vector(0.93, 0.95, 0.97), 0.15 + 0.85 * n)
    case .water:
      return base
    }
  }

  /// Weight of a texture of `frequency` per metre when a pixel covers `size` metres.
  @inline(__always)
  private func visible(_ frequency: Float, _ size: Float) -> Float {
    clamp01(1.5 - 2.4 * frequency * size)
  }

  /// Three octaves of noise around 0.5; those finer than a pixel fade to their mean.
  @inline(__always)
  private func layers(
    _ x: Float, _ z: Float, _ low: Float, _ mid: Float, _ high: Float, _ size: Float, _ noise: Noise
  ) -> Float {
    var n: Float = 0.5
    let (wl, wm, wh) = (visible(low, size), visible(mid, size), visible(high, size))
    if wl > 0 { n += (noise(x * low, z * low) - 0.5) * 0.55 * wl }
    if wm > 0 { n += (noise(x * mid + 11, z * mid) - 0.5) * 0.45 * wm }
    if wh > 0 { n += (noise(x * high, z * high + 5) - 0.5) * 0.6 * wh }
    return clamp01(n)
  }

  /// A checkerboard of unit squares averaged over a box: the integral of a triangle wave, per axis.
  @inline(__always)
  private func checker(_ x: Float, _ z: Float, _ wx: Float, _ wz: Float) -> Float {
    @inline(__always)
    func stripe(_ v: Float, _ width: Float) -> Float {
      let w = max(width, 0.004)
      let a = abs(fraction((v - 0.5 * w) * 0.5) - 0.5)
      let b = abs(fraction((v + 0.5 * w) * 0.5) - 0.5)
      return 2 * (a - b) / w
    }
    return 0.5 - 0.5 * stripe(x, wx) * stripe(z, wz)
  }

  @inline(__always)
  private func wood(
    _ x: Float, _ z: Float, _ across: Float, _ along: Float, _ view: Vector, _ noise: Noise
  ) -> Vector {
    let frequency: Float = 2.1
    let width = mix(across, along, abs(view.x)) * frequency
    let plank = floorFast(x * frequency)
    let inside = x * frequency - plank
    let fade = visible(frequency, across)
    let tone = (noise.cell(plank, plank * 7) - 0.5) * 0.5 * fade
    let grainFade = visible(9, max(across, along * 0.4))
    let grain = grainFade > 0 ? (noise(x * 15, z * 1.3 + plank * 9) - 0.5) * 0.42 * grainFade : 0
    let edge = min(inside, 1 - inside)
    let seam = (1 - smoothstep(0, max(0.05, width), edge)) * min(1, 0.05 / max(width, 0.05))
    return GroundSurface.average(.wood) * ((1.12 + tone + grain) * (1 - 0.6 * seam))
  }

  /// The water's normal: four travelling waves that flatten with distance.
  @inline(__always)
  func waterNormal(_ x: Float, _ z: Float, along: Float) -> Vector {
    var (nx, nz): (Float, Float) = (0, 0)
    let fadeLow = visible(0.55, along)
    let fadeHigh = visible(1.5, along)
    if fadeLow > 0 {
      let a = sineOfTurns(x * 0.42 + z * 0.31 + time * 0.42 + seed) * fadeLow
      let b = sineOfTurns(x * -0.23 + z * 0.62 + time * 0.51) * fadeLow
      nx += a * 0.030 - b * 0.015
      nz += a * 0.022 + b * 0.034
    }
    if fadeHigh > 0 {
      let a = sineOfTurns(x * 1.31 + z * 0.72 + time * 0.83) * fadeHigh
      let b = sineOfTurns(x * -0.93 + z * 1.61 - time * 0.77 + seed) * fadeHigh
      nx += a * 0.022 - b * 0.012
      nz += a * 0.012 + b * 0.020
    }
    return normalize(Vector(nx, 1, nz))
  }
}
