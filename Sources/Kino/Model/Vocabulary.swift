extension ModelProfile {
  /// The words that a model was trained on: what it was never shown, it can't show.
  ///
  /// A form of a listed word counts as listed: an English plural or verb form, a Russian case.
  public struct Vocabulary: Hashable, Sendable {
    /// Words by language, such as `en`, then by what they tell, such as `things`.
    ///
    /// The groups `things` and `motions` are what a warning proposes; a model may have any others.
    public var languages: [String: [String: [String]]]

    /// Lists words by language and group.
    public init(_ languages: [String: [String: [String]]] = [:]) { self.languages = languages }

    /// Adds to a group the words that no listed word is a form of, in their order.
    ///
    /// - Parameters:
    ///   - words: In any case; what is no word is left out.
    ///   - group: The group; it is made if one of the words is new.
    ///   - language: The language; likewise.
    public mutating func add(_ words: some Sequence<String>, to group: String, of language: String)
    {
      var known = knownForms
      for word in words.flatMap(WordForm.words)
      where !WordForm.bases(of: word).contains(where: known.contains) {
        known.formUnion(WordForm.listed(word))
        languages[language, default: [:]][group, default: []].append(word)
      }
    }

    /// How many words are listed.
    public var wordCount: Int { allWords.count }

    /// The words of a text that are not listed, each once, in their order and in lower case.
    public func unknownWords(in text: String) -> [String] {
      let known = knownForms
      var seen: Set<String> = []
      return WordForm.words(of: text).filter { word in
        !WordForm.bases(of: word).contains(where: known.contains) && seen.insert(word).inserted
      }
    }

    /// Names a prompt's unknown words and proposes others; `nil` if all are listed.
    func warning(about prompt: String, model: String) -> String? {
      let unknown = unknownWords(in: prompt)
      guard !unknown.isEmpty else { return nil }
      let most = 6
      let named = unknown.prefix(most).map { "\"\($0.prefix(40))\"" }.joined(separator: ", ")
      let rest = unknown.count > most ? " and \(unknown.count - most) more words" : ""
      let groups = language(of: prompt)
      var text = "\(model) knows no \(named)\(rest)"
      if let things = groups["things"] { text += "; it knows: " + things.joined(separator: ", ") }
      if let motions = groups["motions"] { text += "; motions: " + motions.joined(separator: ", ") }
      return text + "."
    }

    private var allWords: [String] { languages.values.flatMap(\.values).flatMap(\.self) }

    private var knownForms: Set<String> { Set(allWords.flatMap(WordForm.listed)) }

    /// The groups of the language that has most of a text's letters.
    private func language(of text: String) -> [String: [String]] {
      let letters = text.lowercased().filter(\.isLetter)
      let best = languages.max { first, second in
        func score(_ groups: [String: [String]]) -> Int {
          let own = Set(groups.values.flatMap(\.self).flatMap { $0.lowercased() })
          return letters.reduce(0) { $0 + (own.contains($1) ? 1 : 0) }
        }
        return (score(first.value), second.key) < (score(second.value), first.key)
      }
      return best?.value ?? [:]
    }
  }
}

extension ModelProfile.Vocabulary: Codable {
  /// Reads an object of languages, each an object of groups, each an array of words.
  public init(from decoder: any Decoder) throws {
    languages = try decoder.singleValueContainer().decode([String: [String: [String]]].self)
  }

  /// Writes what ``init(from:)`` reads.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(languages)
  }
}

/// Words and what they are forms of, by endings alone.
enum WordForm {
  /// The words of a text in lower case; an apostrophe within a word belongs to it.
  static func words(of text: String) -> [String] {
    text.lowercased().replacing("’", with: "'")
      .split { !$0.isLetter && !$0.isNumber && $0 != "'" }
      .compactMap { word in
        let start = word.drop { $0 == "'" }
        return start.lastIndex { $0 != "'" }.map { String(start[...$0]) }
      }
  }

  /// A word, and the words that it may be a form of.
  static func bases(of word: String) -> [String] {
    let word = plain(word)
    return isCyrillic(word) ? [word, russianStem(word)] : englishBases(word)
  }

  /// What stands for a listed word when others are compared with it.
  static func listed(_ word: String) -> [String] {
    let word = plain(word)
    if isCyrillic(word) { return [word, russianStem(word)] }
    // "planks" also allows a plank; shorter words would allow too much, as "does" a doe.
    let isPlural = word.count > 4 && word.hasSuffix("s") && !word.hasSuffix("ss")
    return isPlural ? [word, String(word.dropLast())] : [word]
  }

  private static func plain(_ word: String) -> String {
    word.lowercased().replacing("ё", with: "е")
  }

  private static func isCyrillic(_ word: String) -> Bool {
    word.unicodeScalars.contains { 0x400...0x4FF ~= $0.value }
  }

  private static func englishBases(_ word: String) -> [String] {
    if word.hasSuffix("'s") { return englishBases(String(word.dropLast(2))) }
    var bases = [word]
    func add(_ stem: Substring, _ ending: String = "") {
      if stem.count >= 2 { bases.append(stem + ending) }
    }
    if word.hasSuffix("s") && !word.hasSuffix("ss") { add(word.dropLast()) }
    if word.hasSuffix("es") { add(word.dropLast(2)) }
    if word.hasSuffix("ies") { add(word.dropLast(3), "y") }
    for ending in ["ing", "ed"] where word.hasSuffix(ending) {
      let stem = word.dropLast(ending.count)
      add(stem)
      add(stem, "e")
      // "hopping", "spinning".
      if let last = stem.last, stem.dropLast().last == last { add(stem.dropLast()) }
    }
    return bases
  }

  /// Endings of nouns and adjectives, the longest first.
  private static let russianEndings = [
    "ыми", "ими", "ами", "ями", "ого", "его", "ому", "ему", "ый", "ий", "ой", "ей", "ая", "яя",
    "ое", "ее", "ую", "юю", "ым", "им", "ом", "ем", "ых", "их", "ые", "ие", "ам", "ям", "ах", "ях",
    "ов", "ев", "ью", "а", "я", "о", "е", "ы", "и", "у", "ю", "ь",
  ]

  private static func russianStem(_ word: String) -> String {
    for ending in russianEndings where word.hasSuffix(ending) && word.count >= ending.count + 3 {
      return String(word.dropLast(ending.count))
    }
    return word
  }
}
