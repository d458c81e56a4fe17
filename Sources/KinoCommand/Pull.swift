import ArgumentParser
import Foundation
import Kino
import KinoHub

struct Pull: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fetch a model, or one file of weights, from a hub.",
    discussion: """
      Fetches the files that Kino needs into the cache that the hub's clients share ($HF_HUB_CACHE, \
      $HF_HOME/hub, or ~/.cache/huggingface/hub), goes on where an earlier try broke off, and checks \
      every file's hash. HF_TOKEN opens repositories that are not open to everybody; HF_ENDPOINT names \
      another hub.
      """)

  @Argument(
    help: ArgumentHelp(
      "A repository, and one of its files if only that is meant.", valueName: "owner/name[:file]"))
  var source: String
  @Option(help: "A branch, a tag or a commit.")
  var revision = "main"
  @Flag(help: "Do not ask before fetching.")
  var yes = false
  @OptionGroup var display: DisplayOptions

  func run() async throws {
    let parts = source.split(separator: ":", maxSplits: 1).map(String.init)
    let environment = ProcessInfo.processInfo.environment
    let hub = try Hub(
      endpoint: environment["HF_ENDPOINT"].flatMap { $0.isEmpty ? nil : $0 }
        ?? "https://huggingface.co",
      token: environment["HF_TOKEN"].flatMap { $0.isEmpty ? nil : $0 },
      cache: ModelSource.hubCache(environment))
    let repository = try await hub.repository(parts.first ?? "", revision: revision)
    let files = try repository.needed(parts.count > 1 ? parts[1] : nil)
    let bytes = files.reduce(0) { $0 + $1.bytes }
    try ask(
      "\(files.count) file\(files.count == 1 ? "" : "s"), \(Self.size(bytes)), into \(hub.cache.path)"
    )
    let progress = ProgressDisplay(display)
    let start = Date()
    let folder = try await hub.fetch(files, of: repository) { done in
      let seconds = Date().timeIntervalSince(start)
      let rate = Double(max(done, 1)) / max(seconds, 0.001)
      progress.progress(
        "MB", done >> 20, of: max(1, bytes >> 20), secondsLeft: Double(bytes - done) / rate)
    }
    progress.endProgress()
    let path = parts.count > 1 ? folder.appendingPathComponent(parts[1]).path : folder.path
    progress.output(display.json ? EventRecord(event: "wrote", path: path).json : path)
  }

  /// Says what will be fetched, and waits for a yes.
  private func ask(_ what: String) throws {
    if yes { return }
    guard isatty(STDIN_FILENO) == 1 else {
      throw ValidationError("This would fetch \(what); say --yes to do it.")
    }
    StandardStreams.note("Fetch \(what)? [y/N] ")
    guard let answer = readLine()?.lowercased(), ["y", "yes"].contains(answer) else {
      throw CancellationError()
    }
  }

  private static func size(_ bytes: Int) -> String {
    bytes >= 1_000_000_000
      ? String(format: "%.1f GB", Double(bytes) / 1e9)
      : String(format: "%.1f MB", Double(bytes) / 1e6)
  }
}
