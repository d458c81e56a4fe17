import Foundation
import KinoModels
import KinoTestSupport
import Testing

struct VideoAutoencoderConfigurationTests {
  typealias Configuration = VideoAutoencoder.Configuration

  private func decode(_ text: String) throws -> Configuration {
    try JSONDecoder().decode(Configuration.self, from: Data(text.utf8))
  }

  @Test func `A file without keys has the published 2.1 form`() throws {
    let configuration = try decode("{}")
    #expect(configuration.baseWidth == 96 && configuration.decoderWidth == 96)
    #expect(configuration.latentChannels == 16 && configuration.latentMean.count == 16)
    #expect(configuration.patch == 1 && !configuration.isResidual)
    #expect(configuration.temporalScale == 4 && configuration.spatialScale == 8)
  }

  @Test func `Frames and latent frames are converted`() throws {
    let configuration = try decode("{}")
    #expect([1, 4, 5, 81].map(configuration.latentFrames) == [1, 1, 2, 21])
    #expect([1, 2, 21].map(configuration.pixelFrames) == [1, 5, 81])
  }

  @Test(arguments: [(patch: 2, levels: 4), (patch: 4, levels: 3)])
  func `Either patch compresses 4x16x16`(patch: Int, levels: Int) throws {
    let configuration = Configuration(
      baseWidth: 8, decoderBaseWidth: 8, latentChannels: 3, patch: patch)
    try configuration.validate()
    #expect(configuration.widthMultipliers.count == levels)
    #expect(configuration.temporalScale == 4 && configuration.spatialScale == 16)
  }

  @Test func `A configuration written and read again is the same`() throws {
    var configuration = Configuration(baseWidth: 8, decoderBaseWidth: 12, latentChannels: 3)
    configuration.latentMean = [0.5, -1, 2]
    configuration.latentStandardDeviation = [1, 0.25, 3]
    try configuration.validate()
    let data = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(Configuration.self, from: data) == configuration)
    #expect(configuration.patch == 2 && configuration.spatialScale == 16)
  }

  @Test(arguments: VideoAutoencoderTests.forms)
  func `The reference's file is read whole`(form: String) throws {
    let golden = try Golden("autoencoder-\(form)")
    let configuration: Configuration = try golden.configuration()
    #expect(configuration.isResidual == (form == "2.2") && configuration.latentChannels == 6)
    #expect(configuration.widthMultipliers == [1, 2, 4, 4])
    #expect(configuration.temporalDownsampling == [false, true, true])
    #expect(configuration.decoderWidth == 2)
  }

  @Test(arguments: [
    (#"{"dim_mult": []}"#, "expected 1 to 6 dim_mult, found 0"),
    (#"{"dim_mult": [1, 2]}"#, "expected 1 temperal_downsample for 2 dim_mult, found 3"),
    (#"{"dim_mult": [1, 2, -4, 4]}"#, "out of range"),
    (#"{"base_dim": 0}"#, "out of range"),
    (#"{"base_dim": 9000000000000000000}"#, "out of range"),
    (#"{"decoder_base_dim": -1}"#, "out of range"),
    (#"{"num_res_blocks": 0}"#, "out of range"),
    (#"{"patch_size": 0}"#, "out of range"),
    (#"{"z_dim": 4}"#, "z_dim is 4, latents_mean has 16"),
    (#"{"z_dim": 1, "latents_mean": [0], "latents_std": [0]}"#, "positive and finite"),
    (#"{"in_channels": 4}"#, "patch 1 needs 3 channels, found 4 in and 3 out"),
    (#"{"patch_size": 2}"#, "patch 2 needs 12 channels"),
    (#"{"scale_factor_spatial": 16}"#, "compress 4x8x8, the scale factors say 4x16x16"),
    (
      #"{"is_residual": true, "dim_mult": [1, 2], "temperal_downsample": [true]}"#,
      "last level's shortcut can't widen"
    ),
    (#"{"temperal_downsample": [true, true, true]}"#, "compress 8x8x8"),
  ])
  func `Numbers that contradict each other are refused`(text: String, words: String) throws {
    let error = try #require(throws: ModelError.self) { try decode(text) }
    #expect(error.code == .invalidConfiguration)
    #expect(error.description.contains(words), "\(error.description)")
  }

  @Test(arguments: [#"{"base_dim": "wide"}"#, #"{"base_dim": 1.5}"#, "[]", ""])
  func `A file of another kind is refused`(text: String) {
    #expect(throws: DecodingError.self) { try decode(text) }
  }
}
