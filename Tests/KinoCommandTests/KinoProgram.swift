import Foundation
import KinoTestSupport
import Synchronization
import Testing

/// The built `kino` program, a folder of its own to run in, and a tiny model there.
final class KinoProgram: Sendable {
  let folder: URL

  /// How a run ended and what it said.
  struct Outcome: Sendable {
    let status: Int32
    let output: String
    let errors: String

    /// Standard output as JSON objects; `nil` where a line is none.
    var objects: [[String: String]?] {
      output.split(separator: "\n").map { line in
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return object?.mapValues { "\($0)" }
      }
    }
  }

  init() throws {
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    _ = try TinyModel(at: folder.appendingPathComponent("model"))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The program beside the test bundle, where `swift build --build-tests` puts it.
  static func locate() throws -> URL {
    let places = Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent() }
      + [Bundle.main.bundleURL, URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()]
    let programs = places.map { $0.appendingPathComponent("kino") }
    return try #require(
      programs.first { FileManager.default.isExecutableFile(atPath: $0.path) },
      "kino is not built: run swift build --build-tests; looked in \(places.map(\.path))")
  }

  /// Runs the program in the folder to its end.
  ///
  /// - Parameters:
  ///   - arguments: `{model}` stands for the model's folder.
  ///   - interruptAfter: Sends SIGINT once standard error contains this text.
  ///   - environment: Replaces the usual one, which keeps the program from starting itself twice.
  func run(
    _ arguments: [String], interruptAfter: String? = nil,
    environment: [String: String] = ["GOMP_SPINCOUNT": "1000"]
  ) async throws -> Outcome {
    let process = Process()
    process.executableURL = try Self.locate()
    process.arguments = arguments.map { $0.replacing("{model}", with: "model") }
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment
      .filter { $0.key != "GOMP_SPINCOUNT" }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    let (output, errors) = (Gathered(), Gathered())
    process.standardOutput = output.pipe
    process.standardError = errors.pipe
    let number = Mutex<Int32>(0)
    output.start { _ in }
    errors.start { text in
      let pid = number.withLock { $0 }
      if let interruptAfter, text.contains(interruptAfter), pid > 0 { kill(pid, SIGINT) }
    }
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in done.resume() }
      do {
        try process.run()
        number.withLock { $0 = process.processIdentifier }
      } catch {
        done.resume(throwing: error)
      }
    }
    return Outcome(
      status: process.terminationReason == .exit
        ? process.terminationStatus : -process.terminationStatus,
      output: output.finish(), errors: errors.finish())
  }

  /// What is in the folder beside the model, hidden files too.
  var files: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0 != "model" }.sorted()
    }
  }

  func url(_ name: String) -> URL { folder.appendingPathComponent(name) }
}

/// Reads a pipe while the program runs, so that it never waits for a reader.
private final class Gathered: Sendable {
  nonisolated(unsafe) let pipe = Pipe()  // Used from one test; its handles are thread-safe.
  private let bytes = Mutex(Data())
  private let ended = DispatchSemaphore(value: 0)

  func start(_ heard: @escaping @Sendable (String) -> Void) {
    pipe.fileHandleForReading.readabilityHandler = { [self] handle in
      let data = handle.availableData
      if data.isEmpty {
        handle.readabilityHandler = nil
        ended.signal()
        return
      }
      let text = bytes.withLock {
        $0 += data
        return String(decoding: $0, as: UTF8.self)
      }
      heard(text)
    }
  }

  func finish() -> String {
    _ = ended.wait(timeout: .now() + 10)
    return bytes.withLock { String(decoding: $0, as: UTF8.self) }
  }
}
