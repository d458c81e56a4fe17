import Foundation
import KinoTestSupport
import Testing

/// The built `kino` program, a folder of its own to run in, and a tiny model there.
final class KinoProgram: Sendable {
  var folder: URL { place.url }
  private let place: TemporaryFolder

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

  /// - Parameter shared: A model folder to use instead of a new one; it is not to be changed.
  /// - Throws: An error of the files.
  init(shared: URL? = nil) throws {
    place = try TemporaryFolder()
    let model = place["model"]
    if let shared {
      try FileManager.default.createSymbolicLink(at: model, withDestinationURL: shared)
    } else {
      _ = try TinyModel(at: model)
    }
  }

  /// The program beside the test bundle, where `swift build --build-tests` puts it.
  static func locate() throws -> URL {
    let places =
      Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent() }
      + [
        Bundle.main.bundleURL,
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
      ]
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
  ///   - environment: Instead of the setting that keeps the program from starting itself twice.
  /// - Returns: How it ended and what it said.
  /// - Throws: An error of the system if the program can't be started.
  func run(
    _ arguments: [String], interruptAfter: String? = nil,
    environment: [String: String] = ["GOMP_SPINCOUNT": "1000"]
  ) async throws -> Outcome {
    let said = try TemporaryFolder()
    defer { withExtendedLifetime(said) {} }
    // Files, not pipes: other programs started meanwhile would keep a pipe's end open.
    let (output, errors) = (said["out"], said["err"])
    for file in [output, errors] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = try Self.locate()
    process.arguments = arguments.map { $0.replacing("{model}", with: "model") }
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment
      .filter { $0.key != "GOMP_SPINCOUNT" }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    await Self.gate.enter()
    let ended = AsyncStream<Void>.makeStream()
    process.terminationHandler = { _ in ended.continuation.finish() }
    do {
      try process.run()
    } catch {
      await Self.gate.leave()
      throw error
    }
    if let interruptAfter {
      // On a thread of its own: those that tasks share may be busy with other tests for seconds.
      await withCheckedContinuation { done in
        Thread.detachNewThread {
          while process.isRunning, (try? Self.text(of: errors).contains(interruptAfter)) != true {
            Thread.sleep(forTimeInterval: 0.01)
          }
          process.interrupt()
          done.resume()
        }
      }
    }
    for await _ in ended.stream {}
    await Self.gate.leave()
    return Outcome(
      status: process.terminationReason == .exit
        ? process.terminationStatus : -process.terminationStatus,
      output: try Self.text(of: output), errors: try Self.text(of: errors))
  }

  /// Runs a command of bash in the folder; gives its exit status. Its temporary files go to `tmp`.
  func shell(_ command: String) async throws -> Int {
    try FileManager.default.createDirectory(
      at: url("tmp"), withIntermediateDirectories: true)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", command]
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment
      .merging(["GOMP_SPINCOUNT": "1000", "TMPDIR": url("tmp").path]) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    await Self.gate.enter()
    let status: Int32
    do {
      status = try await withCheckedThrowingContinuation { done in
        process.terminationHandler = { done.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { done.resume(throwing: error) }
      }
    } catch {
      await Self.gate.leave()
      throw error
    }
    await Self.gate.leave()
    return Int(status)
  }

  private static let gate = Gate(capacity: 2)

  private static func text(of file: URL) throws -> String {
    String(decoding: try Data(contentsOf: file), as: UTF8.self)
  }

  /// What is in the folder beside the model, hidden files too.
  var files: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { $0 != "model" }.sorted()
    }
  }

  func url(_ name: String) -> URL { folder.appendingPathComponent(name) }
}

/// Lets a few in at a time: every program loads LibTorch.
private actor Gate {
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(capacity: Int) { free = capacity }

  func enter() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  func leave() {
    if waiting.isEmpty {
      free += 1
    } else {
      waiting.removeFirst().resume()
    }
  }
}
