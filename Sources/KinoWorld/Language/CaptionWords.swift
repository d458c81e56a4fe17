/// The words of the grammar's captions in one language, by what they tell.
///
/// A model's folder lists them, so that a prompt with other words can be told from one that the model
/// was trained on.
public struct CaptionWords: Hashable, Sendable {
  /// Words that tell the same kind of thing.
  public struct Group: Hashable, Sendable {
    /// `things`, `colours`, `finishes`, `sizes`, `motions`, `grounds`, `skies`, `cameras`, `function`
    /// or `other`.
    public let name: String
    /// In lower case, each word in one group alone: in the first groups as a dictionary has them, in
    /// `other` in every further form.
    public let words: [String]
  }

  /// The groups, in the order above.
  public let groups: [Group]

  /// Collects the words out of the grammar's tables and out of captions of many scenes.
  ///
  /// - Parameters:
  ///   - language: The language of the captions.
  ///   - lengths: The lengths of captions that are written; the camera is told in other words in short
  ///     ones.
  ///   - sceneCount: How many scenes are described.
  public init(
    _ language: CaptionLanguage, lengths: [CaptionLength] = CaptionLength.allCases,
    sceneCount: Int = 3000
  ) {
    let tables = language == .english ? Tables.english : Tables.russian
    let written = Self.written(language, lengths, sceneCount)
    var taken = Set(tables.function)
    func group(_ name: String, _ phrases: [String]) -> Group {
      Group(name: name, words: phrases.flatMap(Self.words).filter { taken.insert($0).inserted })
    }
    var groups = tables.groups.map { group($0.name, $0.phrases) }
    groups.append(
      group("cameras", tables.cameras.flatMap(Self.words).filter(written.contains)))
    groups.append(Group(name: "function", words: tables.function))
    groups.append(group("other", tables.forms + written.sorted()))
    self.groups = groups
  }

  /// Every word of captions of many scenes.
  private static func written(
    _ language: CaptionLanguage, _ lengths: [CaptionLength], _ sceneCount: Int
  ) -> Set<String> {
    let grammar = CaptionGrammar()
    var found: Set<String> = []
    for seed in 0..<UInt64(sceneCount) {
      let scene = Scene.random(seed: seed, split: .any)
      for length in lengths {
        found.formUnion(
          words(grammar.caption(for: scene, length: length, language: language, seed: seed)))
      }
    }
    return found
  }

  /// The words of both languages' captions, as prompts are read: in lower case and without ё.
  static let known: Set<String> = {
    let tables = [Tables.english, Tables.russian]
    let phrases = tables.flatMap { $0.groups.flatMap(\.phrases) + $0.cameras + $0.forms }
    let all = phrases.flatMap(words) + tables.flatMap(\.function) + ["находится", "находятся"]
    return Set(all.map { $0.replacing("ё", with: "е") })
  }()

  private static func words(_ text: String) -> [String] {
    text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
  }
}

/// The grammar's tables in the order of groups.
private struct Tables {
  var groups: [(name: String, phrases: [String])]
  var cameras: [String]
  /// Words that join others and show nothing. Some are in no caption, and need no warning.
  var function: [String]
  /// Forms and phrases beyond the dictionary's.
  var forms: [String]

  /// The values of a table, in the order of the world's vocabulary.
  private static func row<Key: CaseIterable & Hashable, Value>(_ table: [Key: [Value]]) -> [Value] {
    Key.allCases.flatMap { table[$0] ?? [] }
  }

  static let english: Tables = {
    let verbs = row(English.verbs) + English.circling
    let nouns = row(English.nouns)
    return Tables(
      groups: [
        ("things", nouns + ["wall"]), ("colours", row(English.colours)),
        ("finishes", row(English.finishes)), ("sizes", row(English.sizes)),
        ("motions", verbs.map(\.plural)), ("grounds", row(English.grounds)),
        ("skies", row(English.skies)),
      ],
      cameras: ["camera"] + row(English.cameras) + row(English.shortCameras),
      function: """
        a an the and or of in on at to from with by for as is are be it its this that there while
        """.split(separator: " ").map(String.init),
      forms: verbs.flatMap { [$0.singular, $0.participle, $0.rest] } + nouns.map(English.plural)
        + row(English.directions) + row(English.relations) + English.numbers.dropFirst(2))
  }()

  static let russian: Tables = {
    let verbs = row(Russian.verbs)
    let hits = Russian.hits.map(\.text)
    return Tables(
      groups: [
        ("things", row(Russian.nouns).map(\.nominative) + ["стена"]),
        ("colours", Scene.Colour.allCases.map(Russian.adjective)),
        ("finishes", row(Russian.finishes)), ("sizes", ["маленький", "большой"]),
        ("motions", verbs.map(\.singular).filter { !$0.hasPrefix("не ") } + hits + ["кружит"]),
        ("grounds", row(Russian.grounds)), ("skies", row(Russian.skies)),
      ],
      cameras: ["камера"] + row(Russian.cameras),
      function: """
        и а но или в во на с со к от из у о по за под для это этот эта тот он она оно они его её их \
        не
        """.split(separator: " ").map(String.init),
      forms: verbs.flatMap { [$0.singular, $0.plural, $0.rest] } + row(Russian.directions)
        + row(Russian.relations).map(\.text))
  }()
}
