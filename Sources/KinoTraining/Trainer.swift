public import Foundation
public import KinoTensor

/// What happens in a training run, for whoever shows it.
public enum TrainingEvent: Sendable {
  /// This process has waited for some seconds for the others to join it at a host's port, and goes on waiting.
  case waiting(rank: Int, of: Int, place: String)
  /// The run goes on from a checkpoint.
  case resumed(step: Int)
  /// What is possible and probably not what is wanted.
  case warning(String)
  /// A line of the log: means since the last one.
  case step(Int, of: Int, figures: [String: Double])
  /// Figures on data that is never trained on.
  case heldOut(step: Int, figures: [String: Double])
  /// A checkpoint or a sheet of samples is complete.
  case wrote(URL)
}

/// Trains what a configuration describes: an autoencoder, a transformer with its text encoder, or a judge.
///
/// ```swift
/// let trainer = try Trainer(TrainingConfiguration(contentsOf: url)) { print($0) }
/// try trainer.run()
/// try trainer.export(to: folder)
/// ```
public struct Trainer {
  private let runner: any Runner

  /// Prepares a run, going on from the newest checkpoint in its output folder.
  ///
  /// - Parameters:
  ///   - configuration: What to train, on what.
  ///   - group: Processes that train along, each with its share of every batch; `nil`: this one alone.
  ///   - report: Called on the thread that trains.
  /// - Throws: ``TrainingError`` if data is missing, a checkpoint does not fit or the output folder
  ///   can't be written; errors of the autoencoder's files.
  public init(
    _ configuration: TrainingConfiguration, group: ProcessGroup? = nil,
    report: @escaping (TrainingEvent) -> Void
  ) throws {
    let team = Team(group: group)
    if configuration.transformer != nil {
      let task = try TransformerTask(configuration, team: team)
      runner = try TrainingRun(task, configuration: configuration, team: team, report: report)
    } else if configuration.judge != nil {
      let task = try JudgeTask(configuration)
      runner = try TrainingRun(task, configuration: configuration, team: team, report: report)
    } else {
      let task = try AutoencoderTask(configuration)
      runner = try TrainingRun(task, configuration: configuration, team: team, report: report)
    }
  }

  /// Trains until the last step, or until `shouldStop`, which is asked after every step; a checkpoint
  /// is written either way.
  ///
  /// - Returns: Whether the last step was reached.
  /// - Throws: ``TrainingError`` where a loss or gradient is not finite, or the disk refuses.
  @discardableResult
  public func run(shouldStop: () -> Bool = { false }) throws -> Bool {
    try runner.run(shouldStop: shouldStop)
  }

  /// Writes the averaged parameters as a model that Kino and diffusers load.
  ///
  /// - Parameter folder: Made, or replaced when the new one is complete.
  /// - Throws: An error of the files.
  public func export(to folder: URL) throws { try runner.export(to: folder) }
}

/// A run whose task is forgotten.
protocol Runner {
  func run(shouldStop: () -> Bool) throws -> Bool
  func export(to folder: URL) throws
}

extension TrainingRun: Runner {}
