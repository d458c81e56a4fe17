public import ArgumentParser
import Foundation
import Kino
import KinoProvenance
import KinoServer
internal import KinoSystem
public import Logging

/// `kino serve`.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve videos: the OpenAI Videos API, more than it, and a studio for browsers.")

  @Option(help: "The address to listen on; any but loopback needs keys.")
  var host = "127.0.0.1"
  @Option(help: "The port to listen on; 0 takes a free one.")
  var port = 8787
  @Option(help: "Where jobs, results and uploads are kept.")
  var data: String?
  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "A model that requests may name; may be given several times, the first is the default.",
      valueName: "name|path"))
  var models: [String] = []
  @Option(help: "Where to compute: cpu, cuda or mps.")
  var device: ComputeDevice = .cpu
  @Option(help: "Threads of one operation; without it, all cores.")
  var threads: Int?
  @Option(help: "Remove results after this many hours; without it, they stay.")
  var keepHours: Double?
  @Option(help: "An address that hears of every job that ended, by a signed webhook.")
  var webhook: String?
  @Option(help: "The secret that webhooks are signed with; without it, the folder's own.")
  var webhookSecret: String?
  @Option(help: "How much is logged: debug, info, notice, warning or error.")
  var log = Logger.Level.notice
  @Flag(help: "Print the address as a line of JSON on standard output.")
  var json = false

  func run() async throws {
    var settings = ServerConfiguration(folder: ServerFolder.url(data))
    settings.host = host
    settings.port = port
    if !models.isEmpty {
      settings.models = models.map { text in
        let source = ModelSource(text)
        return ServedModel(name: Self.name(of: source, text), source: source)
      }
    }
    guard Set(settings.models.map(\.name)).count == settings.models.count else {
      throw ValidationError("Two models have one name; rename the folder of one.")
    }
    settings.device = device
    settings.threadCount = threads
    settings.hoursKept = keepHours
    settings.webhook = try webhook.map { text in
      guard let url = URL(string: text) else {
        throw ValidationError("--webhook is no address: \(text)")
      }
      return url
    }
    settings.webhookSecret = webhookSecret
    settings.signer = try FileSigner.ofUser { StandardStreams.note("warning: \($0)\n") }
    var logger = Logger(label: "kino") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = log
    let server = try await VideoServer(settings, logger: logger)
    try await server.run { [json] url in
      if json {
        StandardStreams.output(
          EventRecord(event: "listening", path: url.absoluteString).json + "\n")
      } else {
        StandardStreams.output("Kino serves at \(url.absoluteString) (Ctrl-C stops it)\n")
      }
    }
  }

  private static func name(of source: ModelSource, _ text: String) -> String {
    switch source {
    case .folder(let url): url.lastPathComponent
    case .file(let url): url.deletingPathExtension().lastPathComponent
    case .bundled, .named: text
    }
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Where a server keeps what it has.
enum ServerFolder {
  static func url(_ path: String?) -> URL {
    path.map { URL(fileURLWithPath: $0.expandingTilde) }
      ?? ServerConfiguration.defaultFolder
  }
}

/// `kino keys`.
struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, list and revoke the keys of kino serve.",
    subcommands: [Add.self, List.self, Revoke.self])

  struct Folder: ParsableArguments {
    @Option(help: "The folder of the server.")
    var data: String?

    var ring: KeyRing { get throws { try KeyRing(folder: ServerFolder.url(data)) } }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key, and print it: it can't be shown again.")
    @Argument(help: "What to call it, such as whose it is.")
    var name: String
    @OptionGroup var folder: Folder

    func run() async throws {
      StandardStreams.output(try await folder.ring.add(name) + "\n")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the keys, without secrets.")
    @OptionGroup var folder: Folder
    @Flag(help: "Print JSON lines.")
    var json = false

    func run() async throws {
      for entry in try await folder.ring.entries() {
        let state = entry.revokedAt == nil ? "good" : "revoked"
        let line = json ? entry.jsonLine : "\(entry.id)  \(state)  \(entry.name)"
        StandardStreams.output(line + "\n")
      }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key useless, at once and for good.")
    @Argument(help: "The id or the name of the key.")
    var name: String
    @OptionGroup var folder: Folder

    func run() async throws {
      let count = try await folder.ring.revoke(name)
      StandardStreams.output("revoked \(count) key\(count == 1 ? "" : "s")\n")
    }
  }
}
