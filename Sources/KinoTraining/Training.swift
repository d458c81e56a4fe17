public import Foundation
public import Kino
internal import KinoSystem
public import KinoTensor
internal import KinoWeights

/// Trains on a thread of its own, for programs that do other things meanwhile.
///
/// All tensor work stays on that thread; see `DedicatedThread`.
public actor Training {
  private let thread = DedicatedThread(name: "kino.training")
  private let configuration: TrainingConfiguration
  private let threadCount: Int?
  private let place: ProcessGroup.Place?
  private let lost: @Sendable (TrainingError) -> Void

  /// Seconds after which a process that gives no sign counts as lost.
  private static let silentSeconds = 40.0

  /// The executor of the thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    thread.asUnownedSerialExecutor()
  }

  /// Reads a configuration.
  ///
  /// - Parameters:
  ///   - url: A YAML file.
  ///   - device: Where the networks compute, whatever the file says; `nil` follows it.
  ///   - threadCount: Threads of one operation, in `1...1024`; `nil` uses all cores. Clips are still
  ///     drawn on all cores.
  ///   - place: This process's among those that train together; `nil`: it is alone.
  ///   - lost: Called on another thread when one of those gives no sign any more. What this process waits for
  ///     then never comes: it should end.
  /// - Throws: ``TrainingError`` naming the setting at fault.
  public init(
    configurationAt url: URL, device: ComputeDevice? = nil, threadCount: Int? = nil,
    place: ProcessGroup.Place? = nil, lost: @escaping @Sendable (TrainingError) -> Void = { _ in }
  ) throws {
    if let threadCount, !(1...1024 ~= threadCount) {
      throw TrainingError(
        .invalidConfiguration, "threads is \(threadCount); use a number in 1...1024.")
    }
    var configuration = try TrainingConfiguration(contentsOf: url)
    if let device {
      configuration.device = device
      try configuration.validate()
    }
    self.configuration = configuration
    self.threadCount = threadCount
    self.place = place
    self.lost = lost
  }

  /// Trains to the last step, or until the task is cancelled, which leaves a checkpoint.
  ///
  /// - Returns: Whether the last step was reached.
  public func run(report: @escaping @Sendable (TrainingEvent) -> Void) throws -> Bool {
    // The count belongs to the calling thread, so it is set on this one.
    if let threadCount { Engine.threadCount = threadCount }
    guard let place else {
      return try Trainer(configuration, report: report).run { Task.isCancelled }
    }
    do {
      let group = try joined(place, report: report)
      let lost = lost
      group.watch(silentSeconds: Self.silentSeconds) { rank in
        lost(.lostProcess("process \(rank) of \(place.size) gives no sign any more."))
      }
      let isDone = try Trainer(configuration, group: group, report: report).run {
        Task.isCancelled
      }
      group.unwatch()
      try group.barrier()
      return isDone
    } catch let error as TensorError where error.code == .disconnected {
      // The engine's own words name files of its makers.
      throw TrainingError.lostProcess(
        "\(error.operation): the other processes can't be reached.")
    }
  }

  /// Joins the other processes, and says so if they are long in coming.
  private func joined(
    _ place: ProcessGroup.Place, report: @escaping @Sendable (TrainingEvent) -> Void
  ) throws -> ProcessGroup {
    let notice = DispatchWorkItem {
      report(
        .waiting(rank: place.rank, of: place.size, place: "\(place.host):\(place.port)"))
    }
    DispatchQueue.global().asyncAfter(deadline: .now() + 5, execute: notice)
    defer { notice.cancel() }
    return try ProcessGroup(place)
  }

  /// Tries a step of every bucket out, and tells what the run will take; nothing of the run is touched.
  ///
  /// - Throws: As ``run(report:)``; ``TrainingError`` for what is no transformer.
  public func plan() throws -> TrainingPlan {
    if let threadCount { Engine.threadCount = threadCount }
    return try TrainingPlan(trying: configuration)
  }

  /// Writes into a model's `kino.json` what the configuration tells of a model without a look at its
  /// weights: the words of its captions, and the fewest steps. All else there stays.
  ///
  /// - Parameter folder: A model that was trained by this configuration, and exported before Kino wrote
  ///   these.
  /// - Throws: An error of the files, or ``TrainingError`` for data that are missing.
  public func describe(modelAt folder: URL) throws {
    let url = folder.appendingPathComponent(ModelProfile.fileName)
    var file = try ConfigurationFile(at: url)
    var profile: ModelProfile = try file.decode()
    profile.minimumSteps = configuration.transformer?.defaults.minimumSteps
    profile.vocabulary = try ModelProfile.Vocabulary(trainedOn: configuration)
    try file.update(with: profile)
    try file.write(to: url)
  }

  /// Writes the averaged parameters of the newest checkpoint as a model.
  public func export(to folder: URL) throws {
    guard !TrainingState.checkpoints(in: configuration.outputFolder).isEmpty else {
      throw TrainingError(
        .badCheckpoint,
        "\(configuration.outputFolder.path): there is no checkpoint to export; train first.")
    }
    try Trainer(configuration) { _ in }.export(to: folder)
  }
}
