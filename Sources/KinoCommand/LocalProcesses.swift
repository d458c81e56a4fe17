import ArgumentParser
import Foundation
import Synchronization

/// Several processes of this program on this machine, with the same arguments: a launcher for those who have no
/// other.
struct LocalProcesses {
  private let count: Int

  init(count: Int) throws {
    guard 1...1024 ~= count else {
      throw ValidationError("--processes is \(count); use a number in 1...1024.")
    }
    self.count = count
  }

  /// Runs them to their end. When one fails, or this task is cancelled, the others are asked to stop.
  func run() async throws {
    let port = try Self.freePort()
    var arguments = Array(CommandLine.arguments.dropFirst())
    if let place = arguments.firstIndex(of: "--processes") {
      arguments.removeSubrange(place..<min(place + 2, arguments.count))
    }
    arguments.removeAll { $0.hasPrefix("--processes=") }
    let started = Mutex<[Process]>([])
    let statuses = try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: Int32.self) { group in
        for rank in 0..<count {
          let process = Process()
          process.executableURL = Bundle.main.executableURL
          process.arguments = arguments
          process.environment = ProcessInfo.processInfo.environment.merging([
            "RANK": "\(rank)", "LOCAL_RANK": "\(rank)", "WORLD_SIZE": "\(count)",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
          ]) { $1 }
          group.addTask {
            try await withCheckedThrowingContinuation { ended in
              process.terminationHandler = {
                ended.resume(
                  returning: $0.terminationReason == .exit
                    ? $0.terminationStatus : 128 + $0.terminationStatus)
              }
              do { try process.run() } catch { ended.resume(throwing: error) }
            }
          }
          started.withLock { $0.append(process) }
        }
        var statuses: [Int32] = []
        for try await status in group { statuses.append(status) }
        return statuses
      }
    } onCancel: {
      for process in started.withLock({ $0 }) where process.isRunning { process.interrupt() }
    }
    try Task.checkCancellation()
    guard let worst = statuses.max(), worst != 0 else { return }
    if worst == ExitStatus.stopped { throw CancellationError() }
    throw ExitCode(statuses.contains(ExitStatus.wrongUse) ? ExitStatus.wrongUse : ExitStatus.failed)
  }

  /// A port of this machine that nobody listens at.
  private static func freePort() throws -> UInt16 {
    #if canImport(Darwin)
      let kind = SOCK_STREAM
    #else
      let kind = Int32(SOCK_STREAM.rawValue)
    #endif
    let descriptor = socket(AF_INET, kind, 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else {
      throw ValidationError("No port of this machine is free: \(String(cString: strerror(errno))).")
    }
    return UInt16(bigEndian: address.sin_port)
  }
}
