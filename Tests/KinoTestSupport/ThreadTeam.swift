import Foundation
public import KinoTensor
import Synchronization

/// Several processes of a group, each on a thread of this one.
public enum ThreadTeam {
  /// Runs a body for every rank.
  ///
  /// - Parameters:
  ///   - size: How many ranks.
  ///   - body: What each does with its group.
  /// - Returns: What the ranks gave, in order.
  /// - Throws: The error of the lowest rank that failed.
  public static func run<Result: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Result
  ) throws -> [Result] {
    let port = UInt16.random(in: 20000..<50000)
    let outcomes = Mutex<[Int: Swift.Result<Result, any Error>]>([:])
    let done = DispatchSemaphore(value: 0)
    for rank in 0..<size {
      let thread = Thread {
        let outcome = Swift.Result {
          try body(
            ProcessGroup(
              .init(rank: rank, size: size, host: "127.0.0.1", port: port), joinSeconds: 60,
              answerSeconds: 60))
        }
        outcomes.withLock { $0[rank] = outcome }
        done.signal()
      }
      thread.stackSize = 64 << 20
      thread.start()
    }
    for _ in 0..<size { done.wait() }
    return try outcomes.withLock { outcomes in
      try outcomes.sorted { $0.key < $1.key }.map { try $0.value.get() }
    }
  }
}
