internal import Foundation
public import KinoSystem

/// A training run that can't start or can't go on.
public struct TrainingError: KinoError, Hashable {
  /// What kind of fault it is.
  public enum Code: Hashable, Sendable {
    case invalidConfiguration, dataNotFound, badCheckpoint, notFinite, cannotWrite, alreadyRunning
    /// A process that trained along is gone.
    case lostProcess
  }

  /// The kind of this fault.
  public let code: Code
  /// Whether the request itself is at fault.
  public var isWrongUse: Bool { code == .invalidConfiguration }
  /// What was expected, what was found, and what to do next.
  public let details: String

  package init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// Makes a folder, with those above it, unless it is there.
  static func makeFolder(_ url: URL) throws(TrainingError) {
    do throws(FileError) {
      try FileManager.default.makeFolder(url)
    } catch {
      throw TrainingError(.cannotWrite, error.description)
    }
  }

  static func lostProcess(_ text: String) -> TrainingError {
    TrainingError(
      .lostProcess,
      "\(text) All processes stop; start them again, as many as there are: the run goes on from its last checkpoint."
    )
  }

  /// The details.
  public var description: String { details }
}
