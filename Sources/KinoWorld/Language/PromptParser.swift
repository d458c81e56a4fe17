/// Reads English and Russian prompts into statements, ignoring words it does not know.
///
/// It looks for known phrases from left to right and keeps track of who acts: adjectives wait for
/// their noun, verbs and directions go to the latest subject, and what follows "behind", "hits" or
/// "around"
/// becomes the other side of a relation.
struct PromptParser {
  private enum Token: Hashable {
    case word(String)
    /// A comma or semicolon.
    case pause
    /// The end of a sentence.
    case stop
  }

  private struct Adjectives {
    var colour: Scene.Colour?
    var finish: Scene.Finish?
    var size: Scene.Size?
    var count = 1
    var isDefinite = false
  }

  private enum Role {
    case subject, partner, circled
    case related(Scene.Relation)
  }

  private(set) var statement = SceneStatement()
  /// What was read, in order.
  private(set) var meanings: [Meaning] = []
  /// Words that mean nothing here, in lower case, in order.
  private(set) var unreadWords: [String] = []
  /// Whether more objects were named than a scene holds.
  private(set) var isCrowded = false
  private var adjectives = Adjectives()
  private var subject: [Int] = []
  private var subjectActs = false
  private var joins = false
  private var role = Role.subject
  private var waitingMotion: Scene.MotionKind?
  private var waitingDirection: Scene.Direction?
  private var isAboutCamera = false

  /// Letters of a prompt that are read; the rest is ignored.
  static let limit = 4_000

  init(_ prompt: String) {
    let tokens = PromptParser.tokens(of: prompt)
    var position = 0
    while position < tokens.count {
      switch tokens[position] {
      case .word: position += readPhrase(tokens, position)
      case .pause:
        isAboutCamera = false
        role = .subject
        position += 1
      case .stop:
        endSentence()
        position += 1
      }
    }
    endSentence()
  }

  private mutating func readPhrase(_ tokens: [Token], _ position: Int) -> Int {
    var words: [String] = []
    for token in tokens[position..<min(position + 6, tokens.count)] {
      guard case .word(let word) = token else { break }
      words.append(word)
    }
    if isAboutCamera, let match = Lexicon.camera.match(words[...]) {
      read(match.meaning)
      return match.count
    }
    guard let match = Lexicon.general.match(words[...]) else {
      unreadWords += words.prefix(1)
      return 1
    }
    read(match.meaning)
    return match.count
  }

  private mutating func endSentence() {
    attachLooseAdjectives()
    subject = []
    subjectActs = false
    joins = false
    role = .subject
    waitingMotion = nil
    waitingDirection = nil
    isAboutCamera = false
  }

  private mutating func read(_ meaning: Meaning) {
    meanings.append(meaning)
    switch meaning {
    case .colour(let colour): adjectives.colour = colour
    case .finish(let finish): adjectives.finish = finish
    case .size(let size): adjectives.size = size
    case .number(let count): adjectives.count = count
    case .definite: adjectives.isDefinite = true
    case .and:
      joins = true
      role = .subject
    case .shape(let shape): readNoun(shape)
    case .motion(let kind): readMotion(kind)
    case .travel:
      if !isAboutCamera { readMotion(nil) }
    case .direction(let direction): readDirection(direction)
    case .relation(let relation): role = .related(relation)
    case .around:
      if isAboutCamera { break }
      readMotion(.circle)
      role = subject.isEmpty ? .subject : .circled
    case .wall: readWall()
    case .ground(let ground):
      statement.ground = statement.ground ?? ground
      adjectives = Adjectives()
    case .sky(let sky):
      statement.sky = statement.sky ?? sky
      adjectives = Adjectives()
    case .camera:
      isAboutCamera = true
      adjectives = Adjectives()
    case .cameraMotion(let motion):
      statement.camera = statement.camera ?? motion
      adjectives = Adjectives()
    }
  }

  // MARK: Things

  private mutating func readNoun(_ shape: Scene.Shape) {
    isAboutCamera = false
    let isSubject = if case .subject = role { true } else { false }
    let mayRefer = adjectives.isDefinite || !isSubject
    let known = mayRefer ? mentioned(shape) : nil
    let indices = known.map { [$0] } ?? add(shape)
    adjectives = Adjectives()
    defer {
      role = .subject
      joins = false
    }
    guard let other = indices.first else { return }
    switch role {
    case .related(let relation) where !subject.isEmpty:
      let said = SceneStatement.Relation(first: subject[0], relation: relation, second: other)
      if other != subject[0] && !statement.relations.contains(said) {
        statement.relations.append(said)
      }
    case .partner where !subject.isEmpty:
      if other != subject[0] { statement.objects[subject[0]].partner = other }
    case .circled where !subject.isEmpty:
      guard other != subject[0] else { return }
      statement.objects[subject[0]].kind = .circle
      statement.objects[subject[0]].partner = other
    case .subject, .partner, .circled, .related: beginSubject(indices)
    }
  }

  private mutating func beginSubject(_ indices: [Int]) {
    if joins && !subjectActs && !subject.isEmpty { subject += indices } else { subject = indices }
    subjectActs = false
    guard let kind = waitingMotion else { return }
    for index in indices {
      statement.objects[index].kind = statement.objects[index].kind ?? kind
      statement.objects[index].direction = statement.objects[index].direction ?? waitingDirection
    }
    waitingMotion = nil
    waitingDirection = nil
    subjectActs = true
  }

  /// Finds what "the red cube" names: an object with everything said about it, but not the subject
  /// itself.
  private func mentioned(_ shape: Scene.Shape) -> Int? {
    let isSubject = if case .subject = role { true } else { false }
    return statement.objects.indices.first {
      let object = statement.objects[$0]
      if !isSubject && subject.contains($0) { return false }
      return object.shape == shape
        && (adjectives.colour == nil || adjectives.colour == object.colour)
        && (adjectives.finish == nil || adjectives.finish == object.finish)
        && (adjectives.size == nil || adjectives.size == object.size)
    }
  }

  private mutating func add(_ shape: Scene.Shape) -> [Int] {
    let isMetal = adjectives.colour?.isMetallic == true
    let object = SceneStatement.Object(
      shape: shape, colour: adjectives.colour, finish: isMetal ? .metal : adjectives.finish,
      size: adjectives.size == .medium ? nil : adjectives.size)
    let room = 4 - statement.objects.count
    let count = min(adjectives.count, room)
    if count < adjectives.count { isCrowded = true }
    guard count > 0 else { return [] }
    statement.objects += Array(repeating: object, count: count)
    return Array(statement.objects.count - count..<statement.objects.count)
  }

  /// Gives adjectives without a noun ("the ball is red") to the subject.
  private mutating func attachLooseAdjectives() {
    for index in subject {
      if let colour = adjectives.colour, statement.objects[index].colour == nil {
        statement.objects[index].colour = colour
        if colour.isMetallic { statement.objects[index].finish = .metal }
      }
      statement.objects[index].finish = statement.objects[index].finish ?? adjectives.finish
    }
    adjectives = Adjectives()
  }

  private mutating func readWall() {
    let colour = adjectives.colour
    adjectives = Adjectives()
    defer { role = .subject }
    guard case .related(.behind) = role, !subject.isEmpty else { return }
    for index in subject { statement.objects[index].kind = .passBehind }
    if let colour { statement.wallColour = colour }
    subjectActs = true
  }

  // MARK: Actions

  /// Gives the subject a motion; nil means that it travels somehow.
  private mutating func readMotion(_ named: Scene.MotionKind?) {
    if isAboutCamera { return }
    // "stands still" says the same thing twice.
    if subjectActs && (named == .still || subject.contains { statement.objects[$0].kind == named })
    {
      return
    }
    if subject.isEmpty || subjectActs && named != .circle {
      if subject.isEmpty || named != nil { waitingMotion = named ?? .slide }
      return
    }
    for index in subject {
      let travels: Scene.MotionKind = statement.objects[index].shape.canRoll ? .roll : .slide
      let old = statement.objects[index].kind
      if old == nil || old == travels && named == .circle {
        statement.objects[index].kind = named ?? travels
      }
    }
    subjectActs = true
    role = named == .collide ? .partner : .subject
  }

  private mutating func readDirection(_ direction: Scene.Direction) {
    if isAboutCamera { return }
    if waitingMotion != nil {
      waitingDirection = direction
      return
    }
    for index in subject where statement.objects[index].direction == nil {
      statement.objects[index].direction = direction
    }
  }

  // MARK: Words

  private static func tokens(of prompt: String) -> [Token] {
    var tokens: [Token] = []
    var word = ""
    func finish() {
      if !word.isEmpty { tokens.append(.word(word)) }
      word = ""
    }
    for character in String(prompt.prefix(limit)).lowercased() {
      switch character {
      case ".", "!", "?", "\n", "…":
        finish()
        tokens.append(.stop)
      case ",", ";", ":", "—", "–":
        finish()
        tokens.append(.pause)
      case "ё": word.append("е")
      default:
        if character.isLetter || character.isNumber { word.append(character) } else { finish() }
      }
    }
    finish()
    return tokens
  }
}

extension Scene {
  /// Makes a scene that shows what a prompt asks for.
  ///
  /// Reads English and Russian; words it does not know are ignored, and what the prompt leaves open
  /// is drawn from the prompt's own hash, so that the same prompt always gives the same scene.
  ///
  /// - Parameter prompt: For example "a shiny red ball bounces past a blue cube at sunset".
  /// - Throws: ``WorldError`` if no word names anything in this world.
  public init(parsing prompt: String) throws {
    let statement = PromptParser(prompt).statement
    guard !statement.isEmpty else { throw WorldError.nothingUnderstood(prompt) }
    var random = WorldRandom(seed: WorldRandom.hash(prompt.prefix(PromptParser.limit).lowercased()))
    self = SceneDraft(statement, using: &random).scene(using: &random)
  }
}

extension WorldError {
  static func nothingUnderstood(_ prompt: String) -> WorldError {
    WorldError(
      code: .nothingUnderstood,
      details: """
        found nothing to show in the prompt "\(prompt.prefix(60))"; name a shape (ball, cube, \
        cylinder, cone, ring, pyramid, capsule, diamond, disc, brick), with a colour and a motion \
        (bounces, rolls, slides, spins, falls, jumps), for example "a red ball bounces on grass"
        """)
  }
}
