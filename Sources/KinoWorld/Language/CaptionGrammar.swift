/// Writes captions: many paraphrases of what is visibly true in a scene, and nothing else.
public struct CaptionGrammar: Sendable {
  /// Makes the grammar; it has no settings.
  public init() {}

  /// Describes a scene.
  ///
  /// - Parameters:
  ///   - scene: What to describe.
  ///   - length: How much to tell.
  ///   - language: The language to write in.
  ///   - seed: Chooses among paraphrases; the same seed gives the same caption.
  /// - Returns: One or more sentences.
  public func caption(
    for scene: Scene, length: CaptionLength, language: CaptionLanguage = .english, seed: UInt64
  ) -> String {
    told(of: scene, length: length, language: language, seed: seed).text
  }

  /// Returns a caption together with what it states.
  package func told(
    of scene: Scene, length: CaptionLength, language: CaptionLanguage, seed: UInt64
  ) -> (text: String, statement: SceneStatement) {
    var random = WorldRandom(seed: seed ^ 0x4341_5054_494F_4E53)
    let plan = CaptionPlan(scene, length: length, using: &random)
    let text = write(plan, of: scene, in: language, random: random)
    return (text, plan.statement(of: scene))
  }

  /// Puts a plan into words.
  func write(
    _ plan: CaptionPlan, of scene: Scene, in language: CaptionLanguage, random: WorldRandom
  ) -> String {
    switch language {
    case .english:
      var writer = EnglishWriter(scene: scene, plan: plan, random: random)
      return writer.write()
    case .russian:
      var writer = RussianWriter(scene: scene, plan: plan, random: random)
      return writer.write()
    }
  }

  /// Joins a caption's parts: clauses about objects, then where, when and how it is filmed.
  static func assemble(
    clauses: [String], setting: [String], camera: String?, length: CaptionLength,
    conjunctions: [String], opening: String,
    using random: inout WorldRandom
  ) -> String {
    if length == .short {
      var text = clauses.joined(separator: ", ")
      if !setting.isEmpty {
        text += (random.chance(0.3) ? ", " : " ") + setting.joined(separator: " ")
      }
      if let camera { text += ", " + camera }
      return text
    }
    var sentences: [String] = []
    if length == .sentence {
      var text = clauses[0]
      for clause in clauses.dropFirst() { text += random.pick(conjunctions) + clause }
      sentences = [text]
    } else {
      sentences = clauses
    }
    let place = setting.joined(separator: " ")
    if !place.isEmpty {
      if random.chance(0.35) {
        sentences[0] = place + opening + sentences[0]
      } else {
        sentences[0] += " " + place
      }
    }
    if let camera {
      if length == .sentence && random.chance(0.5) {
        sentences[0] += ", " + camera
      } else {
        sentences.append(camera)
      }
    }
    return sentences.map { $0.prefix(1).uppercased() + $0.dropFirst() + "." }.joined(separator: " ")
  }
}
