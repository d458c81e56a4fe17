import Foundation
import Synchronization

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// One request whose answer is limited in bytes and in time.
final class LimitedTransfer: NSObject, URLSessionDataDelegate, Sendable {
  typealias Answer = (status: Int, body: Data)

  private struct State {
    var body = Data()
    var waiting: CheckedContinuation<Result<Answer, ChatFailure>, Never>?
    var result: Result<Answer, ChatFailure>?
  }

  private let state = Mutex(State())
  private let host: String
  private let byteLimit: Int

  private init(host: String, byteLimit: Int) {
    self.host = host
    self.byteLimit = byteLimit
  }

  /// Sends a request and waits for the whole answer.
  ///
  /// - Parameters:
  ///   - request: What is sent.
  ///   - host: The name for messages.
  ///   - byteLimit: The largest body.
  ///   - timeout: Seconds from now until the whole answer must be there.
  /// - Returns: The status and the whole body.
  /// - Throws: ``ChatFailure`` if no such answer comes in time.
  static func answer(
    to request: URLRequest, host: String, byteLimit: Int, timeout: Double
  ) async throws(ChatFailure) -> Answer {
    let transfer = LimitedTransfer(host: host, byteLimit: byteLimit)
    let session = URLSession(configuration: .ephemeral, delegate: transfer, delegateQueue: nil)
    // A session keeps its delegate until it is told to end.
    defer { session.invalidateAndCancel() }
    let task = session.dataTask(with: request)
    let deadline = Task {
      try await Task.sleep(for: .seconds(timeout))
      transfer.end(.failure(ChatFailure("\(host) did not answer within \(timeout) s")))
    }
    defer { deadline.cancel() }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        transfer.wait(continuation)
        task.resume()
      }
    } onCancel: {
      transfer.end(.failure(ChatFailure("the question to \(host) was cancelled")))
    }
    return try result.get()
  }

  private func wait(_ continuation: CheckedContinuation<Result<Answer, ChatFailure>, Never>) {
    let result = state.withLock { state in
      if state.result == nil { state.waiting = continuation }
      return state.result
    }
    if let result { continuation.resume(returning: result) }
  }

  /// Gives a result to who waits; the first one counts.
  private func end(_ result: Result<Answer, ChatFailure>) {
    let waiting = state.withLock { state in
      if state.result == nil { state.result = result }
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: result)
  }

  private var tooLong: Result<Answer, ChatFailure> {
    .failure(ChatFailure("the answer of \(host) is larger than \(byteLimit) bytes"))
  }

  // MARK: URLSessionDataDelegate

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
  ) {
    if response.expectedContentLength > Int64(byteLimit) {
      end(tooLong)
      completionHandler(.cancel)
    } else {
      completionHandler(.allow)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let isTooLong = state.withLock { state in
      if state.result != nil || state.body.count + data.count > byteLimit { return true }
      state.body.append(data)
      return false
    }
    if isTooLong {
      end(tooLong)
      dataTask.cancel()
    }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping @Sendable (URLRequest?) -> Void
  ) {
    completionHandler(nil)
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let body = state.withLock { $0.body }
    if let response = task.response as? HTTPURLResponse, error == nil {
      // A connection that ends early is not always an error on Linux.
      let expected = response.expectedContentLength
      if expected > 0 && Int64(body.count) < expected {
        end(.failure(ChatFailure("the answer of \(host) ends early")))
      } else {
        end(.success((response.statusCode, body)))
      }
    } else {
      end(.failure(ChatFailure("\(host) cannot be reached, or broke off")))
    }
  }
}
