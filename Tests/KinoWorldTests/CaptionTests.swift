import Testing

@testable import KinoWorld

struct CaptionTests {
  @Test(arguments: CaptionLanguage.allCases, CaptionLength.allCases)
  func `A caption read back states what it was made from`(
    _ language: CaptionLanguage, _ length: CaptionLength
  ) throws {
    let grammar = CaptionGrammar()
    var failures: [String] = []
    for seed in 0..<1500 as Range<UInt64> {
      let scene = Scene.random(seed: seed, split: .any)
      let (text, statement) = grammar.told(of: scene, length: length, language: language, seed: seed)
      let read = PromptParser(text).statement
      if read != statement { failures.append("\(seed): \(text)\n   told \(statement)\n   read \(read)") }
    }
    #expect(failures.isEmpty, "\(failures.count) of 1500, such as\n\(failures.prefix(4).joined(separator: "\n"))")
  }
}
