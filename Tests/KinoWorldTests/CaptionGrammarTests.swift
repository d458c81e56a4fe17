import Testing

@testable import KinoWorld

struct CaptionGrammarTests {
  @Test(arguments: CaptionLanguage.allCases, CaptionLength.allCases)
  func `A caption read back states what it was made from`(
    _ language: CaptionLanguage, _ length: CaptionLength
  ) {
    let grammar = CaptionGrammar()
    var failures: [String] = []
    for seed in 0..<800 as Range<UInt64> {
      let scene = Scene.random(seed: seed, split: .any)
      let (text, told) = grammar.told(of: scene, length: length, language: language, seed: seed)
      if PromptParser(text).statement != told { failures.append("\(seed): \(text)") }
    }
    #expect(failures.isEmpty, "\(failures.count) of 800, such as \(failures.prefix(5))")
  }

  @Test(arguments: CaptionLanguage.allCases)
  func `A scene parsed from a full caption shows everything that was stated`(
    _ language: CaptionLanguage
  ) throws {
    let grammar = CaptionGrammar()
    for seed in 0..<300 as Range<UInt64> {
      let original = Scene.random(seed: seed)
      let (text, told) = grammar.told(of: original, length: .full, language: language, seed: seed)
      let scene = try Scene(parsing: text)
      #expect(scene.objects.count == original.objects.count, "\(text)")
      for (object, said) in zip(scene.objects, told.objects) {
        #expect(object.shape == said.shape && object.colour == said.colour, "\(text)")
        #expect(object.finish == said.finish && object.size == said.size ?? .medium, "\(text)")
        #expect(object.motion.kind == said.kind ?? .still, "\(text)")
        if let direction = said.direction {
          #expect(object.motion.direction == direction, "\(text)")
        }
      }
      for relation in told.relations {
        let shown = scene.relation(of: relation.first, to: relation.second)
        #expect(shown == relation.relation, "\(text)")
      }
      #expect(scene.ground == original.ground && scene.sky == original.sky, "\(text)")
      #expect(told.camera == nil || scene.camera.motion == original.camera.motion, "\(text)")
    }
  }

  @Test func `Captions vary with the seed and repeat with it`() {
    let scene = Scene.random(seed: 3)
    let grammar = CaptionGrammar()
    let captions = (0..<40 as Range<UInt64>).map {
      grammar.caption(for: scene, length: .full, language: .english, seed: $0)
    }
    #expect(Set(captions).count > 20)
    #expect(captions[7] == grammar.caption(for: scene, length: .full, language: .english, seed: 7))
  }

  @Test func `Lengths differ as their names say`() {
    let grammar = CaptionGrammar()
    var letters: [CaptionLength: Int] = [:]
    for seed in 0..<100 as Range<UInt64> {
      let scene = Scene.random(seed: seed)
      for length in CaptionLength.allCases {
        letters[length, default: 0] += grammar.caption(for: scene, length: length, seed: seed).count
      }
    }
    #expect((letters[.short] ?? 0) * 3 / 2 < letters[.sentence] ?? 0)
    #expect(letters[.sentence] ?? 0 < letters[.full] ?? 0)
  }

  @Test(arguments: [
    ("красный", "красное", "красного", "красным", "красную"),
    ("синий", "синее", "синего", "синим", "синюю"),
    ("блестящий", "блестящее", "блестящего", "блестящим", "блестящую"),
    ("маленький", "маленькое", "маленького", "маленьким", "маленькую"),
    ("большой", "большое", "большого", "большим", "большую"),
    ("золотой", "золотое", "золотого", "золотым", "золотую"),
  ])
  func `Russian adjectives agree`(
    _ masculine: String, _ neuter: String, _ genitive: String, _ instrumental: String,
    _ accusative: String
  ) {
    #expect(Declension.decline(masculine, .masculine, .accusative) == masculine)
    #expect(Declension.decline(masculine, .neuter, .nominative) == neuter)
    #expect(Declension.decline(masculine, .masculine, .genitive) == genitive)
    #expect(Declension.decline(masculine, .neuter, .instrumental) == instrumental)
    #expect(Declension.decline(masculine, .feminine, .accusative) == accusative)
  }
}
