import Foundation
import Testing

@testable import KinoModels

/// What `Tools/goldens/tokenizer.py` wrote.
private struct Golden: Decodable {
  struct Case: Decodable {
    let text: String
    let ids: [Int32]
    let decoded: String
  }

  let pieces: [String]
  let cases: [Case]
}

private func fixture(_ name: String) throws -> String {
  try #require(Bundle.module.resourceURL).appending(path: "Fixtures/\(name)").path
}

@Suite struct SentencePieceTokenizerTests {
  private let tokenizer: SentencePieceTokenizer
  private let golden: Golden

  init() throws {
    tokenizer = try SentencePieceTokenizer(contentsOf: fixture("tokenizer.model"))
    let json = try Data(contentsOf: URL(fileURLWithPath: fixture("tokenizer.json")))
    golden = try JSONDecoder().decode(Golden.self, from: json)
  }

  @Test func `ids and decoded text are those of the Python reference`() throws {
    #expect(golden.cases.count >= 20)
    for expected in golden.cases {
      let ids = try tokenizer.encode(expected.text)
      #expect(ids == expected.ids, "\(expected.text.debugDescription)")
      #expect(try tokenizer.decode(ids) == expected.decoded)
    }
  }

  @Test func `pieces and ids name each other`() {
    #expect(tokenizer.vocabularySize == golden.pieces.count)
    for (id, piece) in zip(Int32(0)..., golden.pieces) {
      #expect(tokenizer.piece(for: id) == piece)
      #expect(tokenizer.id(of: piece) == id)
    }
    #expect(tokenizer.piece(for: Int32(golden.pieces.count)) == nil)
    #expect(tokenizer.piece(for: -1) == nil)
    #expect(tokenizer.id(of: "no such piece") == nil)
    #expect((tokenizer.padID, tokenizer.endID, tokenizer.unknownID) == (0, 1, 2))
  }

  @Test func `empty text is the end piece alone`() throws {
    for text in ["", " ", "\n\t", "\u{3000}"] {
      #expect(try tokenizer.encode(text) == [1])
    }
    #expect(try tokenizer.decode([]) == "")
  }

  @Test func `long text is cut and keeps its end piece`() throws {
    let text = "a shiny green cone spins, fast, at sunset."
    let whole = try tokenizer.encode(text)
    #expect(try tokenizer.encode(text, maximumLength: whole.count) == whole)
    #expect(try tokenizer.encode(text, maximumLength: 5) == whole.prefix(4) + [1])
    #expect(try tokenizer.encode(text, maximumLength: 1) == [1])
  }

  @Test(arguments: ["a red ball ", "q", "\u{0}", "😀", "雪"])
  func `a megabyte of text is encoded`(unit: String) throws {
    let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
    let ids = try tokenizer.encode(text, maximumLength: 512)
    #expect(ids.count == 512)
    #expect(ids.allSatisfy { (0..<Int32(tokenizer.vocabularySize)).contains($0) })
    #expect(ids.last == 1)
  }

  @Test func `decoding drops padding and ids outside the vocabulary`() throws {
    let ids = try tokenizer.encode("a red ball")
    let extra: [Int32] = [-1, .min, .max, Int32(tokenizer.vocabularySize), 0, 0, 1]
    #expect(try tokenizer.decode(ids + extra) == "a red ball")
  }

  @Test func `tasks share one tokenizer`() async throws {
    let tokenizer = tokenizer
    let cases = golden.cases
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          try cases.allSatisfy { try tokenizer.encode($0.text) == $0.ids }
        }
      }
      for try await agrees in group { #expect(agrees) }
    }
  }
}

@Suite struct SentencePieceModelFileTests {
  @Test(arguments: ["/no/such/file.model", "/", "/dev/zero", ""])
  func `a path without a model file is an error that names it`(path: String) {
    let error = #expect(throws: TokenizerError.self) {
      try SentencePieceTokenizer(contentsOf: path)
    }
    #expect(error?.code == .unreadableFile)
    #expect(error?.description.hasPrefix("Tokenizer: \(path)") == true)
  }

  @Test func `bytes that are no model are an error`() {
    let strange: [[UInt8]] = [
      [], [0], Array("not a model".utf8), Array(repeating: 0xFF, count: 4096),
      Array("{\"version\": \"1.0\"}".utf8),
    ]
    for bytes in strange {
      let error = #expect(throws: TokenizerError.self) { try SentencePieceTokenizer(bytes: bytes) }
      #expect(error?.code == .invalidModel)
    }
  }

  @Test func `a model cut short is an error or still works`() throws {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixture("tokenizer.model"))))
    for count in stride(from: 0, to: bytes.count, by: 61) {
      exercise(Array(bytes.prefix(count)))
    }
  }

  @Test func `a damaged model is an error or still works`() throws {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixture("tokenizer.model"))))
    var state: UInt64 = 1
    func random(below bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for _ in 0..<2000 {
      var damaged = bytes
      for _ in 0...random(below: 8) {
        damaged[random(below: bytes.count)] = UInt8(random(below: 256))
      }
      exercise(damaged)
    }
  }

  @Test func `a character map that points outside itself is an error`() throws {
    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixture("tokenizer.model"))))
    // The map starts with the size of its trie, 1024, and the trie's root; the root's offset grows.
    let start = try #require(
      bytes.indices.first { bytes[$0...].starts(with: [0, 4, 0, 0, 0, 0x20, 0, 0]) })
    bytes.replaceSubrange((start + 4)..<(start + 8), with: [0, 0xFC, 0xFF, 0x7F])
    let error = #expect(throws: TokenizerError.self) { try SentencePieceTokenizer(bytes: bytes) }
    #expect(error?.details.contains("points outside itself") == true)
  }

  /// Loads a model, and uses it if that is possible; a crash is the failure.
  private func exercise(_ bytes: [UInt8]) {
    guard let tokenizer = try? SentencePieceTokenizer(bytes: bytes) else { return }
    let text = "A red ball, \u{FB01}n\u{A0}\u{3000}\u{FF21} \u{0451} кот 雪 😀\u{0} </s>"
    guard let ids = try? tokenizer.encode(text) else { return }
    _ = try? tokenizer.decode(ids)
    _ = try? tokenizer.decode(Array(-2..<Int32(tokenizer.vocabularySize)))
  }
}
