public import Foundation
public import Kino
public import KinoProvenance

/// How ``VideoServer`` serves.
public struct ServerConfiguration: Sendable {
  /// The address to listen on. Anything but loopback needs keys; see ``KeyRing``.
  public var host = "127.0.0.1"
  /// The port; 0 lets the system choose.
  public var port = 8787
  /// Where jobs, results and uploads are kept.
  public var folder: URL
  /// The models that requests may name; the first is used where none is named.
  public var models: [ServedModel] = [ServedModel(name: ModelSource.bundledName, source: .bundled)]
  /// Where to compute.
  public var device = ComputeDevice.cpu
  /// Threads of one operation; `nil` uses all cores.
  public var threadCount: Int?
  /// Hours after which results are removed; `nil` keeps them.
  public var hoursKept: Double?
  /// Where finished, failed and cancelled jobs are told about, signed as Standard Webhooks has it.
  public var webhook: URL?
  /// The secret of the webhook, `whsec_` and base64; `nil` takes the one of the folder, made once.
  public var webhookSecret: String?
  /// Who signs results; `nil` leaves them unsigned.
  public var signer: FileSigner?
  /// The bounds of what clients may ask for.
  public var limits = ServerLimits()

  /// Serves the bundled model on loopback.
  public init(folder: URL) { self.folder = folder }

  /// Where jobs are kept if nothing else is said: `kino/server` in the user's folder for such data.
  public static var defaultFolder: URL {
    let support = FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)
    return (support.first ?? FileManager.default.temporaryDirectory)
      .appendingPathComponent("kino/server")
  }

  /// Whether the address can be reached from this machine only.
  public var isLoopback: Bool { Self.isLoopback(host) }

  static func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "::1" || host == "[::1]"
      || host.split(separator: ".").count == 4 && host.hasPrefix("127.")
  }
}

/// A model that requests may name.
public struct ServedModel: Hashable, Sendable {
  /// What requests call it.
  public var name: String
  /// Where it is.
  public var source: ModelSource

  /// Serves a model under a name.
  public init(name: String, source: ModelSource) {
    self.name = name
    self.source = source
  }
}

/// The bounds of what clients may ask for.
public struct ServerLimits: Sendable {
  /// Bytes of an uploaded file.
  public var uploadBytes = 1 << 30
  /// Bytes of all other fields of a request together; a picture may come as a data URL.
  public var fieldBytes = 24 << 20
  /// Jobs that wait or run, of one key.
  public var queuedPerKey = 100
  /// Jobs that wait or run, of all keys.
  public var queued = 1000
  /// Uploads that no job uses yet, of one key, in bytes.
  public var unusedUploadBytes = 8 << 30
  /// Hours after which an upload that no job uses is removed.
  public var uploadHours = 24.0
  /// Seconds that a request's body may take in all.
  public var bodySeconds = 600.0
  /// Seconds without a byte after which a connection is closed.
  public var idleSeconds = 30.0
  /// Seconds that finding out what an upload holds may take.
  public var probeSeconds = 20.0
  /// Open connections.
  public var connections = 1024

  /// Generous bounds for one machine.
  public init() {}
}
