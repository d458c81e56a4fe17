import Foundation
import Hummingbird
internal import KinoSystem
import NIOCore
import Synchronization

/// Answers that many clients ask for again and again, kept until what they tell of is another.
final class AnswerCache: Sendable {
  /// What an answer depends on: how often jobs have changed, and how often the progress of one.
  struct Version: Hashable {
    let jobs, progress: Int
  }

  private struct State {
    var version: Version?
    var answers: [String: ByteBuffer] = [:]
    var bytes = 0
  }

  private static let byteLimit = 8 << 20
  private let state = Mutex(State())

  /// The JSON of an answer.
  ///
  /// - Parameters:
  ///   - question: Owner, address and query: all that the value depends on beside the version.
  ///   - version: As it was before the value is made, so that no change in between is missed.
  ///   - value: Makes the answer.
  /// - Returns: The kept answer, or a new one.
  /// - Throws: Errors of `value`.
  func json(
    _ question: String, at version: Version, _ value: () async throws -> some Encodable
  ) async throws -> ByteBuffer {
    let kept = state.withLock { $0.version == version ? $0.answers[question] : nil }
    if let kept { return kept }
    let answer = try ByteBuffer(bytes: await value().sortedJSON)
    state.withLock { state in
      if state.version != version {
        state = State(version: version)
      }
      guard state.bytes + answer.readableBytes <= Self.byteLimit else { return }
      state.bytes += answer.readableBytes
      state.answers[question] = answer
    }
    return answer
  }
}
