public import ArgumentParser
import Foundation
import Kino
public import KinoWeights

extension WeightPrecision: ExpressibleByArgument {}

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert a network's weights, or a model's folder, to another form or type.",
    discussion: """
      Reads any form that Kino recognises (safetensors or the index of its shards, GGUF, PyTorch) in \
      any publisher's names. Writes safetensors in diffusers' names; GGUF if the output's name ends \
      in .gguf; for a model's folder a folder. The output is read back before it gets its name.
      """)

  @Argument(help: "A file of one network, an index, or a folder.")
  var input: String
  @Argument(help: "The file or folder to write.")
  var output: String
  @Option(
    help: """
      The type of the weights: f32, f16, bf16, or q8_0 and q4_k in GGUF files; without it they keep \
      theirs, and GGUF files take q8_0.
      """)
  var precision: WeightPrecision?
  @Option(
    help: ArgumentHelp(
      "Merge this LoRA into the transformer; may be given several times.",
      valueName: "file[:weight]"))
  var lora: [LoRAFile] = []
  @Flag(help: "Replace a file or folder that exists.")
  var overwrite = false
  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let conversion = WeightConversion(
      precision: precision, isReplacing: overwrite, loras: lora)
    let text = try conversion.convert(
      URL(fileURLWithPath: input), to: URL(fileURLWithPath: output))
    print(
      json
        ? EventRecord(event: "wrote", message: text, path: output).json
        : "\(output) (\(text), checked)")
  }
}
