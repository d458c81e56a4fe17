/// Everything needed to follow rays through one frame. Borrowed buffers: valid for one frame only.
struct FrameTracer {
  var solids: UnsafeMutableBufferPointer<Solid>
  var light: Light
  var ground: GroundSurface
  var noise: Noise
  /// Angle that a pixel covers, in radians.
  var pixel: Float

  /// What a ray met: the colour and a number that differs between things, for finding edges.
  struct Sample {
    var colour: Vector
    var thing: Int32
  }

  static let skyThing: Int32 = -2
  static let groundThing: Int32 = -1
  static let farthest: Float = 400

  /// Follows a ray from the camera.
  func sample(_ origin: Vector, _ direction: Vector) -> Sample {
    trace(origin, direction, depth: 0)
  }

  private func trace(_ origin: Vector, _ direction: Vector, depth: Int) -> Sample {
    var nearest = direction.y < -1e-4 ? -origin.y / direction.y : FrameTracer.farthest
    nearest = min(nearest, FrameTracer.farthest)
    var thing = -1
    for index in 0..<solids.count {
      let t = solids[index].hit(origin, direction, farthest: nearest, pixel: pixel)
      if t > 0 && t < nearest { (nearest, thing) = (t, index) }
    }
    if thing >= 0 {
      let colour = shade(thing, origin + direction * nearest, direction, nearest, depth)
      return Sample(colour: colour, thing: Int32(truncatingIfNeeded: thing))
    }
    if direction.y < -1e-4 && nearest < FrameTracer.farthest {
      let colour = shadeGround(origin + direction * nearest, direction, nearest, depth)
      return Sample(colour: colour, thing: FrameTracer.groundThing)
    }
    let colour = light.colour(direction, noise: noise, pixel: pixel, hasStars: depth == 0)
    return Sample(colour: colour, thing: FrameTracer.skyThing)
  }

  // MARK: Light

  /// The sun's share at a point; glass lets coloured light through.
  private func sunlight(_ point: Vector, own: Int) -> Vector {
    var share = Vector(repeating: 1)
    for index in 0..<solids.count {
      let isOwn = index == own
      if isOwn && !solids[index].shadowsItself { continue }
      let s = solids[index].light(
        at: point, toward: light.direction, width: light.softness, isOwn: isOwn)
      if s >= 1 { continue }
      if solids[index].finish == .glass {
        share *= mix(solids[index].albedo * 0.55 + 0.25, Vector(repeating: 1), s)
      } else {
        share *= s
      }
    }
    return share
  }

  /// Darkening near things that stand close, 0...1.
  private func openness(_ point: Vector, _ normal: Vector, own: Int) -> Float {
    var open: Float = 1
    for index in 0..<solids.count where index != own {
      let toCenter = solids[index].center - point
      let range = solids[index].bound + 0.7
      if dot(toCenter, toCenter) > range * range { continue }
      let strength: Float = solids[index].finish == .glass ? 0.5 : 1
      let near = solids[index].distance(point + normal * 0.1)
      let far = solids[index].distance(point + normal * 0.35)
      let hidden = clamp01(1 - near / 0.1) * 0.45 + clamp01(1 - far / 0.35) * 0.4
      open *= 1 - strength * hidden
    }
    return open
  }

  // MARK: Ground

  private func shadeGround(_ p: Vector, _ d: Vector, _ t: Float, _ depth: Int) -> Vector {
    let across = max(pixel * t, 1e-4)
    let along = across / max(-d.y, 0.01)
    let haze = 1 - 1 / (1 + t * t * 0.00016)
    let far = mix(light.horizon, light.middle, 0.12)
    if haze > 0.985 { return far }
    let up = Vector(0, 1, 0)
    let open = openness(p, up, own: -1)
    let sunShare = sunlight(p, own: -1)
    var colour: Vector
    if ground.kind == .water {
      colour = shadeWater(p, d, along, depth, open: open, sunShare: sunShare)
    } else {
      let flat = normalize(Vector(d.x, 0, d.z))
      let albedo = ground.albedo(p.x, p.z, across: across, along: along, view: flat, noise: noise)
      colour = albedo * (light.sun * sunShare * light.direction.y + light.ambient * open)
      if depth == 0 && (ground.kind == .wood || ground.kind == .checker) {
        // A polished floor mirrors faintly.
        let mirror = schlick(-d.y, 0.035) * 0.42
        if mirror > 0.02 {
          colour = mix(colour, trace(p, Vector(d.x, -d.y, d.z), depth: 1).colour, mirror)
        }
      }
    }
    return mix(colour, far, haze)
  }

  private func shadeWater(
    _ p: Vector, _ d: Vector, _ along: Float, _ depth: Int, open: Float, sunShare: Vector
  ) -> Vector {
    let n = ground.waterNormal(p.x, p.z, along: along)
    let body =
      GroundSurface.average(.water) * (light.sun * sunShare * 0.9 + light.ambient * (1.4 * open))
    var r = reflect(d, n)
    r.y = max(r.y, 0.01)
    r = normalize(r)
    let mirrored =
      depth == 0 ? trace(p, r, depth: 1).colour : light.colour(r, noise: noise, pixel: pixel)
    let glint = specular(n, d, power: 6) * sunShare.x
    return mix(body, mirrored, schlick(-dot(d, n), 0.06) * 0.85) + light.sun * (glint * 0.6)
  }

  // MARK: Solids

  private func shade(_ index: Int, _ p: Vector, _ d: Vector, _ t: Float, _ depth: Int) -> Vector {
    let solid = solids[index]
    let local = solid.toLocal(p - solid.center) * solid.inverseScale
    let n = solid.axes(solid.localNormal(local))
    let share = solid.markShare(local, width: pixel * t * solid.inverseScale)
    let albedo = mix(solid.albedo, solid.mark, share)
    if solid.finish == .glass && depth == 0 {
      return shadeGlass(index, p, local, n, d, share)
    }
    let facing = max(0, dot(n, light.direction))
    let sunShare = facing > 0 ? sunlight(p, own: index) : Vector()
    let low = clamp01(p.y / (0.5 * solid.bound + 0.05))
    let open = openness(p, n, own: index) * (n.y < 0.3 ? 0.55 + 0.45 * low : 1)
    let diffuse = albedo * (light.sun * sunShare * facing + light.surrounding(n) * open)
    let lit = light.sun * sunShare
    switch solid.finish {
    case .matte:
      return diffuse
    case .shiny, .glass:
      let fresnel = schlick(-dot(n, d), 0.05)
      let colour = diffuse + lit * (specular(n, d, power: 6) * 0.9)
      guard fresnel > 0.035 else { return colour }
      return mix(colour, mirror(p, n, d, depth), fresnel * 0.9)
    case .metal:
      let tint = pointwiseMin(albedo * 0.88 + 0.1, Vector(repeating: 1))
      let edge = schlick(-dot(n, d), 0)
      let reflected = mirror(p, n, d, depth) * mix(tint, Vector(repeating: 1), edge)
      return diffuse * 0.34 + reflected * (0.88 * (0.55 + 0.45 * open)) + lit * tint
        * (specular(n, d, power: 7) * 1.6)
    }
  }

  /// A highlight: the cosine between sun and mirror direction, squared `power` times.
  @inline(__always)
  private func specular(_ n: Vector, _ d: Vector, power: Int) -> Float {
    var c = max(0, dot(reflect(d, n), light.direction))
    for _ in 0..<power { c *= c }
    return c
  }

  private func mirror(_ p: Vector, _ n: Vector, _ d: Vector, _ depth: Int) -> Vector {
    let r = reflect(d, n)
    if depth == 0 { return trace(p + n * 2e-3, r, depth: 1).colour }
    if r.y > 0 { return light.colour(r, noise: noise, pixel: pixel) }
    return light.bounce * 1.6
  }

  /// Bends a ray into glass and out again, and looks where it goes.
  private func shadeGlass(
    _ index: Int, _ p: Vector, _ local: Vector, _ n: Vector, _ d: Vector, _ mark: Float
  ) -> Vector {
    let solid = solids[index]
    let inward = refract(d, n, 1 / 1.38)
    let start = local - solid.toLocal(n) * 0.004
    let localDirection = solid.toLocal(inward)
    let path = solid.wayOut(start, localDirection)
    let exit = start + localDirection * path
    let exitNormal = solid.axes(solid.localNormal(exit))
    let out = refract(inward, -exitNormal, 1.38)
    let exitPoint = solid.center + solid.axes(exit) * solid.scale
    let behind = trace(exitPoint + exitNormal * 3e-3, out, depth: 1).colour
    // Thicker glass is more deeply coloured.
    let depth = clamp01(path * 0.9)
    let deep = solid.albedo * 0.9 + 0.06
    let tint = mix(Vector(repeating: 0.96), deep, 0.45 + 0.5 * depth)
    let sunShare = sunlight(p, own: index)
    var body = behind * tint + solid.albedo * (light.ambient * 0.16 + light.sun * 0.1)
    if mark > 0 { body = mix(body, solid.mark * (light.ambient + light.sun * 0.5), mark * 0.6) }
    let fresnel = schlick(-dot(n, d), 0.05)
    return mix(body, mirror(p, n, d, 0), fresnel) + light.sun * sunShare
      * (specular(n, d, power: 7) * 1.4)
  }

  /// The refracted direction, or the mirrored one where nothing gets through.
  @inline(__always)
  private func refract(_ d: Vector, _ n: Vector, _ ratio: Float) -> Vector {
    let c = -dot(d, n)
    let k = 1 - ratio * ratio * (1 - c * c)
    if k < 0 { return reflect(d, n) }
    return normalize(d * ratio + n * (ratio * c - k.squareRoot()))
  }
}
