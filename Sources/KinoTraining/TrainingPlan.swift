internal import Foundation
internal import Kino
internal import KinoModels
internal import KinoTensor

/// What a transformer's training will take on this machine, from a step of every bucket done on made-up latents.
public struct TrainingPlan: Codable, Hashable, Sendable {
  /// Numbers that learn.
  public internal(set) var trainedParameters = 0
  /// Tokens of the largest step.
  public internal(set) var tokensPerStep = 0
  /// Bytes of memory at most, with the program.
  public internal(set) var peakBytes = 0
  /// Bytes of encoded clips and checkpoints on disk at most.
  public internal(set) var diskBytes = 0
  /// Seconds of a step, in the mean over the run.
  public internal(set) var secondsPerStep = 0.0
  /// Seconds to encode all clips.
  public internal(set) var encodingSeconds = 0.0
  /// Seconds of the whole run, without samples and figures on unseen data.
  public internal(set) var seconds = 0.0

  enum CodingKeys: String, CodingKey {
    case trainedParameters = "trained_parameters"
    case tokensPerStep = "tokens_per_step"
    case peakBytes = "peak_bytes"
    case diskBytes = "disk_bytes"
    case secondsPerStep = "seconds_per_step"
    case encodingSeconds = "encoding_seconds"
    case seconds
  }

  /// Tries a configuration out, in a temporary folder.
  ///
  /// - Throws: As a run's start does; ``TrainingError`` for what is no transformer.
  init(trying configuration: TrainingConfiguration) throws {
    guard let settings = configuration.transformer else {
      throw TrainingError(
        .invalidConfiguration,
        "Only the training of transformers is planned; this is another network.")
    }
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-plan-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    var trial = configuration
    trial.output = folder.path
    let task = try TransformerTask(trial)
    var state = TrainingState(
      parameters: task.parameters, isMatrix: task.isMatrix, rateFactor: task.rateFactor)
    trainedParameters = task.parameters.reduce(0) { $0 + $1.value.count }
    // Parameters, both moments and averages; two checkpoints and one being written.
    diskBytes = 3 * 4 * 4 * trainedParameters
    for (bucket, steps) in configuration.buckets.steps(of: configuration.steps) where steps > 0 {
      let cost = try task.trial(bucket) {
        _ = try state.update(configuration.optimizer, of: configuration.steps)
      }
      tokensPerStep = max(tokensPerStep, cost.tokens)
      secondsPerStep += cost.seconds * steps / Double(configuration.steps)
      let samples = settings.latents.count(
        at: configuration.steps, frames: cost.latentFrames, atMost: bucket.samples)
      encodingSeconds += cost.secondsPerSample * Double(samples)
      diskBytes += samples * cost.bytesPerSample
    }
    peakBytes = PeakMemory.bytes
    seconds = secondsPerStep * Double(configuration.steps) + encodingSeconds
  }
}

extension [TrainingConfiguration.Bucket] {
  /// How many of so many steps each bucket has, on average.
  func steps(of count: Int) -> [(bucket: Element, steps: Double)] {
    let starts = Set(map { Swift.min(count, $0.after ?? 0) } + [0]).sorted()
    var steps = map { _ in 0.0 }
    for (start, end) in zip(starts, starts.dropFirst() + [count]) {
      let inUse = indices.filter { self[$0].after ?? 0 <= start }
      let weight = inUse.reduce(0) { $0 + self[$1].weight }
      for index in inUse where weight > 0 {
        steps[index] += self[index].weight / weight * Double(end - start)
      }
    }
    return zip(self, steps).map { (bucket: $0, steps: $1) }
  }
}

extension TransformerTask {
  /// What a bucket takes.
  struct TrialCost {
    var tokens = 0
    var seconds = 0.0
    var secondsPerSample = 0.0
    var latentFrames = 0
    var bytesPerSample = 0
  }

  /// Makes two steps of a bucket on made-up latents, and encodes one clip.
  ///
  /// - Parameters:
  ///   - bucket: The bucket.
  ///   - update: Moves the parameters, and forgets the gradients.
  /// - Returns: What they took.
  /// - Throws: Errors of the task.
  func trial(
    _ bucket: TrainingConfiguration.Bucket, update: () throws -> Void
  ) throws -> TrialCost {
    let clock = ContinuousClock()
    let shape = try geometry.shape(
      frames: bucket.frames, height: bucket.window ?? bucket.height,
      width: bucket.window ?? bucket.width)
    let whole = try geometry.shape(
      frames: bucket.frames, height: bucket.height, width: bucket.width)
    var cost = TrialCost()
    cost.tokens = bucket.batch * shape.tokenCount
    cost.latentFrames = shape.frames
    cost.bytesPerSample = 2 * whole.axes.reduce(1, *)
    var random = RandomSource(seed: 1)
    func seconds(_ work: () throws -> Void) rethrows -> Double {
      try clock.measure(work).inSeconds
    }
    func step() throws {
      let parts = configuration.accumulate ?? 1
      for index in 0..<parts {
        let range = BatchPart(index: index, count: parts).range(of: bucket.batch)
        if range.isEmpty { continue }
        var batch = Batch(
          captions: range.map { source.caption($0, of: bucket, seed: UInt64($0)) }, range: range,
          total: bucket.batch)
        batch.latents = random.normal([range.count] + shape.axes)
        try loss(batch, random: &random).loss.backward()
      }
      try update()
    }
    // The first one finds memory, and compiles kernels.
    try step()
    cost.seconds = try seconds(step)
    let sample = try seconds {
      let pixels = try source.pixels(0..<1, of: bucket).pixels(on: device)
      _ = withoutGradient { codec.latents(of: pixels).moved(to: .cpu).floats() }
    }
    cost.secondsPerSample = sample
    return cost
  }
}
