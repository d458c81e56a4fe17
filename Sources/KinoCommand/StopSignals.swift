import Dispatch
import Foundation
import Synchronization

/// Turns the first Ctrl-C, or a polite request to end, into a cancellation; the second ends at once.
final class StopSignals {
  private let received = Received()
  /// Kept, since a source that goes away hears nothing.
  private let sources: [any DispatchSourceSignal]

  private final class Received: Sendable {
    let signal = Mutex<Int32?>(nil)
  }

  /// The exit status that a signal asks for, if one came.
  var status: Int32? { received.signal.withLock { $0 }.map { 128 + $0 } }

  init(cancel: @escaping @Sendable () -> Void) {
    let received = received
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        let isSecond = received.signal.withLock { signal in
          defer { signal = number }
          return signal != nil
        }
        if isSecond { _exit(128 + number) }
        cancel()
      }
      source.resume()
      return source
    }
  }
}
