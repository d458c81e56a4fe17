/// Turns a short prompt into the full description of a scene, as models of this world are trained
/// on.
///
/// What the prompt says is kept, what it leaves open is drawn, and all of it is written in the
/// prompt's language: "red ball at night" may become "A big shiny red ball rolls to the left on
/// snow at night. The camera is still."
public struct PromptExpander: Sendable {
  /// Makes an expander; it has no settings.
  public init() {}

  /// Describes a scene that shows what a prompt asks for.
  ///
  /// - Parameters:
  ///   - prompt: In English or Russian.
  ///   - seed: Chooses what is left open; the same seed gives the same description.
  /// - Returns: The description, or the prompt as it is with the reason: words that name nothing in
  ///   this world, or more than one description can tell. A prompt that leaves nothing open is
  ///   returned as it is, without a warning.
  public func expand(_ prompt: String, seed: UInt64) -> (prompt: String, warning: String?) {
    func unchanged(_ reason: String) -> (prompt: String, warning: String?) {
      (prompt, "The prompt is used as it is: \(reason).")
    }
    if prompt.count > PromptParser.limit {
      return unchanged("more than \(PromptParser.limit) characters are not read")
    }
    let said = PromptParser(prompt)
    let unknown = said.unreadWords.filter { !CaptionWords.known.contains($0) }
    if !unknown.isEmpty {
      let words = unknown.prefix(6).map { "\"\($0.prefix(40))\"" }.joined(separator: ", ")
      return unchanged(
        "the world of shapes has no \(words)\(unknown.count > 6 ? " and others" : "")")
    }
    if said.isCrowded { return unchanged("more than four things are too many for one scene") }
    if said.statement.isEmpty { return unchanged("it names nothing that can be shown") }
    if said.statement.isComplete { return (prompt, nil) }
    var random = WorldRandom(seed: seed ^ 0x4558_5041_4E44)
    for _ in 0..<16 {
      let text = description(of: said.statement, in: language(of: prompt), using: &random)
      if said.isKept(in: PromptParser(text)) { return (text, nil) }
    }
    return unchanged("it says more than one description can tell")
  }

  private func description(
    of said: SceneStatement, in language: CaptionLanguage, using random: inout WorldRandom
  ) -> String {
    var scene = SceneDraft(completing: said, using: &random).scene(using: &random)
    // What this world cannot show, such as a cube that rolls, is written all the same.
    for (index, object) in said.objects.enumerated() {
      if let kind = object.kind { scene.objects[index].motion.kind = kind }
      if let direction = object.direction { scene.objects[index].motion.direction = direction }
      if let partner = object.partner { scene.objects[index].partner = partner }
    }
    var plan = CaptionPlan(scene, length: .full, using: &random)
    for index in plan.groups.indices { plan.groups[index].tellsMotion = true }
    if said.camera != nil { plan.tellsCamera = true }
    for relation in said.relations { plan.tell(relation) }
    return CaptionGrammar().write(plan, of: scene, in: language, random: random)
  }

  /// The language of most letters.
  private func language(of prompt: String) -> CaptionLanguage {
    let letters = prompt.unicodeScalars.filter(\.properties.isAlphabetic)
    return letters.count { 0x400...0x4FF ~= $0.value } * 2 > letters.count ? .russian : .english
  }
}

extension CaptionPlan {
  /// Tells a relation where the later of its objects is told.
  fileprivate mutating func tell(_ relation: SceneStatement.Relation) {
    func group(of object: Int) -> Int? { groups.firstIndex { $0.indices == [object] } }
    guard let first = group(of: relation.first), let second = group(of: relation.second) else {
      return
    }
    groups[max(first, second)].relation =
      first > second
      ? relation
      : SceneStatement.Relation(
        first: relation.second, relation: relation.relation.inverse, second: relation.first)
  }
}

extension PromptParser {
  /// Whether another text says all that this one says, also what a statement has no room for, such
  /// as a second colour.
  fileprivate func isKept(in other: PromptParser) -> Bool {
    let hasMetal = statement.objects.contains { $0.colour?.isMetallic == true }
    let told = Set(other.meanings)
    return other.statement.contains(statement)
      && meanings.allSatisfy { meaning in
        switch meaning {
        case .shape, .colour, .direction, .ground, .sky, .cameraMotion, .motion:
          told.contains(meaning)
        // Gold is metal, whatever else is said of it.
        case .finish: hasMetal || told.contains(meaning)
        case .size(let size): size == .medium || told.contains(meaning)
        // In the statement, or nothing that is seen.
        case .number, .travel, .relation, .around, .wall, .camera, .definite, .and: true
        }
      }
  }
}
