import Foundation
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoTraining

/// A task small enough to run to its end in a moment: fits a line to points that the step alone gives.
private struct LineTask: TrainingTask {
  let parameters: [(key: String, value: Tensor)]
  var failsAt: Int?
  var isStoppedAt: Int?

  init(failsAt: Int? = nil) {
    parameters = [
      ("slope", Tensor([Float(0)]).requiringGradient()),
      ("offset", Tensor([Float(0)]).requiringGradient()),
    ]
    self.failsAt = failsAt
  }

  func isMatrix(_ key: String) -> Bool { false }

  func batch(step: Int, part: BatchPart = .whole, shouldStop: () -> Bool = { false }) -> Tensor? {
    if step == isStoppedAt { return nil }
    var random = RandomSource(seed: 3, drawCount: UInt64(step))
    return random.uniform([16])
  }

  func loss(_ batch: Tensor, random: inout RandomSource) -> (
    loss: Tensor, figures: [String: Tensor]
  ) {
    let noise = random.normal([16]) * 0.01
    let wanted = batch * 3 + 1 + noise
    var loss = (batch * parameters[0].value + parameters[1].value - wanted).squared().mean()
    if batch.floats() == failsAt.flatMap({ self.batch(step: $0)?.floats() }) { loss = loss / 0 }
    return (loss, ["points": Tensor(16)])
  }

  func heldOut(averages: [(key: String, value: Tensor)]) -> [String: Double] {
    ["held_out_slope": averages[0].value.item()]
  }
  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws {
    try Data("sample".utf8).write(to: url)
  }
  func export(averages: [(key: String, value: Tensor)], to folder: URL) throws {}

  var values: [Double] { parameters.map { $0.value.item() } }
}

private func configuration(_ folder: URL, steps: Int = 40) -> TrainingConfiguration {
  TrainingConfiguration(
    output: folder.path, seed: 5, steps: steps, precision: .float32,
    optimizer: .init(
      learningRate: 0.05, warmupSteps: 4, decayFraction: 0.2, weightDecay: 0, beta2: 0.99,
      clipNorm: 1,
      averageDecay: 0.9),
    buckets: [.init(width: 32, height: 32, frames: 1, batch: 1, weight: 1)],
    data: .init(world: 1, folders: [], framesPerSecond: 12),
    schedule: .init(checkpointMinutes: 10, logSteps: 5, heldOutSteps: 10, sampleSteps: 20))
}

private func withFolder(_ body: (URL) throws -> Void) throws {
  let folder = try TemporaryFolder()
  try withExtendedLifetime(folder) { try body(folder.url) }
}

@Suite("A training run")
struct TrainingRunTests {
  @Test("learns, logs, draws and samples")
  func learns() throws {
    try withFolder { folder in
      let task = LineTask()
      let run = try TrainingRun(task, configuration: configuration(folder, steps: 200)) { _ in }
      #expect(try run.run())
      #expect(abs(task.values[0] - 3) < 0.5 && abs(task.values[1] - 1) < 0.5)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(
        names.contains("metrics.jsonl") && names.contains("curves.png")
          && names.contains("samples-200.png"))
      #expect(names.contains("checkpoint-200"))
      #expect(names.contains { $0.hasPrefix("events.out.tfevents.") })
      let log = try String(
        contentsOf: folder.appendingPathComponent("metrics.jsonl"), encoding: .utf8)
      #expect(log.contains("held_out_slope"))
    }
  }

  @Test(
    "stopped and started again ends bit for bit where an unbroken one does", arguments: [1, 17, 39])
  func resumesExactly(stop: Int) throws {
    try withFolder { folder in
      let whole = LineTask()
      try TrainingRun(whole, configuration: configuration(folder.appendingPathComponent("whole"))) {
        _ in
      }.run()
      let broken = configuration(folder.appendingPathComponent("broken"))
      var steps = 0
      try TrainingRun(LineTask(), configuration: broken) { _ in }.run {
        steps += 1
        return steps == stop
      }
      let resumed = LineTask()
      try TrainingRun(resumed, configuration: broken) { _ in }.run()
      #expect(resumed.values == whole.values)
    }
  }

  @Test("stopped while it makes data, keeps the steps before")
  func stopsInBatch() throws {
    try withFolder { folder in
      let whole = LineTask()
      try TrainingRun(whole, configuration: configuration(folder.appendingPathComponent("whole"))) {
        _ in
      }.run()
      let broken = configuration(folder.appendingPathComponent("broken"))
      var stopped = LineTask()
      stopped.isStoppedAt = 8
      #expect(try !TrainingRun(stopped, configuration: broken) { _ in }.run())
      let resumed = LineTask()
      var first = 0
      let run = try TrainingRun(resumed, configuration: broken) { event in
        if case .resumed(let step) = event { first = step }
      }
      #expect(first == 7)
      #expect(try run.run())
      #expect(resumed.values == whole.values)
    }
  }

  @Test("refuses a second run in the same folder, until the first has ended")
  func isAlone() throws {
    try withFolder { folder in
      let settings = configuration(folder, steps: 2)
      var faults: [TrainingError.Code] = []
      try TrainingRun(LineTask(), configuration: settings) { _ in }.run {
        do {
          try TrainingRun(LineTask(), configuration: settings) { _ in }.run()
        } catch let error as TrainingError {
          faults.append(error.code)
        } catch { Issue.record(error) }
        return false
      }
      #expect(faults == [.alreadyRunning])
      #expect(try TrainingRun(LineTask(), configuration: settings) { _ in }.run())
    }
  }

  @Test("goes on from the checkpoint before a damaged one")
  func skipsDamage() throws {
    try withFolder { folder in
      for stop in [10, 10] {
        var steps = 0
        try TrainingRun(LineTask(), configuration: configuration(folder)) { _ in }.run {
          steps += 1
          return steps == stop
        }
      }
      let newest = folder.appendingPathComponent("checkpoint-20/first.safetensors")
      try Data([1, 2, 3]).write(to: newest)
      var resumed = 0
      _ = try TrainingRun(LineTask(), configuration: configuration(folder)) { event in
        if case .resumed(let step) = event { resumed = step }
      }
      #expect(resumed == 10)
    }
  }

  @Test("refuses to go on after a loss that is not a number, and leaves the parameters alone")
  func refusesNotFinite() throws {
    try withFolder { folder in
      let task = LineTask(failsAt: 7)
      let run = try TrainingRun(task, configuration: configuration(folder)) { _ in }
      let error = try #require(throws: TrainingError.self) { try run.run() }
      #expect(error.code == .notFinite && error.details.contains("step 7"))
      #expect(task.values.allSatisfy { $0.isFinite })
    }
  }

  @Test("keeps the last two checkpoints only")
  func tidies() throws {
    try withFolder { folder in
      for _ in 0..<4 {
        var steps = 0
        try TrainingRun(LineTask(), configuration: configuration(folder)) { _ in }.run {
          steps += 1
          return steps == 5
        }
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
        $0.contains("checkpoint")
      }
      #expect(Set(names) == ["checkpoint-15", "checkpoint-20"])
    }
  }

  @Test("an unwritable output folder is an error before any work")
  func unwritable() {
    let error = #expect(throws: TrainingError.self) {
      try TrainingRun(
        LineTask(), configuration: configuration(URL(fileURLWithPath: "/proc/kino/run"))
      ) { _ in }
    }
    #expect(error?.code == .cannotWrite)
  }
}

@Suite("A training configuration")
struct TrainingConfigurationTests {
  private static let good = """
    output: /tmp/run
    seed: 1
    steps: 10
    precision: bfloat16
    optimizer: {learning_rate: 1.0e-4, warmup_steps: 1, decay_fraction: 0.2, weight_decay: 0, beta2: 0.99, clip_norm: 1, average_decay: 0.99}
    buckets:
      - {width: 64, height: 64, frames: 5, batch: 2, weight: 1}
    data: {world: 1, folders: [], frames_per_second: 12}
    schedule: {checkpoint_minutes: 5, log_steps: 1, held_out_steps: 0, sample_steps: 0}
    autoencoder: {base_width: 16, decoder_base_width: 16, latent_channels: 8, residual_blocks: 1, patch: 2, squared_weight: 1, gradient_weight: 0.2, divergence_weight: 1.0e-4}
    """

  private func read(_ text: String) throws -> TrainingConfiguration {
    let folder = try TemporaryFolder()
    return try withExtendedLifetime(folder) {
      try TrainingConfiguration(contentsOf: folder.write(text, "run.yaml"))
    }
  }

  @Test("is read from YAML")
  func reads() throws {
    let configuration = try read(Self.good)
    #expect(configuration.steps == 10 && configuration.autoencoder?.latentChannels == 8)
  }

  @Test(
    "names what is wrong",
    arguments: [
      ("steps: 10", "steps: -1", "steps"), ("steps: 10", "", "steps"),
      ("steps: 10", "steps: ten", "steps"),
      ("steps: 10", "steps: 10\nstep_count: 4", "step_count"), ("bfloat16", "float8", "precision"),
      ("width: 64", "width: 65", "65x64"), ("frames: 5", "frames: 6", "4n + 1"),
      ("batch: 2", "batch: 0", "batch"),
      ("batch: 2", "batch: 2, captions: []", "captions"),
      ("batch: 2", "batch: 2, captions: [long]", "captions"),
      ("weight: 1}", "weight: 0}", "weight"),
      ("weight: 1}", "weight: 1, after: 5}", "from the start"),
      ("learning_rate: 1.0e-4", "learning_rate: 7", "learning_rate"),
      ("world: 1", "world: 0", "positive weight"),
      ("patch: 2", "patch: 3", "patch must be 2, 4 or 8"),
      ("patch: 2", "patch: 2, frozen_encoder: true", "start"),
      ("[]", "[", "YAML"),
    ])
  func explains(old: String, new: String, expected: String) throws {
    let text = Self.good.replacingOccurrences(of: old, with: new)
    let error = #expect(throws: (any Error).self) { try read(text) }
    #expect("\(error.map { "\($0)" } ?? "")".contains(expected))
  }

  @Test("buckets are drawn by weight, each after its step")
  func buckets() {
    func bucket(_ width: Int, weight: Double, after: Int?) -> TrainingConfiguration.Bucket {
      .init(width: width, height: 32, frames: 1, batch: 1, weight: weight, after: after)
    }
    let all = [bucket(32, weight: 1, after: nil), bucket(64, weight: 3, after: 10)]
    let draws = stride(from: 0.05, to: 1, by: 0.1)
    #expect(draws.allSatisfy { all.drawn(at: 10, by: $0).width == 32 })
    #expect(draws.map { all.drawn(at: 11, by: $0).width }.count { $0 == 64 } == 8)
  }

  @Test("the learning rate warms up, stays, and falls to zero")
  func rate() throws {
    let settings = TrainingConfiguration.OptimizerSettings(
      learningRate: 1, warmupSteps: 10, decayFraction: 0.5, weightDecay: 0, beta2: 0.9, clipNorm: 1,
      averageDecay: 0.9)
    #expect(settings.rate(step: 1, of: 100) == 0.1)
    #expect(settings.rate(step: 40, of: 100) == 1)
    #expect(settings.rate(step: 75, of: 100) == 0.5)
    #expect(settings.rate(step: 100, of: 100) == 0)
  }
}

@Suite("An event file")
struct EventFileTests {
  @Test("has the checksums of the format")
  func checksums() {
    #expect(EventFile.crc32c(Data("123456789".utf8)) == 0xE306_9283)
    let record = EventFile.record(Data("abc".utf8))
    #expect(record.count == 8 + 4 + 3 + 4 && record[0] == 3)
  }
}
