public import Foundation
public import Kino
internal import KinoTensor
internal import KinoWeights

/// Trains on a thread of its own, for programs that do other things meanwhile.
///
/// All tensor work stays on that thread; see `ModelThread`.
public actor Training {
  private let thread = ModelThread(name: "kino.training")
  private let configuration: TrainingConfiguration
  private let threadCount: Int?

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
  /// - Throws: ``TrainingError`` naming the setting at fault.
  public init(
    configurationAt url: URL, device: ComputeDevice? = nil, threadCount: Int? = nil
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
  }

  /// Trains to the last step, or until the task is cancelled, which leaves a checkpoint.
  ///
  /// - Returns: Whether the last step was reached.
  public func run(report: @escaping @Sendable (TrainingEvent) -> Void) throws -> Bool {
    // The count belongs to the calling thread, so it is set on this one.
    if let threadCount { Engine.threadCount = threadCount }
    return try Trainer(configuration, report: report).run { Task.isCancelled }
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
