public import Foundation
internal import Kino
internal import KinoTensor

/// What happens in a training run, for whoever shows it.
public enum TrainingEvent: Sendable {
  /// The run goes on from a checkpoint.
  case resumed(step: Int)
  /// Some steps are done; figures are means over them.
  case step(Int, of: Int, figures: [String: Double])
  /// The averaged parameters were tried on data that is never trained on.
  case heldOut(step: Int, figures: [String: Double])
  /// A checkpoint, a picture of samples or a model was written.
  case wrote(URL)
}

/// Trains what a configuration file describes, on a thread of its own.
public actor Training {
  private let thread = ModelThread(name: "kino.training")
  private let configuration: TrainingConfiguration

  /// The thread that all tensor work stays on; see `ModelThread`.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    thread.asUnownedSerialExecutor()
  }

  /// Reads a configuration.
  ///
  /// - Throws: ``TrainingError`` naming the setting at fault.
  public init(configurationAt url: URL) throws {
    configuration = try TrainingConfiguration(contentsOf: url)
  }

  /// Trains to the last step, or until the task is cancelled, which leaves a checkpoint.
  ///
  /// - Returns: Whether the last step was reached.
  public func run(report: @escaping @Sendable (TrainingEvent) -> Void) throws -> Bool {
    try withTask(Trainer(report: report))
  }

  /// Writes the averaged parameters of the newest checkpoint as a model.
  public func export(to folder: URL) throws {
    _ = try withTask(Exporter(folder: folder))
  }

  /// The one place that knows which tasks there are.
  private func withTask(_ use: some TaskUse) throws -> Bool {
    if configuration.autoencoder != nil {
      return try use.with(AutoencoderTask(configuration), configuration)
    }
    throw TrainingError(
      .invalidConfiguration,
      "training configuration: only `autoencoder` can be trained yet, found `transformer`.")
  }
}

/// Something to do with a task of whichever type.
private protocol TaskUse {
  func with<Work: TrainingTask>(_ task: Work, _ configuration: TrainingConfiguration) throws -> Bool
}

private struct Trainer: TaskUse {
  let report: @Sendable (TrainingEvent) -> Void

  func with<Work: TrainingTask>(_ task: Work, _ configuration: TrainingConfiguration) throws -> Bool {
    let report = report
    let run = try TrainingRun(task, configuration: configuration) { event in
      switch event {
      case .resumed(let step): report(.resumed(step: step))
      case .step(let step, let count, let figures):
        report(.step(step, of: count, figures: figures))
      case .heldOut(let step, let figures): report(.heldOut(step: step, figures: figures))
      case .wrote(let url): report(.wrote(url))
      }
    }
    return try run.run { Task.isCancelled }
  }
}

private struct Exporter: TaskUse {
  let folder: URL

  func with<Work: TrainingTask>(_ task: Work, _ configuration: TrainingConfiguration) throws -> Bool {
    // Not through a run, which would tidy the log of one that may be going on.
    var state = TrainingState(parameters: task.parameters)
    guard try state.resume(from: configuration.outputFolder) != nil else {
      throw TrainingError(
        .badCheckpoint,
        "\(configuration.outputFolder.path): there is no checkpoint to export; train first.")
    }
    try withoutGradient { try task.export(averages: state.averagedParameters, to: folder) }
    return true
  }
}
