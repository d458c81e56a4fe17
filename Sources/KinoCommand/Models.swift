import ArgumentParser
import Foundation
import Kino
internal import KinoSystem

struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the models on this machine, what they can do and what is missing.",
    discussion: """
      Looks into the Models folders that names are looked for in, the user's cache (kino/models), and \
      the cache of the Hugging Face hub ($HF_HUB_CACHE, $HF_HOME/hub, or ~/.cache/huggingface/hub). \
      Given paths, it looks there alone.
      """)

  @Argument(help: "Folders of models, or files of weights.")
  var paths: [String] = []
  @Flag(
    help: """
      Read every byte: finds shards cut short, Git LFS pointers, damaged headers and changed bytes.
      """)
  var verify = false
  @Flag(help: "Print a JSON object for each on standard output.")
  var json = false

  func run() throws {
    for path in paths where !FileManager.default.fileExists(atPath: path) {
      throw StudioError(.modelNotFound, "\(path): There is no such file or folder; check the path.")
    }
    let places =
      paths.isEmpty
      ? ModelSource.weightFolders()
      : paths.map { URL(fileURLWithPath: $0) }
    let models = ModelCatalog(searching: places, verifying: verify).models
    if json {
      for model in models { print(model.jsonLine) }
    } else if models.isEmpty {
      print("No models in:\n" + places.map { "  " + $0.path }.joined(separator: "\n"))
    } else {
      print(models.map(\.description).joined(separator: "\n\n"))
    }
    let broken = models.count { !$0.isWhole }
    if verify && broken > 0 {
      throw StudioError(
        .invalidModel, "\(broken) of \(models.count) are damaged or incomplete: fetch them again.")
    }
  }
}
