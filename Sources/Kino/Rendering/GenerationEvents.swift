/// The events of one piece of work, which starts with the iteration.
///
/// Cancelling the task that iterates stops the work within one step; the iteration then waits for
/// its end and throws `CancellationError`. Leaving the loop stops the work too, without waiting.
public struct GenerationEvents: AsyncSequence, Sendable {
  /// What happens.
  public typealias Element = GenerationEvent
  typealias Report = @Sendable (GenerationEvent) -> Void

  private let work: @Sendable (@escaping Report) async throws -> Void

  init(_ work: @escaping @Sendable (@escaping Report) async throws -> Void) { self.work = work }

  /// Starts the work.
  public func makeAsyncIterator() -> AsyncIterator {
    let (stream, continuation) = AsyncThrowingStream.makeStream(of: GenerationEvent.self)
    let task = Task { [work] in
      do {
        try await work { continuation.yield($0) }
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
    continuation.onTermination = { _ in task.cancel() }
    return AsyncIterator(base: stream.makeAsyncIterator(), task: task)
  }

  /// Hands out the events one by one.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate var base: AsyncThrowingStream<GenerationEvent, any Error>.AsyncIterator
    fileprivate let task: Task<Void, Never>

    /// Waits for the next event; `nil` after the last.
    public mutating func next() async throws -> GenerationEvent? {
      if let event = try await base.next() { return event }
      guard Task.isCancelled else { return nil }
      // A cancelled stream ends at once; the work ends with its step, and cleans up.
      await task.value
      throw CancellationError()
    }
  }
}
