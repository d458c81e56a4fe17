import Foundation
import KinoTestSupport
import Testing

@testable import Kino

@Suite struct VocabularyTests {
  private let vocabulary: ModelProfile.Vocabulary = {
    var vocabulary = ModelProfile.Vocabulary()
    vocabulary.add(["ball", "cube", "block"], to: "things", of: "en")
    vocabulary.add(["bounce", "roll", "hop", "orbit"], to: "motions", of: "en")
    vocabulary.add(["a", "the", "on", "wooden planks"], to: "other", of: "en")
    vocabulary.add(["шар", "кольцо", "пирамида"], to: "things", of: "ru")
    vocabulary.add(["красный", "синий", "жёлтый", "катится"], to: "other", of: "ru")
    return vocabulary
  }()

  @Test(arguments: [
    "A ball!", "the balls' cubes", "ball’s", "blocks bounce, bouncing... BOUNCED",
    "rolls rolled rolling",
    "hops, hopping, hopped", "orbited", "a plank", "красное кольцо", "красного шара",
    "синими шарами",
    "пирамидой", "желтый шар", "катится", "", "…  -- !", "🙂",
  ])
  func `Forms of a listed word are known`(text: String) {
    #expect(vocabulary.unknownWords(in: text) == [])
  }

  @Test(arguments: [
    ("a cat rides a bicycle", ["cat", "rides", "bicycle"]),
    ("Cats, cats and CATS", ["cats", "and"]),
    ("a king's ring", ["king's", "ring"]),
    ("robot on a red-hot ball", ["robot", "red", "hot"]),
    ("кошка катит шар", ["кошка", "катит"]),
    ("3 balls", ["3"]), ("一只猫", ["一只猫"]),
  ])
  func `Other words are named once, in their order`(text: String, unknown: [String]) {
    #expect(vocabulary.unknownWords(in: text) == unknown)
  }

  @Test func `A word is added once, and its forms are not`() {
    var vocabulary = vocabulary
    vocabulary.add(["balls", "rolling", "Cone", "cone", "шаром"], to: "other", of: "en")
    #expect(vocabulary.languages["en"]?["other"] == ["a", "the", "on", "wooden", "planks", "cone"])
  }

  @Test func `A warning proposes words of the prompt's language`() {
    #expect(
      vocabulary.warning(about: "a cat on a ball", model: "tiny")
        == "tiny knows no \"cat\"; it knows: ball, cube, block; motions: bounce, roll, hop, orbit.")
    #expect(
      vocabulary.warning(about: "синяя кошка", model: "tiny")
        == "tiny knows no \"кошка\"; it knows: шар, кольцо, пирамида.")
    #expect(vocabulary.warning(about: "a ball", model: "tiny") == nil)
    let long = (0..<9).map { "x\($0)" }.joined(separator: " ")
    #expect(
      vocabulary.warning(about: long, model: "t")?.contains("\"x5\" and 3 more words;") == true)
  }

  @Test func `Models that list no words give no warning`() throws {
    let folder = try TinyFolder()
    let resolved = try request("a cat rides a bicycle").validated(for: Model(at: folder.model))
    #expect(resolved.warnings.isEmpty)
  }

  @Test func `What a model lists is written and read again`() throws {
    var profile = ModelProfile()
    profile.vocabulary = vocabulary
    profile.minimumSteps = 8
    let data = try JSONEncoder().encode(profile)
    #expect(try JSONDecoder().decode(ModelProfile.self, from: data) == profile)
  }
}
