import ArgumentParser
import Kino

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell how a Kino clip was made, or the shape of a checkpoint.",
    discussion: """
      For a clip or picture made by Kino: its recipe, and the command that makes it again. For a \
      model folder or a folder of weights: parameters and configurations. For a file of weights, told \
      by its content (safetensors or the index of its shards, GGUF, PyTorch): its networks, whose \
      names it has, which published models have such, and what Kino can't run, and why.
      """)

  @Argument(help: "A clip, a picture, a model folder, or a file of weights.")
  var file: String
  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let inspection = try Inspection(file)
    print(json ? inspection.json : inspection.description)
  }
}
