internal import CKinoTorch
public import KinoSystem
internal import Synchronization

/// A tensor operation that could not be done.
public struct TensorError: KinoError, Hashable {
  /// What kind of failure it was.
  public enum Code: Hashable, Sendable {
    /// The memory of the device does not suffice.
    case outOfMemory
    /// The operation refused its operands, or broke.
    case failed
    /// Another process of a ``ProcessGroup`` can't be reached.
    case disconnected
  }

  /// What kind of failure this one was.
  public let code: Code
  /// The operation and its operands.
  public let operation: String
  /// LibTorch's own words.
  public let details: String

  /// What failed, LibTorch's reason, and for lack of memory what helps.
  public var description: String {
    switch code {
    case .outOfMemory:
      "not enough memory for \(operation): \(details). "
        + "Use a smaller size, fewer frames or a lower precision."
    case .failed: "\(operation) failed: \(details)"
    case .disconnected:
      "\(operation): the other processes can't be reached. \(details.prefix { $0 != "\n" })"
    }
  }
}

/// Runs `body`; the first tensor operation in it that fails becomes one thrown ``TensorError``.
///
/// Outside such a scope a failed operation traps, since model code is not written to go on without
/// its values. Inside, later operations on the missing value are skipped until `body` returns.
public func withTensorErrors<Result>(_ body: () throws -> Result) throws -> Result {
  let scope = FailureScope()
  let result = FailureScope.$current.withValue(scope) { Swift.Result { try body() } }
  if let failure = scope.failure { throw failure }
  return try result.get()
}

/// The first failure of a `withTensorErrors` scope.
final class FailureScope: Sendable {
  @TaskLocal static var current: FailureScope?
  private let stored = Mutex<TensorError?>(nil)

  var failure: TensorError? { stored.withLock { $0 } }

  func record(_ error: TensorError) {
    stored.withLock { if $0 == nil { $0 = error } }
  }
}

/// Traps, or records the failure in the enclosing `withTensorErrors`, unless `status` is success.
@discardableResult
func check(
  _ operation: @autoclosure () -> String, _ status: kino_status
) -> Bool {
  if status == KINO_OK { return true }
  let error = TensorError(
    code: status == KINO_OUT_OF_MEMORY ? .outOfMemory : .failed, operation: operation(),
    details: String(cString: kino_last_error()))
  guard let scope = FailureScope.current else { fatalError(error.description) }
  scope.record(error)
  return false
}
