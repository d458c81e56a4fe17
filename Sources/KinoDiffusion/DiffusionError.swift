public import KinoSystem

/// A canvas, schedule or denoiser output that cannot be sampled.
public struct DiffusionError: KinoError, Hashable {
  /// What kind of failure it was.
  public enum Code: Hashable, Sendable {
    /// A tensor or list has the wrong shape or length.
    case shape
    /// A number lies outside its range, or is NaN.
    case range
    /// Tokens are to be kept, but there is nothing to keep.
    case missingContent
    /// Latents or a velocity hold NaN or infinity.
    case notFinite
  }

  /// What kind of failure it was.
  public let code: Code
  /// What was expected, what was found, and what to do.
  public let details: String

  /// Makes an error.
  public init(_ code: Code, _ details: String) {
    self.code = code
    self.details = details
  }

  /// The details.
  public var description: String { details }

  static func require(
    _ condition: Bool, _ code: Code, _ details: @autoclosure () -> String
  ) throws(DiffusionError) {
    if !condition { throw DiffusionError(code, details()) }
  }
}
