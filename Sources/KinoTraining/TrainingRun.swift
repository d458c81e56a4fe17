internal import Foundation
internal import KinoNN
internal import KinoSystem
internal import KinoTensor

/// Runs a task to its last step, with checkpoints, logs and samples.
///
/// Killed at any moment and started again, it goes on from the last checkpoint with the same data and
/// the same noise, and so to the same result.
final class TrainingRun<Task: TrainingTask> {
  private let task: Task
  private let configuration: TrainingConfiguration
  private let folder: URL
  private let team: Team
  private let reducer: GradientReducer?
  private var state: TrainingState
  /// Opened by ``run(shouldStop:)``: an export must not tidy the log of a run that is going on.
  private var log: MetricsLog?
  private let report: (TrainingEvent) -> Void
  /// Makes batches while a run goes on, where that helps.
  private var ahead: BatchesAhead<Task.Batch>?

  /// Prepares a run in the configuration's output folder, going on from a checkpoint found there.
  init(
    _ task: Task, configuration: TrainingConfiguration, team: Team = .alone,
    report: @escaping (TrainingEvent) -> Void
  ) throws {
    guard task.canSplit || (team.size == 1 && configuration.accumulate ?? 1 == 1) else {
      throw TrainingError(
        .invalidConfiguration,
        "Only transformers are trained by several processes, or with accumulate; start one process, and leave accumulate out."
      )
    }
    self.team = team
    reducer = team.group.map {
      GradientReducer($0, parameters: task.gradientOrder)
    }
    self.task = task
    self.configuration = configuration
    self.report = team.isFirst ? report : { _ in }
    folder = configuration.outputFolder
    try TrainingError.makeFolder(folder)
    state = TrainingState(
      parameters: task.parameters, isMatrix: task.isMatrix, rateFactor: task.rateFactor, team: team)
    try team.requireShared(folder)
    if try state.resume(from: folder) != nil { self.report(.resumed(step: state.step)) }
  }

  /// Trains until the last step, or until `shouldStop`, which is asked after every step and while data are
  /// made.
  ///
  /// - Returns: Whether the last step was reached.
  @discardableResult
  func run(shouldStop: () -> Bool = { false }) throws -> Bool {
    let lock = team.isFirst ? try FileLock.ofRun(in: folder) : nil
    if team.size == 1 && configuration.accumulate ?? 1 == 1 {
      ahead = task.batchesAhead.map { BatchesAhead(last: configuration.steps, make: $0) }
    }
    defer {
      withExtendedLifetime(lock) { ahead?.stop() }
      ahead = nil
    }
    for warning in task.warnings { report(.warning(warning)) }
    if team.isFirst { log = try MetricsLog(folder: folder, step: state.step) }
    var lastCheckpoint = Date()
    var pace = Pace(step: state.step)
    while state.step < configuration.steps {
      let figures = try step(&pace, shouldStop: shouldStop)
      let settings = configuration.schedule
      if let figures, state.step % settings.logSteps == 0 {
        try write(pace.means(adding: figures, at: state.step, of: configuration.steps))
      }
      let isDue = Date().timeIntervalSince(lastCheckpoint) > settings.checkpointMinutes * 60
      let isAtEnd = state.step == configuration.steps || figures == nil
      let asked = try team.sum([
        !isAtEnd && shouldStop() ? 1 : 0, team.isFirst && isDue ? 1 : 0,
      ])
      let isLast = isAtEnd || asked[0] > 0
      if isLast || asked[1] > 0 {
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

  private func write(_ means: [String: Double]) throws {
    try log?.append(step: state.step, figures: means.filter { $0.key != "seconds_left" })
    report(.step(state.step, of: configuration.steps, figures: means))
  }

  /// Writes the averaged parameters as a model.
  func export(to folder: URL) throws {
    try withoutGradient { try task.export(averages: state.averagedParameters(), to: folder) }
  }

  /// Makes a step; `nil` if it was stopped before anything changed.
  private func step(_ pace: inout Pace, shouldStop: () -> Bool) throws -> [String: Double]? {
    let next = state.step + 1
    guard var figures = try computed(next, shouldStop: shouldStop) else { return nil }
    let value = figures["loss"] ?? .nan
    guard value.isFinite else {
      throw TrainingError(
        .notFinite,
        "step \(next): the loss is \(value). The last checkpoint is intact; lower learning_rate and start again."
      )
    }
    figures["gradient_norm"] = try state.update(configuration.optimizer, of: configuration.steps)
    figures["learning_rate"] = configuration.optimizer.rate(step: next, of: configuration.steps)
    pace.add(figures)
    return figures
  }

  /// Leaves the gradients of this process's share of a step, computed in as many parts as are configured, and
  /// gives the figures of the whole step; `nil` if it was stopped before.
  private func computed(_ step: Int, shouldStop: () -> Bool) throws -> [String: Double]? {
    let parts = configuration.accumulate ?? 1
    var sums: [String: Double] = [:]
    for index in 0..<parts {
      let part = BatchPart(index: team.rank * parts + index, count: team.size * parts)
      let asked = Date()
      let made =
        try ahead.map { try $0.batch(step: step, shouldStop: shouldStop) }
        ?? task.batch(step: step, part: part, shouldStop: shouldStop)
      guard let batch = made else { return nil }
      if ahead != nil { sums["seconds_waiting"] = Date().timeIntervalSince(asked) }
      let share = task.share(of: batch)
      if index == parts - 1 { reducer?.begin() }
      if share == 0 { continue }
      var random = configuration.noise(step: step)
      var (loss, figures) = try task.loss(batch, random: &random)
      figures["loss"] = loss.detached()
      // Without a share of it, the loss is the whole's bit for bit.
      if share < 1 { loss = loss * share }
      loss.backward()
      for (name, figure) in figures {
        let value = figure.item()
        sums[name, default: 0] += share < 1 ? value * share : value
      }
    }
    guard team.size > 1 else { return sums }
    // First, since all processes must send the same things in the same order.
    try reducer?.finish()
    // The first process has samples of every step, so it knows the names.
    let names = sums.keys.sorted()
    let values = names.map { sums[$0] ?? 0 }
    let totals = try team.sum(values + [Double](repeating: 0, count: max(0, 16 - values.count)))
    return Dictionary(
      uniqueKeysWithValues: names.isEmpty
        ? [("loss", totals[0])] : zip(names, totals).map { ($0, $1) })
  }

  private func evaluate(isLast: Bool) throws {
    let settings = configuration.schedule
    func isDue(_ steps: Int) -> Bool { steps > 0 && (isLast || state.step % steps == 0) }
    let (measures, samples) = (isDue(settings.heldOutSteps), isDue(settings.sampleSteps))
    guard measures || samples else { return }
    try withoutGradient {
      let averages = try state.averagedParameters()
      guard team.isFirst else { return }
      if measures {
        let figures = try task.heldOut(averages: averages)
        try log?.append(step: state.step, figures: figures)
        report(.heldOut(step: state.step, figures: figures))
      }
      if samples {
        let url = folder.appendingPathComponent("samples-\(state.step).png")
        try task.writeSamples(averages: averages, to: url)
        report(.wrote(url))
      }
    }
  }
}

extension TrainingConfiguration {
  /// The noise of a step, after some draws.
  func noise(step: Int, after count: Int = 0) -> RandomSource {
    RandomSource(seed: seed ^ stableHash("noise"), drawCount: UInt64(step) << 32 + UInt64(count))
  }
}

/// Means of figures between two log lines, with the speed and the time that is left.
private struct Pace {
  private var sums: [String: (total: Double, count: Int)] = [:]
  private var start = Date()
  private var steps = 0
  private let runStart = Date()
  private let firstStep: Int

  init(step: Int) { firstStep = step }

  mutating func add(_ figures: [String: Double]) {
    steps += 1
    for (name, value) in figures {
      sums[name, default: (0, 0)].total += value
      sums[name, default: (0, 0)].count += 1
    }
  }

  mutating func means(
    adding last: [String: Double], at step: Int, of count: Int
  ) -> [String: Double] {
    var means = sums.mapValues { $0.total / Double($0.count) }
    means["learning_rate"] = last["learning_rate"]
    means["seconds_per_step"] = Date().timeIntervalSince(start) / Double(max(1, steps))
    // Over the whole run, since buckets differ, and with the samples and checkpoints between.
    let perStep = Date().timeIntervalSince(runStart) / Double(max(1, step - firstStep))
    means["seconds_left"] = perStep * Double(count - step)
    (sums, start, steps) = ([:], Date(), 0)
    return means
  }
}
