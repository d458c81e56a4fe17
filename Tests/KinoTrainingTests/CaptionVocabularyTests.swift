import Foundation
import Kino
import KinoTestSupport
import KinoWorld
import Testing

@testable import KinoTraining

@Suite("The words that a model is trained on")
struct CaptionVocabularyTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private static func configuration() throws -> TrainingConfiguration {
    try TrainingConfiguration(
      contentsOf: root.appendingPathComponent("Configurations/mini-transformer.yaml"))
  }

  private static let bundled = Result { () throws -> ModelProfile in
    let file = root.appendingPathComponent("Models/kino-mini/kino.json")
    return try JSONDecoder().decode(ModelProfile.self, from: Data(contentsOf: file))
  }

  @Test("the bundled model lists those of its captions")
  func bundledAgrees() throws {
    let configuration = try Self.configuration()
    let profile = try Self.bundled.get()
    #expect(
      try profile.vocabulary == ModelProfile.Vocabulary(trainedOn: configuration),
      "make it again with kino train Configurations/mini-transformer.yaml --describe Models/kino-mini"
    )
    #expect(profile.minimumSteps == configuration.transformer?.defaults.minimumSteps)
    #expect((profile.vocabulary?.wordCount ?? 0) < 500)
  }

  @Test("no caption gives a warning", arguments: CaptionLanguage.allCases, CaptionLength.allCases)
  func captionsAreKnown(language: CaptionLanguage, length: CaptionLength) throws {
    let vocabulary = try #require(try Self.bundled.get().vocabulary)
    var unknown: Set<String> = []
    for seed in 50_000..<50_500 as Range<UInt64> {
      let caption = CaptionGrammar().caption(
        for: .random(seed: seed), length: length, language: language, seed: seed)
      unknown.formUnion(vocabulary.unknownWords(in: caption))
    }
    #expect(unknown.isEmpty)
  }

  @Test(
    "what is not in the world is named",
    arguments: [
      ("a cat rides a bicycle", ["cat", "rides", "bicycle"]),
      ("a red ball, photorealistic, 4k", ["photorealistic", "4k"]),
      ("a table and a bear", ["table", "bear"]),
      ("рыжая кошка на столе", ["рыжая", "кошка", "столе"]),
      ("a shiny red ball bounces on the grass at sunset", []),
      ("three golden rings spinning on a wooden deck", []),
      ("большой красный шар катится по зелёной траве ночью", []),
    ])
  func others(prompt: String, unknown: [String]) throws {
    let vocabulary = try #require(try Self.bundled.get().vocabulary)
    #expect(vocabulary.unknownWords(in: prompt) == unknown)
  }

  @Test("every listed thing and motion is a word of the world")
  func listedAreWorldly() throws {
    let vocabulary = try #require(try Self.bundled.get().vocabulary)
    for language in ["en", "ru"] {
      let groups = try #require(vocabulary.languages[language])
      #expect(
        Set(groups.keys) == [
          "things", "colours", "finishes", "sizes", "motions", "grounds", "skies", "cameras",
          "function", "other",
        ])
      for word in groups["things", default: []] where !["wall", "стена"].contains(word) {
        #expect(throws: Never.self) { try Scene(parsing: word) }
      }
    }
  }

  @Test("captions of folders are listed too, and an autoencoder has none")
  func folders() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    try folder.write(
      #"{"file": "a.png", "caption": "a red tram in the rain"}"#, "manifest.jsonl")
    var configuration = try Self.configuration()
    configuration.data.folders = [.init(path: folder.url.path, weight: 1)]
    configuration.transformer?.russian = 0
    let vocabulary = try #require(try ModelProfile.Vocabulary(trainedOn: configuration))
    #expect(vocabulary.languages["ru"] == nil)
    #expect(vocabulary.languages["data"] == ["other": ["tram", "rain"]])
    configuration.transformer = nil
    #expect(try ModelProfile.Vocabulary(trainedOn: configuration) == nil)
  }
}

@Suite("The configurations of the repository")
struct ShippedConfigurationTests {
  @Test("are all valid")
  func valid() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Configurations")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".yaml") }
    #expect(names.count > 3)
    for name in names {
      #expect(throws: Never.self, "\(name)") {
        try TrainingConfiguration(contentsOf: folder.appendingPathComponent(name))
      }
    }
  }
}

@Suite("A configuration's text")
struct ConfigurationTextTests {
  @Test("with aliases is refused: a few lines of them would fill the memory")
  func aliases() throws {
    let folder = try TemporaryFolder()
    var lines = ["a0: &a0 [x, x]"]
    for level in 1...30 { lines.append("a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]") }
    let url = folder["bomb.yaml"]
    try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    let error = #expect(throws: TrainingError.self) { try TrainingConfiguration(contentsOf: url) }
    #expect(error?.details.contains("line 2: the alias *a0") == true)
  }
}
