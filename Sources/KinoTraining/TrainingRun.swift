internal import Foundation
internal import KinoNN
internal import KinoTensor

/// Runs a task to its last step, with checkpoints, logs and samples.
///
/// Killed at any moment and started again, it goes on from the last checkpoint with the same data and
/// the same noise, and so to the same result.
final class TrainingRun<Task: TrainingTask> {
  private let task: Task
  private let configuration: TrainingConfiguration
  private let folder: URL
  private var state: TrainingState
  /// Opened by ``run(shouldStop:)``: an export must not tidy the log of a run that is going on.
  private var log: MetricsLog?
  private let report: (TrainingEvent) -> Void

  /// Prepares a run in the configuration's output folder, going on from a checkpoint found there.
  init(
    _ task: Task, configuration: TrainingConfiguration, report: @escaping (TrainingEvent) -> Void
  ) throws {
    self.task = task
    self.configuration = configuration
    self.report = report
    folder = configuration.outputFolder
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw TrainingError(
        .cannotWrite,
        "\(folder.path): the output folder can't be made. \(error.localizedDescription)")
    }
    state = TrainingState(
      parameters: task.parameters, isMatrix: task.isMatrix, rateFactor: task.rateFactor)
    if try state.resume(from: folder) != nil { report(.resumed(step: state.step)) }
  }

  /// Trains until the last step, or until `shouldStop`, which is asked after every step and while data are
  /// made.
  ///
  /// - Returns: Whether the last step was reached.
  @discardableResult
  func run(shouldStop: () -> Bool = { false }) throws -> Bool {
    let lock = try RunLock(folder: folder)
    defer { withExtendedLifetime(lock) {} }
    for warning in task.warnings { report(.warning(warning)) }
    log = try MetricsLog(folder: folder, step: state.step)
    var lastCheckpoint = Date()
    var pace = Pace()
    while state.step < configuration.steps {
      let figures = try step(&pace, shouldStop: shouldStop)
      let settings = configuration.schedule
      if let figures, state.step % settings.logSteps == 0 {
        let means = pace.means(adding: figures)
        try log?.append(step: state.step, figures: means)
        report(.step(state.step, of: configuration.steps, figures: means))
      }
      let isLast = state.step == configuration.steps || figures == nil || shouldStop()
      if isLast || Date().timeIntervalSince(lastCheckpoint) > settings.checkpointMinutes * 60 {
        try state.write(to: folder, configuration: configuration)
        try log?.drawChart()
        report(.wrote(folder.appendingPathComponent("checkpoint-\(state.step)")))
        lastCheckpoint = Date()
      }
      if figures != nil { try evaluate(isLast: state.step == configuration.steps) }
      if isLast { break }
    }
    return state.step == configuration.steps
  }

  /// Writes the averaged parameters as a model.
  func export(to folder: URL) throws {
    try withoutGradient { try task.export(averages: state.averagedParameters, to: folder) }
  }

  /// Makes a step; `nil` if it was stopped before anything changed.
  private func step(_ pace: inout Pace, shouldStop: () -> Bool) throws -> [String: Double]? {
    let next = state.step + 1
    guard let batch = try task.batch(step: next, shouldStop: shouldStop) else { return nil }
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("noise"), drawCount: UInt64(next) << 32)
    var (loss, figures) = try task.loss(batch, random: &random)
    let value = loss.item()
    guard value.isFinite else {
      throw TrainingError(
        .notFinite,
        "step \(next): the loss is \(value). The last checkpoint is intact; lower learning_rate and start again."
      )
    }
    loss.backward()
    figures["loss"] = value
    figures["gradient_norm"] = try state.update(configuration.optimizer, of: configuration.steps)
    figures["learning_rate"] = configuration.optimizer.rate(step: next, of: configuration.steps)
    pace.add(figures)
    return figures
  }

  private func evaluate(isLast: Bool) throws {
    let settings = configuration.schedule
    try withoutGradient {
      if settings.heldOutSteps > 0, isLast || state.step % settings.heldOutSteps == 0 {
        let figures = try task.heldOut(averages: state.averagedParameters)
        try log?.append(step: state.step, figures: figures)
        report(.heldOut(step: state.step, figures: figures))
      }
      if settings.sampleSteps > 0, isLast || state.step % settings.sampleSteps == 0 {
        let url = folder.appendingPathComponent("samples-\(state.step).png")
        try task.writeSamples(averages: state.averagedParameters, to: url)
        report(.wrote(url))
      }
    }
  }
}

/// Means of figures between two log lines, with the speed.
private struct Pace {
  private var sums: [String: (total: Double, count: Int)] = [:]
  private var start = Date()
  private var steps = 0

  mutating func add(_ figures: [String: Double]) {
    steps += 1
    for (name, value) in figures {
      sums[name, default: (0, 0)].total += value
      sums[name, default: (0, 0)].count += 1
    }
  }

  mutating func means(adding last: [String: Double]) -> [String: Double] {
    var means = sums.mapValues { $0.total / Double($0.count) }
    means["learning_rate"] = last["learning_rate"]
    means["seconds_per_step"] = Date().timeIntervalSince(start) / Double(max(1, steps))
    self = Pace()
    return means
  }
}
