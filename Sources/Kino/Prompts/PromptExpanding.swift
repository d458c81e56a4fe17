/// Turns a short prompt into a description with all that a model likes to be told.
public protocol PromptExpanding: Sendable {
  /// Describes what a prompt asks for.
  ///
  /// Never fails: where no description can be had, the prompt comes back as it is, with a sentence
  /// for the user that says why.
  ///
  /// - Parameters:
  ///   - prompt: What the user typed.
  ///   - seed: Chooses what the prompt leaves open.
  /// - Returns: The prompt to use, and a warning if it is the one that was given for want of a
  ///   description.
  func expand(_ prompt: String, seed: UInt64) async -> (prompt: String, warning: String?)
}
