import Foundation

/// Runs the jobs of one actor on one thread of their own.
///
/// OpenMP keeps a pool of workers, and a thread count, for every thread that calls it. On Swift's
/// shared pool, tensor work would wander over its threads, leave a pool of workers behind on each,
/// and ignore the thread count set on another. So all tensor work of a model stays on this thread.
package final class DedicatedThread: SerialExecutor {
  private let queue = JobQueue()

  /// Starts the thread, which ends when this object goes away and its jobs are done.
  package init(name: String) {
    let queue = queue
    // Valid while jobs run: they belong to the actor, which owns this object.
    let executor = UnownedSerialExecutor(ordinary: self)
    let thread = Thread {
      while let job = queue.next() { job.runSynchronously(on: executor) }
    }
    thread.name = name
    // LibTorch's recursion, and the codecs', are used to a main thread's stack.
    thread.stackSize = 16 << 20
    thread.start()
  }

  deinit { queue.stop() }

  package func enqueue(_ job: consuming ExecutorJob) { queue.append(UnownedJob(job)) }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }
}

/// Jobs that wait for the thread.
///
/// `@unchecked Sendable`: `condition` guards everything here.
private final class JobQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var jobs: [UnownedJob] = []
  private var isStopped = false

  func append(_ job: UnownedJob) {
    condition.lock()
    jobs.append(job)
    condition.signal()
    condition.unlock()
  }

  func stop() {
    condition.lock()
    isStopped = true
    condition.signal()
    condition.unlock()
  }

  /// Waits for a job; `nil` at the end.
  func next() -> UnownedJob? {
    condition.lock()
    defer { condition.unlock() }
    while jobs.isEmpty && !isStopped { condition.wait() }
    return jobs.isEmpty ? nil : jobs.removeFirst()
  }
}
