internal import Foundation
internal import KinoTensor

/// What is trained: the loss, and what shows how it goes. The loop around it is ``TrainingRun``.
protocol TrainingTask {
  /// The data of one step.
  associatedtype Batch: Sendable

  /// Every trained parameter with its checkpoint key.
  var parameters: [(key: String, value: Tensor)] { get }

  /// What is probably not what was wanted, told when the run starts.
  var warnings: [String] { get }

  /// The parameters from those whose gradients the backward pass makes last, to those that it makes first.
  var gradientOrder: [Tensor] { get }

  /// Whether a parameter maps features to features; tables and the last layer do not.
  func isMatrix(_ key: String) -> Bool

  /// What a parameter's rate is of the others', above 0.
  func rateFactor(_ key: String) -> Double

  /// Whether a batch can be computed in parts whose losses add up to that of the whole.
  var canSplit: Bool { get }

  /// Makes the data of a step, from the step alone, so that a resumed run sees what it would have.
  ///
  /// - Parameters:
  ///   - step: From 1.
  ///   - part: Which of the step's samples; the whole unless ``canSplit``.
  ///   - shouldStop: Asked between the parts of work that takes long.
  /// - Returns: The data; `nil` if it was stopped.
  /// - Throws: What stops the run.
  func batch(step: Int, part: BatchPart, shouldStop: () -> Bool) throws -> Batch?

  /// Makes batches as ``batch(step:part:shouldStop:)`` does, from several threads at a time; `nil` where the
  /// networks need the cores themselves, or where batches are made one after another.
  var batchesAhead: (@Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> Batch?)? { get }

  /// A batch's share of the step's samples, in `0...1`; of an empty one no loss is asked for.
  func share(of batch: Batch) -> Double

  /// The loss to minimise, a single number, and figures to log beside it.
  ///
  /// - Parameters:
  ///   - batch: From ``batch(step:)``.
  ///   - random: The step's own noise.
  /// - Returns: The loss, which records its gradient, and the figures, which do not and are read after the
  ///   backward pass, so that nothing waits for them before.
  /// - Throws: What stops the run.
  func loss(_ batch: Batch, random: inout RandomSource) throws -> (
    loss: Tensor, figures: [String: Tensor]
  )

  /// Figures on data that is never trained on.
  ///
  /// - Parameter averages: The averaged parameters, by checkpoint key.
  /// - Returns: Figures to log.
  /// - Throws: What stops the run.
  func heldOut(averages: [(key: String, value: Tensor)]) throws -> [String: Double]

  /// Writes a picture that shows what the averaged parameters can do.
  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws

  /// Writes the averaged parameters as a model that Kino and diffusers load.
  func export(averages: [(key: String, value: Tensor)], to folder: URL) throws
}

extension TrainingTask {
  func rateFactor(_ key: String) -> Double { 1 }
  var warnings: [String] { [] }
  var canSplit: Bool { false }
  var gradientOrder: [Tensor] { parameters.map(\.value) }
  func share(of batch: Batch) -> Double { 1 }
  var batchesAhead: (@Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> Batch?)? { nil }
}
