/// The events of one piece of work, which starts with the iteration.
///
/// Cancelling the task that iterates, or leaving the loop, stops the work within one step; the
/// iteration then throws `CancellationError`.
public struct GenerationEvents: AsyncSequence, Sendable {
  public typealias Element = GenerationEvent
  typealias Report = @Sendable (GenerationEvent) -> Void

  private let work: @Sendable (@escaping Report) async throws -> Void

  init(_ work: @escaping @Sendable (@escaping Report) async throws -> Void) { self.work = work }

  /// Starts the work.
  public func makeAsyncIterator() -> AsyncIterator {
    let work = work
    let stream = AsyncThrowingStream<GenerationEvent, any Error> { continuation in
      let task = Task {
        do {
          try await work { continuation.yield($0) }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in task.cancel() }
    }
    return AsyncIterator(base: stream.makeAsyncIterator())
  }

  /// Hands out the events one by one.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate var base: AsyncThrowingStream<GenerationEvent, any Error>.AsyncIterator

    /// Waits for the next event; `nil` after the last.
    public mutating func next() async throws -> GenerationEvent? {
      if let event = try await base.next() { return event }
      try Task.checkCancellation()
      return nil
    }
  }
}
