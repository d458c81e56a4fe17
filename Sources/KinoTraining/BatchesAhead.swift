internal import Foundation
internal import KinoTensor

/// Makes the batches of the next steps on threads of its own, while a graphics processor computes.
///
/// Which samples a step has is a function of the step alone, so nothing but the time changes. Where the networks
/// compute on the processor it would only take their cores away.
///
/// `@unchecked Sendable`: what changes is behind the condition.
final class BatchesAhead<Batch: Sendable>: @unchecked Sendable {
  /// Steps whose batches are in the making at once: enough for a few seconds, in which new scenes are drawn.
  private static var depth: Int { 24 }

  private let last: Int
  private let make: @Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> Batch?
  private let queue = DispatchQueue(label: "kino.batches", attributes: .concurrent)
  private let workers = DispatchGroup()
  private let condition = NSCondition()
  private var made: [Int: Result<Batch?, any Error>] = [:]
  private var begun = 0
  private var isStopped = false

  /// - Parameters:
  ///   - last: The last step that a batch is asked for.
  ///   - make: Makes a step's batch, on several threads at a time; `nil` if it was stopped.
  init(
    last: Int,
    make: @escaping @Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> Batch?
  ) {
    self.last = last
    self.make = make
  }

  /// A step's batch, once it is made; those of the steps after it are begun.
  ///
  /// - Parameters:
  ///   - step: Above those of all calls before.
  ///   - shouldStop: Asked while the batch is waited for.
  /// - Returns: The batch; `nil` if it was stopped.
  /// - Throws: What stopped its making.
  func batch(step: Int, shouldStop: () -> Bool) throws -> Batch? {
    condition.lock()
    defer { condition.unlock() }
    begun = max(begun, step - 1)
    while begun < min(last, step + Self.depth - 1) {
      begun += 1
      begin(begun)
    }
    while true {
      if let result = made.removeValue(forKey: step) { return try result.get() }
      if shouldStop() { return nil }
      _ = condition.wait(until: Date(timeIntervalSinceNow: 0.1))
    }
  }

  /// Stops what is in the making, and waits for its end.
  func stop() {
    condition.lock()
    isStopped = true
    condition.unlock()
    workers.wait()
  }

  private func begin(_ step: Int) {
    queue.async(group: workers) { [self] in
      // Many batches at once keep the cores busy by themselves.
      Engine.threadCount = 1
      let result = Result { try make(step, { [self] in hasStopped }) }
      condition.lock()
      made[step] = result
      condition.broadcast()
      condition.unlock()
    }
  }

  private var hasStopped: Bool {
    condition.lock()
    defer { condition.unlock() }
    return isStopped
  }
}
