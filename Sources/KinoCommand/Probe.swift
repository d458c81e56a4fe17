import ArgumentParser
import Foundation
import Kino

struct Probe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run one stage of a model on given tensors, to compare it with a reference.",
    discussion: """
      Tensors are read from and written to safetensors files; all have a batch axis, as in diffusers.
        tokenize      --text TEXT -> input_ids [1, S], closed with the end piece
        text-encoder  input_ids [B, S], attention_mask [B, S] -> hidden_states [B, S, width]
        image-encoder pixel_values [B, 3, side, side] -> image_hidden_states [B, S, width]
        transformer   latents [B, C, F, H, W], timestep [B] or [B, L], hidden_states [B, S, width], and
                      image_hidden_states if the model reads pictures
                      -> velocity [B, C, F, H, W]; all rows of the text are attended to
        encode        pixels [B, 3, F, H, W] in -1...1 -> latents: the mean, not normalised, as
                      diffusers' encode().latent_dist.mode()
        decode        latents, not normalised -> pixels in -1...1
      """)

  @Argument(help: "tokenize, text-encoder, image-encoder, transformer, encode or decode.")
  var stage: ProbeStage
  @Option(help: "The text to tokenize.")
  var text: String?
  @Option(help: "The safetensors file with the stage's inputs.")
  var input: String?
  @Option(help: "The safetensors file to write.")
  var output: String
  @OptionGroup var model: ModelOptions

  func validate() throws {
    if stage == .tokenize && text == nil { throw ValidationError("tokenize needs --text.") }
    if stage != .tokenize && input == nil {
      throw ValidationError("\(stage.rawValue) needs --input.")
    }
  }

  func run() async throws {
    try await model.studio().probe(
      stage, text: text, input: input.map { URL(fileURLWithPath: $0) },
      output: URL(fileURLWithPath: output), precision: model.precision ?? .f32)
  }
}
