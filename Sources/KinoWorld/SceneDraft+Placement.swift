import Foundation

extension SceneDraft {
  /// Finds anchors at which no two paths ever touch and the wanted relations hold.
  ///
  /// Proposals spread farther with each failure, so that a free place is always found;
  /// contradictory relations are given up after a while.
  func place(_ scene: inout Scene, using random: inout WorldRandom) {
    for index in scene.objects.indices where scene.objects[index].motion.kind == .circle {
      guard let partner = scene.objects[index].partner else { continue }
      let needed = scene.objects[index].footprint + scene.objects[partner].footprint + 0.2
      scene.objects[index].motion.extent = max(0.95, needed)
    }
    var best: (scene: Scene, spread: Float)?
    var candidates = 0
    for attempt in 0..<400 {
      propose(&scene, spread: 0.8 + 0.012 * Float(attempt), using: &random)
      let relationsHold =
        attempt > 250
        || constraints.allSatisfy {
          scene.relation(of: $0.first, to: $0.second) == $0.relation
        }
      guard relationsHold && scene.isUncrowded(hidingAllowed: attempt > 150) else { continue }
      let spread = scene.spread
      if spread < best?.spread ?? .infinity { best = (scene, spread) }
      candidates += 1
      if scene.objects.count == 1 || candidates == 6 { break }
    }
    if let best {
      scene = best.scene
      return
    }
    for index in scene.objects.indices where !isLed(index) {
      scene.objects[index].anchor = SIMD2(repeating: 7 * Float(index))
    }
    attachPartners(&scene)
  }

  private func propose(_ scene: inout Scene, spread: Float, using random: inout WorldRandom) {
    let count = scene.objects.count
    let alone = count == 1 || scene.objects[0].partner != nil && count == 2
    let width = alone ? 0 : (0.62 * Float(count) * spread)
    let depth = alone ? 0 : 0.85 * spread
    for index in scene.objects.indices {
      let direction = scene.objects[index].motion.direction
      var place = SIMD2(random.uniform(-width, width), random.uniform(-depth, depth))
      if scene.objects[index].motion.kind.directions.contains(where: { $0 == direction }) {
        let across = direction == .left || direction == .right
        if across { place.x *= 0.2 } else { place.y *= 0.2 }
      }
      scene.objects[index].anchor = place
    }
    for constraint in constraints {
      satisfy(constraint, in: &scene, spread: max(1, spread), using: &random)
    }
    attachPartners(&scene)
    attachWall(&scene)
  }

  /// Moves the first object to where it should be, seen from the second.
  private func satisfy(
    _ constraint: Constraint, in scene: inout Scene, spread: Float, using random: inout WorldRandom
  ) {
    let (first, second) = (scene.objects[constraint.first], scene.objects[constraint.second])
    let reach = (first.footprint + second.footprint) * spread
    var offset = SIMD2(random.uniform(-1.1, 1.1), random.uniform(0.95, 1.7)) * reach
    if constraint.relation == .leftOf || constraint.relation == .rightOf {
      offset = SIMD2(random.uniform(1.05, 1.7), random.uniform(-0.7, 0.7)) * reach
    }
    // Things that cross the picture keep their place along the way.
    if first.travelsAcross || second.travelsAcross {
      offset.x = first.anchor.x - second.anchor.x
    }
    switch constraint.relation {
    case .rightOf, .inFrontOf: break
    case .leftOf: offset.x = -offset.x
    case .behind: offset.y = -offset.y
    }
    scene.objects[constraint.first].anchor = second.anchor + offset
  }

  /// Puts partners where a collision or a circle needs them.
  private func attachPartners(_ scene: inout Scene) {
    for index in scene.objects.indices {
      guard let partner = scene.objects[index].partner else { continue }
      let leader = scene.objects[index]
      switch leader.motion.kind {
      case .circle: scene.objects[partner].anchor = leader.anchor
      case .collide:
        let heading = leader.motion.heading.x
        let contact = Scene.contactDistance(leader, scene.objects[partner])
        let center = leader.anchor
        scene.objects[partner].yaw = 0
        scene.objects[index].anchor.x = center.x - heading * (1.05 + contact / 2)
        scene.objects[partner].anchor = SIMD2(center.x + heading * (contact / 2 - 0.1), center.y)
      default: break
      }
    }
  }

  private func attachWall(_ scene: inout Scene) {
    scene.wall = nil
    guard let hider = scene.objects.first(where: { $0.motion.kind == .passBehind }) else { return }
    let height = 2 * Dimensions(hider.shape).half.y * hider.scale
    let gap = hider.footprint + Scene.Wall.halfDepth + 0.25
    scene.wall = Scene.Wall(
      colour: wallColour ?? .gray, anchor: SIMD2(hider.anchor.x, hider.anchor.y + gap),
      width: 1.7 * hider.footprint + 0.2, height: height * 1.3 + 0.15)
  }

  private func isLed(_ index: Int) -> Bool { objects.contains { $0.partner == index } }
}

extension Scene {
  /// Tells whether all paths keep clear of each other for all times, and nothing at rest hides
  /// another.
  func isUncrowded(hidingAllowed: Bool) -> Bool {
    let paths = objects.indices.map { pathPoints(of: $0) }
    for i in objects.indices {
      for j in objects.indices where j > i {
        let partners = objects[i].partner == j || objects[j].partner == i
        if partners { continue }
        let clearance = objects[i].footprint + objects[j].footprint + 0.1
        if Scene.groundDistance(paths[i], paths[j]) < clearance { return false }
        if !hidingAllowed && hides(i, j) { return false }
      }
      if let wall, !isClear(paths[i], radius: objects[i].footprint, of: wall) { return false }
    }
    return true
  }

  /// Half the width and depth of the ground that the paths take, added up; smaller fills the
  /// picture better.
  fileprivate var spread: Float {
    var low = SIMD3<Float>(repeating: .infinity)
    var high = SIMD3<Float>(repeating: -.infinity)
    for index in objects.indices {
      for point in pathPoints(of: index) {
        low = pointwiseMin(low, point - objects[index].footprint)
        high = pointwiseMax(high, point + objects[index].footprint)
      }
    }
    return (high.x - low.x) + 0.45 * (high.z - low.z)
  }

  private static func groundDistance(_ a: [SIMD3<Float>], _ b: [SIMD3<Float>]) -> Float {
    var least = Float.infinity
    for p in a {
      for q in b {
        let (dx, dz) = (p.x - q.x, p.z - q.z)
        least = min(least, dx * dx + dz * dz)
      }
    }
    return least.squareRoot()
  }

  /// Tells whether one object hides another for too long at the start of the action, as seen from
  /// where the camera will be, roughly.
  private func hides(_ i: Int, _ j: Int) -> Bool {
    let (a, b) = (objects[i], objects[j])
    if a.staysInPlace && b.staysInPlace {
      return covers(a, pose(of: i, at: 9).position, b, pose(of: j, at: 9).position, reach: 0.72)
    }
    let hidden = (0..<7).count {
      let time = Float($0) * 0.3
      return covers(
        a, pose(of: i, at: time).position, b, pose(of: j, at: time).position, reach: 0.6)
    }
    return hidden > 2
  }

  private func covers(
    _ a: Object, _ p: SIMD3<Float>, _ b: Object, _ q: SIMD3<Float>, reach: Float
  ) -> Bool {
    let (nearA, nearB) = (1 / max(6 - p.z, 2), 1 / max(6 - q.z, 2))
    return abs(p.x * nearA - q.x * nearB) < reach * (a.footprint * nearA + b.footprint * nearB)
  }

  private func isClear(_ path: [SIMD3<Float>], radius: Float, of wall: Wall) -> Bool {
    for point in path {
      let dx = max(0, abs(point.x - wall.anchor.x) - wall.width / 2)
      let dz = max(0, abs(point.z - wall.anchor.y) - Wall.halfDepth)
      if (dx * dx + dz * dz).squareRoot() < radius + 0.08 { return false }
      // Only what passes behind the wall may be hidden by it.
      let behind = point.z < wall.anchor.y && dx < radius * 1.2
      if behind && path.count < 3 { return false }
    }
    return true
  }

  /// Returns where one object is seen from another, if that stays true while they move.
  ///
  /// Two objects that stay in place are compared sideways first, then in depth. Something
  /// travelling across the picture can only be in front of or behind what stays in place.
  public func relation(of first: Int, to second: Int) -> Relation? {
    let (a, b) = (objects[first], objects[second])
    guard first != second, a.partner != second, b.partner != first else { return nil }
    let d = a.anchor - b.anchor
    let reach = a.footprint + b.footprint
    if a.staysInPlace && b.staysInPlace {
      let isStruck = objects.contains {
        $0.motion.kind == .collide && ($0.partner == first || $0.partner == second)
      }
      if isStruck { return nil }
      if abs(d.x) > max(0.55 * reach, abs(d.y) * 0.9) { return d.x < 0 ? .leftOf : .rightOf }
      if abs(d.y) > max(0.6 * reach, abs(d.x) * 1.15) { return d.y < 0 ? .behind : .inFrontOf }
      return nil
    }
    guard a.travelsAcross && b.staysInPlace || b.travelsAcross && a.staysInPlace else { return nil }
    if abs(d.y) > 0.8 * reach { return d.y < 0 ? .behind : .inFrontOf }
    return nil
  }
}

extension Scene.Object {
  var staysInPlace: Bool {
    switch motion.kind {
    case .still, .spin, .fall, .jump: true
    case .bounce: motion.direction == nil
    case .roll, .slide, .circle, .collide, .passBehind: false
    }
  }

  var travelsAcross: Bool {
    switch motion.kind {
    case .bounce, .roll, .slide: motion.direction == .left || motion.direction == .right
    case .still, .spin, .fall, .jump, .circle, .collide, .passBehind: false
    }
  }
}
