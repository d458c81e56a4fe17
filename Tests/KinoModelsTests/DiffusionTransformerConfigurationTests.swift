import Foundation
import KinoModels
import KinoTestSupport
import Testing

struct DiffusionTransformerConfigurationTests {
  typealias Configuration = DiffusionTransformer.Configuration

  private func decode(_ json: String) throws -> Configuration {
    try JSONDecoder().decode(Configuration.self, from: Data(json.utf8))
  }

  @Test func `A published configuration survives writing and reading`() throws {
    let configuration: Configuration = try Golden("transformer").configuration()
    #expect(configuration.width == 32 && configuration.textWidth == 24)
    let data = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(Configuration.self, from: data) == configuration)
  }

  @Test func `Every key of the reference is written`() throws {
    let file = try Golden("transformer").folder.appendingPathComponent("config.json")
    let published = try keys(Data(contentsOf: file)).filter { !$0.hasPrefix("_") }
    let configuration: Configuration = try Golden("transformer").configuration()
    #expect(try keys(JSONEncoder().encode(configuration)) == published)
  }

  private func keys(_ json: Data) throws -> Set<String> {
    let object = try JSONSerialization.jsonObject(with: json) as? [String: Any]
    return Set(object?.keys.map { $0 } ?? [])
  }

  @Test func `Absent keys have diffusers' defaults and unknown ones are ignored`() throws {
    let configuration = try decode(
      #"{"num_layers": 3, "out_channels": null, "in_channels": 8, "x": 1}"#)
    #expect(configuration.layerCount == 3 && configuration.width == 5120)
    #expect(configuration.outputChannels == 8)
    try configuration.validate()
  }

  @Test(arguments: [
    (#"{"patch_size": [1, 2]}"#, "patch_size"), (#"{"patch_size": [0, 2, 2]}"#, "patch_size"),
    (#"{"attention_head_dim": 15}"#, "attention_head_dim"), (#"{"freq_dim": 33}"#, "freq_dim"),
    (#"{"num_attention_heads": 0}"#, "num_attention_heads"),
    (#"{"num_layers": -1}"#, "num_layers"), (#"{"eps": 0}"#, "eps"),
    (#"{"ffn_dim": 9000000000000000000}"#, "ffn_dim"),
    (#"{"image_dim": 1280}"#, "added_kv_proj_dim"),
    (#"{"image_dim": 1280, "added_kv_proj_dim": 1280}"#, "added_kv_proj_dim"),
    (#"{"image_dim": 0, "added_kv_proj_dim": 5120}"#, "image_dim"),
    (#"{"added_kv_proj_dim": 5120}"#, "added_kv_proj_dim"),
    (#"{"pos_embed_seq_len": 514}"#, "pos_embed_seq_len"),
  ])
  func `Impossible sizes are refused by key`(json: String, key: String) throws {
    let configuration = try decode(json)
    let error = #expect(throws: ModelError.self) { try configuration.validate() }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.description.contains(key) == true)
  }

  @Test func `A kind of norm that Kino lacks is refused by key`() throws {
    let configuration = try decode(#"{"qk_norm": null}"#)
    let error = #expect(throws: ModelError.self) { try configuration.validate() }
    #expect(error?.code == .unsupported)
    #expect(error?.description.contains("qk_norm") == true)
  }

  @Test func `The size of Wan 2.1 1.3B is the published one`() {
    let configuration = Configuration(
      headCount: 12, headDimension: 128, inputChannels: 16, textWidth: 4096,
      feedForwardWidth: 8960, layerCount: 30)
    #expect(configuration.parameterCount == 1_418_996_800)
    // 81 frames of 832x480.
    #expect(configuration.tokenCount(latentFrames: 21, height: 60, width: 104) == 32760)
  }

  @Test func `Operations are counted by hand and by formula alike`() {
    let configuration = Configuration(
      headCount: 2, headDimension: 16, inputChannels: 4, textWidth: 8, feedForwardWidth: 64,
      layerCount: 1)
    // By hand, for one token and one row of text: 6144 multiplications of projections, 128 of the
    // two attentions, 4096 of the feed-forward network, 1024 of the ends.
    #expect(configuration.floatingPointOperations(tokens: 1, textTokens: 1) == 22784)
    // Two tokens double all but self-attention, which grows by 4.
    #expect(configuration.floatingPointOperations(tokens: 2, textTokens: 1) == 2 * 22784 + 256)
    #expect(configuration.textFloatingPointOperations(textTokens: 1) == 6656)
  }
}
