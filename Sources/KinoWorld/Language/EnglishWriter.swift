/// Puts a caption plan into English.
struct EnglishWriter {
  let scene: Scene
  let plan: CaptionPlan
  var random: WorldRandom

  mutating func write() -> String {
    let isFragment = plan.length == .short && random.chance(0.6)
    let clauses = plan.groups.map { clause($0, isFragment: isFragment) }
    var setting: [String] = []
    if plan.tellsGround { setting.append(random.pick(English.grounds[scene.ground] ?? [])) }
    if plan.tellsSky { setting.append(random.pick(English.skies[scene.sky] ?? [])) }
    let cameraPhrases = plan.length == .short ? English.shortCameras : English.cameras
    let camera = plan.tellsCamera ? random.pick(cameraPhrases[scene.camera.motion] ?? []) : nil
    return CaptionGrammar.assemble(
      clauses: clauses, setting: setting, camera: camera, length: plan.length,
      conjunctions: [", and ", " while ", ", "], opening: ", ", using: &random)
  }

  private mutating func clause(_ group: CaptionPlan.Group, isFragment: Bool) -> String {
    let index = group.indices[0]
    let object = scene.objects[index]
    var words = [nounPhrase(index, group, hasArticle: !isFragment, count: group.indices.count)]
    if group.tellsMotion { words += motion(object, group, isFragment: isFragment) }
    if let relation = group.relation {
      if !group.tellsMotion { words.append("is") }
      words.append(random.pick(English.relations[relation.relation] ?? []))
      words.append("the \(name(relation.second, count: 1))")
    }
    return words.joined(separator: " ")
  }

  private mutating func motion(
    _ object: Scene.Object, _ group: CaptionPlan.Group, isFragment: Bool
  ) -> [String] {
    let kind = object.motion.kind
    var choices = English.verbs[kind] ?? []
    if let partner = object.partner, kind == .circle {
      choices = English.circling
      return [
        form(random.pick(choices), 1, isFragment),
        nounPhrase(partner, group, hasArticle: true, count: 1),
      ]
    }
    var words = [form(random.pick(choices), group.indices.count, isFragment)]
    if let partner = object.partner {
      words.append(nounPhrase(partner, group, hasArticle: true, count: 1))
    }
    if kind == .passBehind {
      let colour = plan.tellsWallColour ? (scene.wall?.colour.rawValue ?? "gray") + " " : ""
      words.append("behind a \(colour)wall")
    }
    if group.tellsDirection, let direction = object.motion.direction {
      let way = random.pick(English.directions[direction] ?? [])
      words.append(kind == .collide && !way.hasPrefix("from") ? "moving \(way)" : way)
    }
    return words
  }

  private mutating func form(_ verb: English.Verb, _ count: Int, _ isFragment: Bool) -> String {
    let first: String
    if isFragment {
      first = verb.participle
    } else if random.chance(0.25) && verb.participle != "standing" {
      first = (count > 1 ? "are " : "is ") + verb.participle
    } else {
      first = count > 1 ? verb.plural : verb.singular
    }
    return verb.rest.isEmpty ? first : "\(first) \(verb.rest)"
  }

  private mutating func nounPhrase(
    _ index: Int, _ group: CaptionPlan.Group, hasArticle: Bool, count: Int
  ) -> String {
    let object = scene.objects[index]
    var words: [String] = []
    if group.tellsSize && object.size != .medium {
      words.append(random.pick(English.sizes[object.size] ?? []))
    }
    let tellsFinish = group.tellsFinish && !object.colour.isMetallic
    let finish = tellsFinish ? random.pick(English.finishes[object.finish] ?? []) : nil
    let isMaterial = finish == "metal" || finish == "glass"
    if let finish, !isMaterial { words.append(finish) }
    words.append(name(index, material: isMaterial ? finish : nil, count: count))
    let phrase = words.joined(separator: " ")
    if count > 1 { return "\(English.numbers[min(count, 4)]) \(phrase)" }
    guard hasArticle else { return phrase }
    return (phrase.first.map { "aeiou".contains($0) } == true ? "an " : "a ") + phrase
  }

  private mutating func name(_ index: Int, material: String? = nil, count: Int) -> String {
    let object = scene.objects[index]
    let noun = random.pick(English.nouns[object.shape] ?? [])
    let tone = random.pick(English.colours[object.colour] ?? [])
    let parts = [tone, material, count > 1 ? English.plural(noun) : noun]
    return parts.compactMap { $0 }.joined(separator: " ")
  }
}

/// English words for everything in the world.
enum English {
  struct Verb {
    var singular, plural, participle: String
    var rest: String = ""

    init(_ singular: String, _ plural: String, _ participle: String, _ rest: String = "") {
      (self.singular, self.plural, self.participle, self.rest) = (
        singular, plural, participle, rest
      )
    }
  }

  static let numbers = ["no", "one", "two", "three", "four"]

  static let nouns: [Scene.Shape: [String]] = [
    .sphere: ["ball", "ball", "sphere"], .cube: ["cube"], .cylinder: ["cylinder"], .cone: ["cone"],
    .torus: ["ring", "torus"], .pyramid: ["pyramid"], .capsule: ["capsule", "pill"],
    .octahedron: ["diamond", "octahedron"], .disc: ["disc", "disk"], .brick: ["brick", "block"],
  ]

  static let colours: [Scene.Colour: [String]] = [
    .red: ["red"], .green: ["green"], .blue: ["blue"], .yellow: ["yellow"], .orange: ["orange"],
    .purple: ["purple", "violet"], .pink: ["pink"], .cyan: ["cyan", "turquoise"], .white: ["white"],
    .black: ["black"], .brown: ["brown"], .gray: ["gray", "grey"], .gold: ["gold", "golden"],
    .silver: ["silver"],
  ]

  static let finishes: [Scene.Finish: [String]] = [
    .matte: ["matte"], .shiny: ["shiny", "glossy"], .metal: ["metal", "metallic"],
    .glass: ["glass", "transparent"],
  ]

  static let sizes: [Scene.Size: [String]] = [
    .small: ["small", "little"], .big: ["big", "large"],
  ]

  static let verbs: [Scene.MotionKind: [Verb]] = [
    .still: [
      Verb("stands", "stand", "standing", "still"), Verb("sits", "sit", "sitting", "still"),
      Verb("rests", "rest", "resting"),
    ],
    .bounce: [Verb("bounces", "bounce", "bouncing")],
    .roll: [Verb("rolls", "roll", "rolling")],
    .slide: [Verb("slides", "slide", "sliding"), Verb("glides", "glide", "gliding")],
    .spin: [
      Verb("spins", "spin", "spinning"), Verb("rotates", "rotate", "rotating"),
      Verb("spins", "spin", "spinning", "in place"),
    ],
    .circle: [
      Verb("moves", "move", "moving", "in a circle"),
      Verb("goes", "go", "going", "around in circles"),
    ],
    .fall: [
      Verb("falls", "fall", "falling"), Verb("drops", "drop", "dropping"),
      Verb("falls", "fall", "falling", "from above"),
    ],
    .jump: [Verb("jumps", "jump", "jumping"), Verb("hops", "hop", "hopping")],
    .collide: [
      Verb("hits", "hit", "hitting"), Verb("crashes", "crash", "crashing", "into"),
      Verb("bumps", "bump", "bumping", "into"), Verb("collides", "collide", "colliding", "with"),
    ],
    .passBehind: [
      Verb("passes", "pass", "passing"), Verb("moves", "move", "moving"),
      Verb("goes", "go", "going"),
    ],
  ]

  static let circling = [
    Verb("circles", "circle", "circling", "around"), Verb("moves", "move", "moving", "around"),
    Verb("orbits", "orbit", "orbiting"),
  ]

  static let directions: [Scene.Direction: [String]] = [
    .left: ["to the left", "left", "from right to left"],
    .right: ["to the right", "right", "from left to right"],
    .toward: ["toward the camera", "towards the camera", "toward the viewer"],
    .away: ["away from the camera", "into the distance"],
  ]

  static let relations: [Scene.Relation: [String]] = [
    .leftOf: ["to the left of", "left of"], .rightOf: ["to the right of", "right of"],
    .inFrontOf: ["in front of"], .behind: ["behind"],
  ]

  static let grounds: [Scene.Ground: [String]] = [
    .checker: ["on a checkered floor", "on a checkerboard", "on a chessboard floor"],
    .grass: ["on grass", "on the grass", "on a lawn", "in a meadow"],
    .sand: ["on sand", "on the sand", "on a sandy beach"],
    .wood: ["on a wooden floor", "on wooden planks", "on a wooden deck"],
    .snow: ["on snow", "in the snow", "on a snowy field"],
    .water: ["on water", "on the water", "on a lake"],
  ]

  static let skies: [Scene.Sky: [String]] = [
    .day: ["on a sunny day", "in daylight", "under a blue sky", "on a bright day"],
    .sunset: ["at sunset", "in the evening light", "under a sunset sky", "at dusk"],
    .night: ["at night", "under a starry sky", "in the moonlight"],
    .overcast: [
      "on a cloudy day", "under an overcast sky", "under a cloudy sky", "on an overcast day",
    ],
  ]

  static let cameras: [Scene.CameraMotion: [String]] = [
    .still: ["the camera is still", "the camera does not move", "static camera"],
    .orbit: [
      "the camera orbits around the scene", "the camera circles the scene",
      "the camera moves around the scene",
    ],
    .dollyIn: ["the camera moves in", "the camera moves closer", "the camera pushes in"],
    .dollyOut: ["the camera pulls back", "the camera moves away", "the camera pulls out"],
    .panLeft: [
      "the camera pans left", "the camera pans to the left", "the camera turns to the left",
    ],
    .panRight: [
      "the camera pans right", "the camera pans to the right", "the camera turns to the right",
    ],
    .rise: ["the camera rises", "the camera moves up", "the camera slowly rises"],
    .shake: ["the camera shakes", "handheld camera", "the camera is shaky"],
  ]

  static let shortCameras: [Scene.CameraMotion: [String]] = [
    .still: ["static camera"], .orbit: ["orbiting camera", "camera orbits"],
    .dollyIn: ["camera moves in", "dolly in"], .dollyOut: ["camera pulls back", "dolly out"],
    .panLeft: ["camera pans left", "pan left"], .panRight: ["camera pans right", "pan right"],
    .rise: ["camera rises", "rising camera"], .shake: ["handheld camera", "shaky camera"],
  ]

  static func plural(_ noun: String) -> String {
    switch noun {
    case "torus": "tori"
    case "octahedron": "octahedra"
    default: noun + "s"
    }
  }
}
