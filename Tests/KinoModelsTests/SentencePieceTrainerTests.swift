import Foundation
import KinoTestSupport
import Testing

@testable import KinoModels

@Suite struct SentencePieceTrainerTests {
  private static let sentences: [String] = {
    var sentences: [String] = []
    for thing in ["ball", "cube", "cone", "мяч"] {
      for colour in ["red", "blue", "shiny green", "синий"] {
        for act in ["bounces on the grass", "rolls in the snow", "катится по траве"] {
          sentences.append("a \(colour) \(thing) \(act)")
        }
      }
    }
    return sentences
  }()

  @Test func `a trained model has its vocabulary and the special pieces of T5`() throws {
    let bytes = try SentencePieceTrainer(vocabularySize: 300).train(on: Self.sentences)
    let tokenizer = try SentencePieceTokenizer(bytes: bytes)
    #expect(tokenizer.vocabularySize == 300)
    #expect((0..<3).map { tokenizer.piece(for: $0) } == ["<pad>", "</s>", "<unk>"])
    #expect((tokenizer.padID, tokenizer.endID, tokenizer.unknownID) == (0, 1, 2))
    for sentence in Self.sentences {
      let ids = try tokenizer.encode(sentence)
      #expect(ids.count < sentence.utf8.count)
      #expect(try tokenizer.decode(ids) == sentence)
    }
  }

  @Test func `the same sentences give the same bytes`() throws {
    let trainer = SentencePieceTrainer(vocabularySize: 300)
    #expect(try trainer.train(on: Self.sentences) == trainer.train(on: Self.sentences))
  }

  @Test func `text is normalised as nmt_nfkc says`() throws {
    let bytes = try SentencePieceTrainer(vocabularySize: 300).train(on: Self.sentences)
    let tokenizer = try SentencePieceTokenizer(bytes: bytes)
    let wide = try tokenizer.encode("\u{FF41}\u{3000}\tred  ball\u{200B}")
    #expect(try wide == tokenizer.encode("a red ball"))
    #expect(try tokenizer.encode("\u{FB01}") == tokenizer.encode("fi"))
  }

  @Test func `bytes stand for what no piece does, or it is unknown`() throws {
    let spelling = try SentencePieceTokenizer(
      bytes: SentencePieceTrainer(vocabularySize: 300).train(on: Self.sentences))
    #expect(try spelling.decode(spelling.encode("雪 😀")) == "雪 😀")
    #expect(try !spelling.encode("雪 😀").contains(spelling.unknownID))
    let plain = try SentencePieceTokenizer(
      bytes: SentencePieceTrainer(vocabularySize: 44, usesByteFallback: false)
        .train(on: Self.sentences))
    #expect(try plain.encode("雪").contains(plain.unknownID))
  }

  @Test(arguments: [5000, 260, 0, -1, .max])
  func `a vocabulary that does not fit the text is an error`(vocabularySize: Int) {
    let error = #expect(throws: TokenizerError.self) {
      try SentencePieceTrainer(vocabularySize: vocabularySize).train(on: Self.sentences)
    }
    #expect(error?.code == .training)
  }

  @Test func `text that nothing can be learnt from is an error`() {
    let texts = [
      [], [""], [" ", "\n"], ["▁"], ["\u{0}"], ["..."], ["a▅"], ["a"],
      [String(repeating: "ab ", count: 5000)],
    ]
    for sentences in texts {
      let error = #expect(throws: TokenizerError.self) {
        try SentencePieceTrainer(vocabularySize: 300).train(on: sentences)
      }
      #expect(error?.code == .training)
    }
  }

  @Test(arguments: [0, 0.5, 1.5, .nan, .infinity])
  func `a coverage that is no share is an error`(coverage: Double) {
    let trainer = SentencePieceTrainer(vocabularySize: 300, characterCoverage: coverage)
    #expect(throws: TokenizerError.self) { try trainer.train(on: Self.sentences) }
  }

  @Test func `a model is written whole or not at all`() throws {
    let folder = try TemporaryFolder()
    let path = folder["new.model"].path
    try SentencePieceTrainer(vocabularySize: 300).train(on: Self.sentences, writingTo: path)
    #expect(try SentencePieceTokenizer(contentsOf: path).vocabularySize == 300)

    let trainer = SentencePieceTrainer(vocabularySize: 300)
    let error = #expect(throws: TokenizerError.self) {
      try trainer.train(on: Self.sentences, writingTo: folder["missing/new.model"].path)
    }
    #expect(error?.code == .unwritableFile)
    #expect(throws: TokenizerError.self) {
      try trainer.train(on: [], writingTo: folder["none.model"].path)
    }
    #expect(try folder.names == ["new.model"])
  }
}
