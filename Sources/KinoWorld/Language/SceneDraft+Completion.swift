extension SceneDraft {
  /// Draws what a statement leaves open as random scenes have it, held-out combinations included.
  init(completing statement: SceneStatement, using random: inout WorldRandom) {
    // A random scene gives the setting, and something to look at where nothing is named.
    self = SceneDraft.random(using: &random)
    if statement.objects.isEmpty {
      objects = [objects[0]]
      objects[0].partner = nil
      if objects[0].kind == .collide { objects[0].kind = .jump }
    } else {
      objects = []
      for said in statement.objects {
        add(said, of: statement, using: &random)
      }
    }
    ground = statement.ground ?? ground
    sky = statement.sky ?? sky
    wallColour = statement.wallColour ?? wallColour
    // A pan follows what crosses the picture.
    if camera == .panLeft || camera == .panRight, let direction = objects[0].direction {
      camera = direction == .left ? .panLeft : direction == .right ? .panRight : camera
    }
    camera = statement.camera ?? camera
    constraints = statement.relations.map {
      Constraint(first: $0.first, relation: $0.relation, second: $0.second)
    }
    makeConsistent(using: &random)
  }

  private mutating func add(
    _ said: SceneStatement.Object, of statement: SceneStatement, using random: inout WorldRandom
  ) {
    // "Two red balls" look alike also in what is left open.
    if said.partner == nil, let twin = statement.objects.prefix(objects.count).firstIndex(of: said)
    {
      objects.append(objects[twin])
      return
    }
    let index = objects.count
    var object = SceneDraft.randomObject(using: &random)
    object.shape = said.shape
    object.colour = said.colour ?? colour(for: said, of: statement, using: &random)
    object.finish =
      object.colour.isMetallic
      ? .metal : said.finish ?? SceneDraft.randomFinish(for: object.colour, using: &random)
    // Many large things would have to be seen from afar.
    object.size =
      said.size ?? (object.size == .big && statement.objects.count > 2 ? .medium : object.size)
    object.partner = said.partner
    object.kind = said.kind ?? kind(of: index, said, of: statement, using: &random)
    let stays = statement.relations.contains { $0.first == index || $0.second == index }
    let wanders = object.kind == .bounce && said.kind == nil && !stays && random.chance(0.3)
    object.direction = said.direction
    if object.direction == nil && (object.kind.needsDirection || wanders) {
      object.direction = SceneDraft.randomDirection(of: object.kind, using: &random)
    }
    objects.append(object)
  }

  /// A colour that goes with the finish, and tells the object from others of its shape.
  private func colour(
    for said: SceneStatement.Object, of statement: SceneStatement, using random: inout WorldRandom
  ) -> Scene.Colour {
    let others: [Scene.Colour?] =
      statement.objects.filter { $0.shape == said.shape }.map(\.colour)
      + objects.filter { $0.shape == said.shape }.map(\.colour)
    let fitting = Scene.Colour.allCases.filter { colour in
      said.finish.map { Scene.canShow(colour, $0) } ?? true
    }
    let free = fitting.filter { !others.contains($0) }
    return random.pick(
      weighted: (free.isEmpty ? fitting : free).map { ($0, $0.isMetallic ? 0.45 : 1) })
  }

  private func kind(
    of index: Int, _ said: SceneStatement.Object, of statement: SceneStatement,
    using random: inout WorldRandom
  ) -> Scene.MotionKind {
    if statement.objects.contains(where: { $0.partner == index }) { return .still }
    let isStruck = index > 0 && statement.objects[index - 1].kind == .collide
    if isStruck && statement.objects[index - 1].partner == nil { return .still }
    let travels: Scene.MotionKind = said.shape.canRoll ? .roll : .slide
    if said.direction != nil { return travels }
    // Places relative to each other are only seen of what keeps its place.
    if statement.relations.contains(where: { $0.first == index || $0.second == index }) {
      return random.pick(
        weighted: [(.still, 40), (.spin, 18), (.jump, 16), (.bounce, 16), (.fall, 10)])
    }
    let drawn =
      index == 0
      ? SceneDraft.mainMotion(using: &random) : SceneDraft.sideMotion(using: &random)
    let isAlone = statement.objects.count == 1
    switch drawn {
    case .roll where !said.shape.canRoll: return random.chance(0.5) ? .slide : .spin
    case .circle where !isAlone: return .spin
    case .passBehind where !isAlone || said.size == .big: return travels
    default: return drawn
    }
  }
}
