extension Scene {
  /// Draws a scene.
  ///
  /// - Parameters:
  ///   - seed: The same seed gives the same scene on every platform.
  ///   - split: Whether held-out combinations of attributes are excluded, required or allowed.
  /// - Returns: A scene of that split.
  public static func random(seed: UInt64, split: Split = .training) -> Scene {
    var random = WorldRandom(seed: seed)
    var draft = SceneDraft.random(using: &random)
    switch split {
    case .any: break
    case .training:
      // About one draw in seven is held out, so that a few draws suffice.
      while draft.isHeldOut { draft = SceneDraft.random(using: &random) }
    case .heldOut:
      while !draft.isHeldOut { draft = SceneDraft.random(using: &random) }
    }
    return draft.scene(using: &random)
  }
}

extension SceneDraft {
  var isHeldOut: Bool {
    objects.contains {
      Scene.isHeldOut($0.shape, $0.colour, $0.finish) || Scene.isHeldOut($0.shape, $0.kind)
    }
  }

  static func random(using random: inout WorldRandom) -> SceneDraft {
    let count = random.pick(weighted: [(1, 55), (2, 30), (3, 10), (4, 5)] as [(Int, Float)])
    var objects = (0..<count).map { _ in randomObject(using: &random) }
    if count == 2 { pairUp(&objects, using: &random) }
    if count > 1 && objects.allSatisfy({ $0.partner == nil }) && random.chance(0.2) {
      makeAlike(&objects, using: &random)
    }
    // Many large things would have to be seen from afar.
    for index in objects.indices where count > 2 && objects[index].size == .big {
      objects[index].size = .medium
    }
    for index in objects.indices { assignMotion(&objects, index, using: &random) }
    let cameras: [(Scene.CameraMotion, Float)] = [
      (.still, 50), (.orbit, 10), (.dollyIn, 7), (.dollyOut, 7), (.panLeft, 7), (.panRight, 7),
      (.rise, 6), (.shake, 6),
    ]
    var camera = random.pick(weighted: cameras)
    // A pan follows what crosses the picture; against it, both would leave it.
    if camera == .panLeft || camera == .panRight, let direction = objects[0].direction {
      camera = direction == .left ? .panLeft : direction == .right ? .panRight : camera
    }
    return SceneDraft(
      objects: objects, wallColour: random.pick(wallColours),
      ground: random.pick(Scene.Ground.allCases),
      sky: random.pick(weighted: [(.day, 40), (.sunset, 22), (.night, 18), (.overcast, 20)]),
      camera: camera)
  }

  static let wallColours: [Scene.Colour] = [.gray, .white, .brown]

  static func randomObject(using random: inout WorldRandom) -> Object {
    let shape = random.pick(
      weighted: Scene.Shape.allCases.map { ($0, $0 == .sphere ? 2.5 : $0 == .cube ? 1.6 : 1) })
    let colour = random.pick(weighted: Scene.Colour.allCases.map { ($0, $0.isMetallic ? 0.45 : 1) })
    return Object(
      shape: shape, colour: colour, finish: randomFinish(for: colour, using: &random),
      size: random.pick(weighted: [(.small, 22), (.medium, 52), (.big, 26)]), kind: .still)
  }

  /// Draws a finish that suits the colour: gold and silver are metal, black glass would look
  /// opaque.
  static func randomFinish(for colour: Scene.Colour, using random: inout WorldRandom)
    -> Scene.Finish
  {
    if colour.isMetallic { return .metal }
    let finish: Scene.Finish = random.pick(
      weighted: [(.matte, 41), (.shiny, 31), (.metal, 13), (.glass, 15)])
    return Scene.canShow(colour, finish) ? finish : .shiny
  }

  /// Lets the first object hit the second, or circle around it, in some scenes.
  private static func pairUp(_ objects: inout [Object], using random: inout WorldRandom) {
    let choice = random.unit()
    if choice < 0.3 {
      for index in 0..<2 where !objects[index].shape.collidesWell {
        objects[index].shape = random.pick([.sphere, .cube, .cylinder, .brick])
      }
      objects[0].kind = .collide
      objects[0].partner = 1
    } else if choice < 0.42 {
      objects[0].kind = .circle
      objects[0].partner = 1
      if objects[0].size == .big { objects[0].size = .small }
      if objects[1].size == .big { objects[1].size = .medium }
    }
  }

  private static func makeAlike(_ objects: inout [Object], using random: inout WorldRandom) {
    for index in objects.indices.dropFirst() where index == 1 || random.chance(0.5) {
      objects[index] = objects[0]
    }
    let kind: Scene.MotionKind = random.pick([.still, .bounce, .spin, .jump, .fall])
    for index in objects.indices { objects[index].kind = kind }
  }

  private static func assignMotion(
    _ objects: inout [Object], _ index: Int, using random: inout WorldRandom
  ) {
    var object = objects[index]
    let isLed = objects.contains { $0.partner == index }
    if object.partner == nil && !isLed && object.kind == .still && !isAlike(objects, index) {
      object.kind = index == 0 ? mainMotion(using: &random) : sideMotion(using: &random)
      if objects[0].kind == .passBehind && index > 0
        && (object.kind == .slide || object.kind == .roll)
      {
        object.kind = .still
      }
      if object.kind == .circle && objects.count > 2 { object.kind = .spin }
      if object.kind == .roll && !object.shape.canRoll && random.chance(0.5) {
        object.shape = random.pick([.sphere, .cylinder, .torus, .capsule, .disc])
      }
      if object.kind == .roll && !object.shape.canRoll {
        object.kind = random.chance(0.5) ? .slide : .spin
      }
      let hasHider = objects.contains { $0.kind == .passBehind }
      if object.kind == .passBehind && (objects.count > 2 || hasHider) { object.kind = .slide }
    }
    if object.kind == .passBehind && object.size == .big { object.size = .medium }
    let wanders = object.kind == .bounce && !isAlike(objects, index) && random.chance(0.3)
    if object.kind.needsDirection || wanders {
      object.direction = randomDirection(of: object.kind, using: &random)
    }
    objects[index] = object
  }

  static func randomDirection(
    of kind: Scene.MotionKind, using random: inout WorldRandom
  ) -> Scene.Direction {
    kind.directions.count > 2 && random.chance(0.3)
      ? random.pick([.toward, .away]) : random.pick([.left, .right])
  }

  private static func isAlike(_ objects: [Object], _ index: Int) -> Bool {
    objects.indices.contains {
      $0 != index && objects[$0].shape == objects[index].shape
        && objects[$0].colour == objects[index].colour && objects[$0].kind == objects[index].kind
        && objects[index].size == objects[$0].size && objects[index].finish == objects[$0].finish
    }
  }

  static func mainMotion(using random: inout WorldRandom) -> Scene.MotionKind {
    random.pick(weighted: [
      (.still, 8), (.bounce, 15), (.roll, 22), (.slide, 10), (.spin, 11), (.circle, 9), (.fall, 9),
      (.jump, 11), (.passBehind, 9),
    ])
  }

  static func sideMotion(using random: inout WorldRandom) -> Scene.MotionKind {
    random.pick(weighted: [
      (.still, 45), (.bounce, 9), (.roll, 9), (.slide, 8), (.spin, 10), (.fall, 6), (.jump, 8),
    ])
  }
}
