import ArgumentParser
import Kino

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell how a Kino clip was made, or the shape of a checkpoint.",
    discussion: """
      For a clip or picture made by Kino: its recipe, and the command that makes it again. For a \
      model folder, a folder of weights or a safetensors file: parameters, types and configurations.
      """)

  @Argument(help: "A clip, a picture, a model folder, or a safetensors file.")
  var file: String
  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let inspection = try Inspection(file)
    print(json ? inspection.json : inspection.description)
  }
}
