internal import Dispatch

/// Runs a task on a queue of its own: the threads that tasks share may be busy with other tests for seconds.
public final class OwnQueue: TaskExecutor {
  private let queue = DispatchQueue(label: "kino.tests.own-queue")

  /// Makes a queue.
  public init() {}

  /// Runs a job when the ones before it are done.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
