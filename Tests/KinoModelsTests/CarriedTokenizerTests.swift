import Foundation
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

private func fixture(_ name: String) throws -> URL {
  try #require(Bundle.module.resourceURL).appending(path: "Fixtures/\(name)")
}

/// A folder of one test's own.
private final class Folder {
  let url = FileManager.default.temporaryDirectory
    .appendingPathComponent("kino-models-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

struct CarriedTokenizerTests {
  private static let texts = ["a red ball bounces on the grass", "красный мяч, 雪!", "  A\tb ", ""]

  private func expectSame(_ found: SentencePieceTokenizer?) throws {
    let tokenizer = try #require(found)
    let reference = try SentencePieceTokenizer(contentsOf: fixture("tokenizer.model").path)
    #expect(tokenizer.vocabularySize == reference.vocabularySize)
    #expect(tokenizer.padID == reference.padID)
    #expect(tokenizer.endID == reference.endID)
    #expect(tokenizer.unknownID == reference.unknownID)
    for text in Self.texts { #expect(try tokenizer.encode(text) == reference.encode(text)) }
  }

  @Test func `A tokenizer is put together from a GGUF file's lists`() throws {
    try expectSame(SentencePieceTokenizer(in: WeightSet(at: fixture("tokenizer.gguf"))))
  }

  @Test(arguments: ["", "text_encoders.umt5xxl.transformer."])
  func `A tokenizer that stands among the tensors is read`(prefix: String) throws {
    let folder = try Folder()
    let bytes = [UInt8](try Data(contentsOf: fixture("tokenizer.model")))
    let file = folder.url.appendingPathComponent("a.safetensors")
    try SafetensorsFile.write([prefix + "spiece_model": Tensor(bytes)], to: file)
    try expectSame(SentencePieceTokenizer(in: WeightSet(at: file)))
  }

  @Test func `Weights without one have none, and bytes that are none are an error`() throws {
    let folder = try Folder()
    let file = folder.url.appendingPathComponent("a.safetensors")
    try SafetensorsFile.write(["a": .zeros([2])], to: file)
    #expect(try SentencePieceTokenizer(in: WeightSet(at: file)) == nil)
    try SafetensorsFile.write(["spiece_model": Tensor([UInt8](repeating: 7, count: 40))], to: file)
    #expect(throws: TokenizerError.self) {
      try SentencePieceTokenizer(in: WeightSet(at: file))
    }
  }
}

struct TextEncoderStyleTests {
  private static let llama = KeyStyles.ggufTextEncoder
  private static let original = KeyStyles.textEncoder

  @Test(arguments: [CheckpointForm.Style.original, .llama, .diffusers])
  func `A text encoder in each style gives the reference's states`(style: CheckpointForm.Style)
    throws
  {
    let folder = try Folder()
    let golden = try Golden("text-encoder")
    let rules: [CheckpointForm.Style: KeyRules] = [
      .original: Self.original, .llama: Self.llama,
    ]
    var tensors = try golden.weights(file: "model.safetensors")
    if let rules = rules[style] {
      tensors["encoder.embed_tokens.weight"] = nil
      tensors = Dictionary(
        uniqueKeysWithValues: tensors.map { (rules.foreign(for: $0.key) ?? $0.key, $0.value) })
    }
    let file = folder.url.appendingPathComponent("weights")
    try SafetensorsFile.write(tensors, to: file)
    let form = try #require(CheckpointForm.recognise(in: WeightSet(at: file)).first)
    #expect(form.style == style)
    guard case .textEncoder(let configuration) = form.network else {
      Issue.record("found \(form.network)")
      return
    }
    let encoder = try form.weights.load { UMT5Encoder($0, configuration: configuration) }
    let mask = golden["attention_mask"]
    let states = encoder(inputIDs: golden["input_ids"], mask: mask)
    let rows = mask.cast(to: .float32).expandingDimension(at: -1)
    expectClose(states * rows, golden["hidden_states"] * rows, tolerance: 1e-5)
  }
}
