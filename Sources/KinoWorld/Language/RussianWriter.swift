/// Puts a caption plan into Russian.
struct RussianWriter {
  let scene: Scene
  let plan: CaptionPlan
  var random: WorldRandom

  mutating func write() -> String {
    let isFragment = plan.length == .short && plan.groups.count == 1 && random.chance(0.3)
    let clauses = plan.groups.map { clause($0, isFragment: isFragment) }
    var setting: [String] = []
    if plan.tellsGround { setting.append(random.pick(Russian.grounds[scene.ground] ?? [])) }
    if plan.tellsSky { setting.append(random.pick(Russian.skies[scene.sky] ?? [])) }
    let camera = plan.tellsCamera ? random.pick(Russian.cameras[scene.camera.motion] ?? []) : nil
    return CaptionGrammar.assemble(
      clauses: clauses, setting: setting, camera: camera, length: plan.length,
      conjunctions: [", а ", ", и ", ", "], opening: " ", using: &random)
  }

  private mutating func clause(_ group: CaptionPlan.Group, isFragment: Bool) -> String {
    let index = group.indices[0]
    let object = scene.objects[index]
    var words = [nounPhrase(index, group, .nominative, count: group.indices.count)]
    if group.tellsMotion { words += motion(object, group) }
    if let relation = group.relation {
      if !group.tellsMotion { words.append("находится") }
      let choice = random.pick(Russian.relations[relation.relation] ?? [])
      words.append(choice.text)
      words.append(name(relation.second, choice.grammaticalCase))
    }
    // In a fragment the verb may come first: "катится красный шар".
    if isFragment && group.tellsMotion && words.count == 2 && object.partner == nil {
      words.swapAt(0, 1)
    }
    return words.joined(separator: " ")
  }

  private mutating func motion(_ object: Scene.Object, _ group: CaptionPlan.Group) -> [String] {
    let kind = object.motion.kind
    let isPlural = group.indices.count > 1
    if let partner = object.partner, kind == .circle {
      return [
        random.pick(["движется вокруг", "кружит вокруг"]),
        nounPhrase(partner, group, .genitive, count: 1),
      ]
    }
    if let partner = object.partner {
      let verb = random.pick(Russian.hits)
      return [verb.text, nounPhrase(partner, group, verb.grammaticalCase, count: 1)]
        + direction(object, group)
    }
    let verb = random.pick(Russian.verbs[kind] ?? [])
    var words = [isPlural ? verb.plural : verb.singular]
    if !verb.rest.isEmpty { words[0] += " " + verb.rest }
    if kind == .passBehind {
      var adjective = ""
      if plan.tellsWallColour, let wall = scene.wall {
        adjective =
          Declension.decline(Russian.adjective(wall.colour), .feminine, .instrumental) + " "
      }
      words.append("за \(adjective)стеной")
    }
    return words + direction(object, group)
  }

  private mutating func direction(_ object: Scene.Object, _ group: CaptionPlan.Group) -> [String] {
    guard group.tellsDirection, let direction = object.motion.direction else { return [] }
    let way = random.pick(Russian.directions[direction] ?? [])
    return [object.motion.kind == .collide && !way.hasPrefix("с") ? "двигаясь \(way)" : way]
  }

  private mutating func nounPhrase(
    _ index: Int, _ group: CaptionPlan.Group, _ grammaticalCase: Declension.Case, count: Int
  ) -> String {
    let object = scene.objects[index]
    var adjectives: [String] = []
    if group.tellsSize && object.size != .medium {
      adjectives.append(object.size == .small ? "маленький" : "большой")
    }
    adjectives.append(Russian.adjective(object.colour))
    if group.tellsFinish && !object.colour.isMetallic {
      let finish = random.pick(Russian.finishes[object.finish] ?? [])
      let isMaterial = object.finish == .metal || object.finish == .glass
      adjectives.insert(finish, at: isMaterial ? adjectives.count : adjectives.count - 1)
    }
    let noun = random.pick(Russian.nouns[object.shape] ?? [])
    guard count > 1 else {
      let words = adjectives.map { Declension.decline($0, noun.gender, grammaticalCase) }
      return (words + [noun.form(grammaticalCase)]).joined(separator: " ")
    }
    let isFeminine = noun.gender == .feminine
    let number = count == 2 ? (isFeminine ? "две" : "два") : count == 3 ? "три" : "четыре"
    let words = adjectives.map { Declension.plural($0, isGenitive: !isFeminine) }
    return ([number] + words + [noun.genitive]).joined(separator: " ")
  }

  private mutating func name(_ index: Int, _ grammaticalCase: Declension.Case) -> String {
    let object = scene.objects[index]
    let noun = random.pick(Russian.nouns[object.shape] ?? [])
    let tone = Declension.decline(Russian.adjective(object.colour), noun.gender, grammaticalCase)
    return "\(tone) \(noun.form(grammaticalCase))"
  }
}

/// Endings of Russian adjectives, by their dictionary form.
enum Declension {
  enum Case { case nominative, genitive, accusative, instrumental }
  enum Gender { case masculine, feminine, neuter }

  /// Declines a singular adjective that goes with a lifeless noun.
  static func decline(_ adjective: String, _ gender: Gender, _ grammaticalCase: Case) -> String {
    let stem = String(adjective.dropLast(2))
    let kind = Kind(adjective)
    switch (gender, grammaticalCase) {
    case (.masculine, .nominative), (.masculine, .accusative): return adjective
    case (.neuter, .nominative), (.neuter, .accusative):
      return stem + (kind.isSoft || kind.isHissing ? "ее" : "ое")
    case (.masculine, .genitive), (.neuter, .genitive):
      return stem + (kind.isSoft || kind.isHissing ? "его" : "ого")
    case (.masculine, .instrumental), (.neuter, .instrumental):
      return stem + (kind.takesI ? "им" : "ым")
    case (.feminine, .nominative): return stem + (kind.isSoft ? "яя" : "ая")
    case (.feminine, .accusative): return stem + (kind.isSoft ? "юю" : "ую")
    case (.feminine, .genitive), (.feminine, .instrumental):
      return stem + (kind.isSoft || kind.isHissing ? "ей" : "ой")
    }
  }

  /// The plural after a numeral from two to four.
  static func plural(_ adjective: String, isGenitive: Bool) -> String {
    let stem = String(adjective.dropLast(2))
    let vowel = Kind(adjective).takesI ? "и" : "ы"
    return stem + vowel + (isGenitive ? "х" : "е")
  }

  private struct Kind {
    /// синий.
    var isSoft: Bool
    /// блестящий: a hissing stem without stress on the ending.
    var isHissing: Bool
    /// Endings begin with и: маленький, большой.
    var takesI: Bool

    init(_ adjective: String) {
      let stem = adjective.dropLast(2)
      let ending = adjective.suffix(2)
      isSoft = ending == "ий" && stem.hasSuffix("н")
      isHissing = ending == "ий" && stem.hasSuffix("щ")
      takesI = isSoft || isHissing || stem.hasSuffix("к") || stem.hasSuffix("ш")
    }
  }
}

/// Russian words for everything in the world.
enum Russian {
  struct Noun {
    var nominative, genitive, instrumental: String
    var gender: Declension.Gender
    var accusative: String

    init(
      _ nominative: String, _ genitive: String, _ instrumental: String, _ gender: Declension.Gender
    ) {
      (self.nominative, self.genitive, self.instrumental) = (nominative, genitive, instrumental)
      self.gender = gender
      accusative = gender == .feminine ? String(nominative.dropLast()) + "у" : nominative
    }

    func form(_ grammaticalCase: Declension.Case) -> String {
      switch grammaticalCase {
      case .nominative: nominative
      case .genitive: genitive
      case .accusative: accusative
      case .instrumental: instrumental
      }
    }
  }

  struct Verb {
    var singular, plural, rest: String

    init(_ singular: String, _ plural: String, _ rest: String = "") {
      (self.singular, self.plural, self.rest) = (singular, plural, rest)
    }
  }

  typealias Governor = (text: String, grammaticalCase: Declension.Case)

  static let nouns: [Scene.Shape: [Noun]] = [
    .sphere: [Noun("шар", "шара", "шаром", .masculine), Noun("мяч", "мяча", "мячом", .masculine)],
    .cube: [
      Noun("куб", "куба", "кубом", .masculine), Noun("кубик", "кубика", "кубиком", .masculine),
    ],
    .cylinder: [Noun("цилиндр", "цилиндра", "цилиндром", .masculine)],
    .cone: [Noun("конус", "конуса", "конусом", .masculine)],
    .torus: [Noun("кольцо", "кольца", "кольцом", .neuter)],
    .pyramid: [Noun("пирамида", "пирамиды", "пирамидой", .feminine)],
    .capsule: [Noun("капсула", "капсулы", "капсулой", .feminine)],
    .octahedron: [
      Noun("октаэдр", "октаэдра", "октаэдром", .masculine),
      Noun("кристалл", "кристалла", "кристаллом", .masculine),
    ],
    .disc: [Noun("диск", "диска", "диском", .masculine)],
    .brick: [Noun("кирпич", "кирпича", "кирпичом", .masculine)],
  ]

  static func adjective(_ colour: Scene.Colour) -> String {
    switch colour {
    case .red: "красный"
    case .green: "зелёный"
    case .blue: "синий"
    case .yellow: "жёлтый"
    case .orange: "оранжевый"
    case .purple: "фиолетовый"
    case .pink: "розовый"
    case .cyan: "бирюзовый"
    case .white: "белый"
    case .black: "чёрный"
    case .brown: "коричневый"
    case .gray: "серый"
    case .gold: "золотой"
    case .silver: "серебряный"
    }
  }

  static let finishes: [Scene.Finish: [String]] = [
    .matte: ["матовый"], .shiny: ["блестящий", "глянцевый"], .metal: ["металлический"],
    .glass: ["стеклянный", "прозрачный"],
  ]

  static let verbs: [Scene.MotionKind: [Verb]] = [
    .still: [
      Verb("стоит", "стоят", "неподвижно"), Verb("стоит", "стоят"),
      Verb("не движется", "не движутся"),
    ],
    .bounce: [
      Verb("подпрыгивает", "подпрыгивают"), Verb("отскакивает", "отскакивают", "от земли"),
    ],
    .roll: [Verb("катится", "катятся")],
    .slide: [Verb("скользит", "скользят")],
    .spin: [Verb("вращается", "вращаются"), Verb("крутится", "крутятся", "на месте")],
    .circle: [Verb("движется", "движутся", "по кругу"), Verb("едет", "едут", "по кругу")],
    .fall: [Verb("падает", "падают"), Verb("падает", "падают", "сверху")],
    .jump: [Verb("прыгает", "прыгают")],
    .passBehind: [
      Verb("проходит", "проходят"), Verb("движется", "движутся"), Verb("скрывается", "скрываются"),
    ],
  ]

  static let hits: [Governor] = [
    ("сталкивается с", .instrumental), ("врезается в", .accusative), ("ударяет", .accusative),
  ]

  static let directions: [Scene.Direction: [String]] = [
    .left: ["влево", "налево", "справа налево"], .right: ["вправо", "направо", "слева направо"],
    .toward: ["к камере", "навстречу камере"], .away: ["от камеры", "вдаль"],
  ]

  static let relations: [Scene.Relation: [Governor]] = [
    .leftOf: [("слева от", .genitive), ("левее", .genitive)],
    .rightOf: [("справа от", .genitive), ("правее", .genitive)],
    .inFrontOf: [("перед", .instrumental)],
    .behind: [("за", .instrumental), ("позади", .genitive)],
  ]

  static let grounds: [Scene.Ground: [String]] = [
    .checker: ["на клетчатом полу", "на шахматном полу", "на шахматной доске"],
    .grass: ["на траве", "на лужайке", "на зелёной траве"],
    .sand: ["на песке", "на песчаном пляже"],
    .wood: ["на деревянном полу", "на досках", "на паркете"],
    .snow: ["на снегу", "на заснеженном поле"],
    .water: ["на воде", "на поверхности воды", "на озере"],
  ]

  static let skies: [Scene.Sky: [String]] = [
    .day: ["днём", "солнечным днём", "под голубым небом"],
    .sunset: ["на закате", "в лучах заката", "вечером на закате"],
    .night: ["ночью", "под звёздным небом", "лунной ночью"],
    .overcast: ["в пасмурный день", "под пасмурным небом", "в облачную погоду"],
  ]

  static let cameras: [Scene.CameraMotion: [String]] = [
    .still: ["камера неподвижна", "камера не движется"],
    .orbit: ["камера облетает сцену", "камера движется вокруг", "камера кружит вокруг сцены"],
    .dollyIn: ["камера приближается", "камера наезжает"],
    .dollyOut: ["камера отдаляется", "камера отъезжает"],
    .panLeft: ["камера поворачивается влево", "камера поворачивает налево"],
    .panRight: ["камера поворачивается вправо", "камера поворачивает направо"],
    .rise: ["камера поднимается", "камера медленно поднимается"],
    .shake: ["камера трясётся", "камера дрожит"],
  ]
}
