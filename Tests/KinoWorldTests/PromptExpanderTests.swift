import Testing

@testable import KinoWorld

struct PromptExpanderTests {
  let expander = PromptExpander()

  /// What a text states.
  func statement(of text: String) -> SceneStatement { PromptParser(text).statement }

  @Test(arguments: CaptionLanguage.allCases, [CaptionLength.short, .sentence])
  func `Whatever a caption says is kept, and nothing is left open`(
    _ language: CaptionLanguage, _ length: CaptionLength
  ) {
    var unchanged: [String] = []
    for seed in 0..<300 as Range<UInt64> {
      let scene = Scene.random(seed: seed, split: .any)
      let prompt = CaptionGrammar().caption(
        for: scene, length: length, language: language, seed: seed)
      let (text, warning) = expander.expand(prompt, seed: seed &* 31)
      if warning != nil {
        #expect(text == prompt)
        unchanged.append(prompt)
        continue
      }
      let told = statement(of: text)
      #expect(told.contains(statement(of: prompt)), "\(prompt) -> \(text)")
      #expect(told.isComplete, "\(prompt) -> \(text)")
      #expect(PromptParser(text).unreadWords.allSatisfy(CaptionWords.known.contains), "\(text)")
      #expect(text == prompt || text.count > prompt.count / 2)
    }
    #expect(unchanged.count <= 3, "\(unchanged.count) of 300: \(unchanged.prefix(8))")
  }

  @Test(arguments: [
    ("red ball", CaptionLanguage.english), ("a cube jumps at night", .english),
    ("rolling cube", .english), ("two glass rings", .english), ("sunset on the beach", .english),
    ("a shiny gold coin", .english), ("a ball hits a cube", .english),
    ("a cone behind a blue cube", .english), ("camera pans left", .english),
    ("a diamond moves to the left", .english), ("one ball circles around a cylinder", .english),
    ("a torus that spins in place, handheld camera", .english),
    ("красный шар", .russian), ("куб прыгает ночью", .russian), ("три конуса", .russian),
    ("закат на пляже", .russian), ("синий шар врезается в куб", .russian),
    ("маленькая пирамида слева от цилиндра", .russian),
  ])
  func `A few words become a full description in their language`(
    _ prompt: String, _ language: CaptionLanguage
  ) {
    for seed in 0..<40 as Range<UInt64> {
      let (text, warning) = expander.expand(prompt, seed: seed)
      #expect(warning == nil, "\(prompt)")
      #expect(statement(of: text).contains(statement(of: prompt)), "\(prompt) -> \(text)")
      #expect(statement(of: text).isComplete, "\(text)")
      #expect(text.first?.isUppercase == true && text.last == ".", "\(text)")
      let isCyrillic = text.unicodeScalars.contains { 0x400...0x4FF ~= $0.value }
      #expect(isCyrillic == (language == .russian), "\(text)")
    }
  }

  @Test func `The seed decides, and seeds differ in all that is left open`() {
    let texts = (0..<60 as Range<UInt64>).map { expander.expand("red ball", seed: $0).prompt }
    #expect(texts == (0..<60 as Range<UInt64>).map { expander.expand("red ball", seed: $0).prompt })
    let told = texts.map(statement)
    #expect(Set(told.map(\.ground)).count == Scene.Ground.allCases.count)
    #expect(Set(told.map(\.sky)).count == Scene.Sky.allCases.count)
    #expect(Set(told.compactMap(\.objects.first?.kind)).count > 6)
    #expect(Set(told.compactMap(\.objects.first?.finish)).count == Scene.Finish.allCases.count)
    #expect(told.allSatisfy { $0.objects.first?.colour == .red })
  }

  @Test func `Held-out combinations are not avoided`() {
    // One in twenty colours and finishes of a shape is held out.
    let heldOut = (0..<400 as Range<UInt64>).count { seed in
      statement(of: expander.expand("a cone", seed: seed).prompt).objects.contains {
        guard let colour = $0.colour, let finish = $0.finish else { return false }
        return Scene.isHeldOut($0.shape, colour, finish)
      }
    }
    #expect((4...60).contains(heldOut), "\(heldOut) of 400")
  }

  @Test func `A full description is left alone`() {
    for language in CaptionLanguage.allCases {
      let short = language == .english ? "red ball" : "красный шар"
      for seed in 0..<30 as Range<UInt64> {
        let text = expander.expand(short, seed: seed).prompt
        let again = expander.expand(text, seed: seed + 1)
        #expect(again.prompt == text && again.warning == nil)
      }
    }
  }

  @Test(arguments: [
    ("a cat on grass", "\"cat\""), ("красный слон прыгает", "\"слон\""),
    ("a red ball, a blue ball, a green ball, a white ball and a black ball", "four things"),
    ("", "names nothing"), ("the of and", "names nothing"), ("🎈", "names nothing"),
    ("a red and blue ball", "one description"), ("a ball jumps and spins", "one description"),
    ("a ball on grass on snow", "one description"),
    (String(repeating: "red ball ", count: 1000), "characters"),
  ])
  func `What cannot be told leaves the prompt as it is, with a reason`(
    _ prompt: String, _ reason: String
  ) {
    let (text, warning) = expander.expand(prompt, seed: 1)
    #expect(text == prompt)
    #expect(warning?.contains(reason) == true, "\(warning ?? "none")")
    #expect(warning?.hasSuffix(".") == true)
  }

  @Test func `Whatever words come together, all is kept or nothing is changed`() {
    let pieces = [
      "ball", "cube", "behind", "hits", "around", "the", "two", "and", ".", ",", "wall", "camera",
      "left of", "rolls", "куб", "за", "four", "orbits", "red", "still", "jumping", "at night",
      "on sand", "pans right", "toward the camera", "gold", "glass", "small",
    ]
    var random = WorldRandom(seed: 7)
    var changed = 0
    for round in 0..<300 as Range<UInt64> {
      let prompt = (0..<1 + random.index(9)).map { _ in random.pick(pieces) }.joined(separator: " ")
      let (text, warning) = expander.expand(prompt, seed: round)
      if warning != nil { #expect(text == prompt) }
      if text != prompt { changed += 1 }
      #expect(statement(of: text).contains(statement(of: prompt)), "\(prompt) -> \(text)")
    }
    #expect(changed > 100, "\(changed)")
  }

  @Test func `A statement contains itself and less, whatever the order of its objects`() {
    let whole = statement(of: "A red ball spins. A blue cube stands left of the red ball on sand.")
    #expect(whole.contains(whole) && whole.contains(SceneStatement()))
    #expect(whole.contains(statement(of: "a cube, a ball that spins")))
    #expect(whole.contains(statement(of: "a red ball to the right of a cube")))
    #expect(!whole.contains(statement(of: "a red ball to the left of a cube")))
    #expect(!whole.contains(statement(of: "two balls")))
    #expect(!whole.contains(statement(of: "a blue cube spins")))
    #expect(!whole.contains(statement(of: "a ball on snow")))
  }
}
