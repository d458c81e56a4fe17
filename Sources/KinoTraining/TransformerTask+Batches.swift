internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoModels
internal import KinoNN
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld
internal import Synchronization

// MARK: - Batches

extension TransformerTask {
  /// Steps whose samples are drawn together and dealt out by the length of their captions: a batch pays
  /// for its longest caption.
  private static let stepsPerDraw = 4

  var canSplit: Bool { true }

  func share(of batch: Batch) -> Double { Double(batch.range.count) / Double(batch.total) }

  /// What steps whose samples are drawn together show.
  struct Draw {
    let bucket: TrainingConfiguration.Bucket
    /// Samples that there must be.
    let available: Int
    /// Samples of all those steps, those of a step after those of the one before.
    let samples: [(index: Int, caption: String)]
  }

  func batch(step: Int, part: BatchPart, shouldStop: () -> Bool) throws -> Batch? {
    let draw = draw((step - 1) / Self.stepsPerDraw)
    let bucket = draw.bucket
    let all = draw.samples.dropFirst((step - 1) % Self.stepsPerDraw * bucket.batch)
      .prefix(bucket.batch).map(\.self)
    guard let store = try filled(bucket, to: draw.available, shouldStop: shouldStop) else {
      return nil
    }
    let range = part.range(of: all.count)
    let (indices, captions) = (all[range].map(\.index), all[range].map(\.caption))
    var batch = Batch(
      captions: captions, kept: kept(indices, captions, of: bucket), range: range, total: all.count)
    if range.isEmpty { return batch }
    batch.latents = try store.latents(at: indices)
    let truthWeight = settings.truth?.weight(at: step, of: configuration.steps) ?? 0
    guard needsTruth || bucket.window != nil else { return batch }
    var truths = truths(of: indices, bucket)
    if let side = bucket.window {
      (batch.latents, truths) = cut(
        batch.latents, truths, side: side, of: bucket, step: step, from: range.lowerBound)
    }
    let known = all.count { source.scene($0.index, of: bucket) != nil }
    batch.truth = TruthBatch(truths, knownShare: Double(known) / Double(all.count))
    batch.truthWeight = truthWeight
    return batch
  }

  var batchesAhead: (@Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> Batch?)? {
    if device == .cpu { return nil }
    return { [self] in try whole(step: $0, shouldStop: $1) }
  }

  /// A step's batch with its noise, all where the networks compute.
  func whole(step: Int, shouldStop: () -> Bool) throws -> Batch? {
    guard var batch = try batch(step: step, part: .whole, shouldStop: shouldStop) else {
      return nil
    }
    // After the noise levels, and what is known of each sample.
    var random = configuration.noise(step: step, after: 1 + batch.total)
    batch.noise = random.normal(batch.latents.shape).moved(to: device)
    batch.latents = batch.latents.moved(to: device)
    batch.truth = batch.truth?.moved(to: device)
    return batch
  }

  /// Draws the samples of some steps and deals them out by the length of their captions; the last few draws are
  /// kept.
  private func draw(_ number: Int) -> Draw {
    draws.withLock { draws in
      if let draw = draws[number] { return draw }
      let draw = drawn(number)
      draws[number] = draw
      if draws.count > 8 { draws.keys.min().map { draws[$0] = nil } }
      return draw
    }
  }

  private func drawn(_ number: Int) -> Draw {
    let first = number * Self.stepsPerDraw + 1
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("batch"), drawCount: UInt64(number) << 20)
    let bucket = configuration.buckets.drawn(at: first, by: random.uniform())
    let available = available(bucket, at: first)
    let drawn = (0..<bucket.batch * Self.stepsPerDraw).map { position in
      let index = random.integer(below: available)
      let isEmpty = random.uniform() < settings.captionDropout
      return (index, isEmpty ? nil : UInt64(first) &* 65536 &+ UInt64(position))
    }
    let samples = onAllCores(drawn.indices) { [source, tokens] position in
      let (index, seed) = drawn[position]
      let caption = seed.map { source.caption(index, of: bucket, seed: $0) } ?? ""
      return (sample: (index, caption), length: tokens(caption).count)
    }
    // The same for all steps of the draw, however the sort treats equals.
    let order = samples.indices.sorted { (samples[$0].length, $0) < (samples[$1].length, $1) }
    return Draw(bucket: bucket, available: available, samples: order.map { samples[$0].sample })
  }

  /// Beside adapters, the start model is kept where the subject is not: in scenes and folders of the prior, and
  /// where there is no text, from which guidance leads away.
  private func kept(
    _ indices: [Int], _ captions: [String], of bucket: TrainingConfiguration.Bucket
  ) -> [Int] {
    guard networks.start != nil else { return [] }
    return indices.indices.filter {
      captions[$0].isEmpty || source.isPrior(indices[$0], of: bucket)
    }
  }

  /// Cuts a window around an object out of each sample, `side` pixels wide.
  private func cut(
    _ latents: Tensor, _ truths: [[SceneTruth]?], side: Int,
    of bucket: TrainingConfiguration.Bucket, step: Int, from first: Int
  ) -> (Tensor, [[SceneTruth]?]) {
    let patch = geometry.patch.height
    let cell = geometry.spatialScale * patch
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("window"),
      drawCount: UInt64(step) << 20 + UInt64(first) * (1 + TokenWindow.drawCount))
    let windows = truths.map { frames in
      // At any moment: an object must be seen coming as well as going.
      let moment = random.uniform()
      return TokenWindow(
        around: frames.map { $0[min($0.count - 1, Int(moment * Double($0.count)))] },
        rows: bucket.height / cell, columns: bucket.width / cell, side: side / cell, by: &random)
    }
    return (
      stack(windows.indices.map { windows[$0].cut(latents.select(0, $0), patch: patch) }),
      zip(truths, windows).map { $1.cut($0) }
    )
  }

  private var needsTruth: Bool {
    settings.truth != nil || settings.objectWeight ?? 0 > 0 || settings.motionWeight ?? 0 > 0
  }

  /// What the renderer knows of samples' tokens, by latent frame.
  private func truths(of indices: [Int], _ bucket: TrainingConfiguration.Bucket) -> [[SceneTruth]?]
  {
    let kept = truths.withLock { all in indices.map { all[bucket.name]?[$0] } }
    let truths = onAllCores(indices.indices) { [source, geometry] index in
      kept[index]
        ?? source.truth(
          indices[index], of: bucket, cell: geometry.spatialScale * geometry.patch.height,
          group: geometry.temporalScale * geometry.patch.frames)
    }
    // A graphics processor asks for them a thousand times a second, and has a large machine around it.
    if device != .cpu {
      self.truths.withLock { all in
        for (place, index) in indices.enumerated() where kept[place] == nil {
          all[bucket.name, default: [:]][index] = truths[place]
        }
      }
    }
    return truths
  }

  /// Samples that may be drawn from a bucket at a step.
  private func available(_ bucket: TrainingConfiguration.Bucket, at step: Int) -> Int {
    let first = configuration.buckets.filter { $0.name == bucket.name }.map { $0.after ?? 0 }.min()
    return settings.latents.count(
      at: step - (first ?? 0), frames: geometry.latentFrames(bucket.frames),
      atMost: bucket.samples)
  }

  /// A bucket's store with at least `count` samples; `nil` if it was stopped before.
  private func filled(
    _ bucket: TrainingConfiguration.Bucket, to count: Int, shouldStop: () -> Bool
  ) throws -> LatentStore? {
    if let store = stores.withLock({ $0[bucket.name] }), store.count >= count { return store }
    return try filling.withLock { _ in try grown(bucket, to: count, shouldStop: shouldStop) }
  }

  private func grown(
    _ bucket: TrainingConfiguration.Bucket, to count: Int, shouldStop: () -> Bool
  ) throws -> LatentStore? {
    var store =
      try stores.withLock { $0[bucket.name] } ?? team.inTurn { try openStore(bucket) }
    let clipPixels = bucket.frames * bucket.width * bucket.height
    let group =
      device == .cpu ? max(1, min(8, 1 << 21 / clipPixels)) : max(16, 1 << 25 / clipPixels)
    // A few clips would keep a few of a large machine's cores busy, and the others wait for them.
    let count = device == .cpu ? count : (count + group - 1) / group * group
    while store.count < count {
      if try team.any(shouldStop()) { return nil }
      // Each process encodes samples of its own.
      let end = min(count, store.count + group * team.size)
      let first = min(end, store.count + group * team.rank)
      let own = first..<min(end, first + group)
      var latents = Tensor.zeros([0] + store.shape)
      if !own.isEmpty {
        let pixels = try source.pixels(own, of: bucket).pixels(on: device)
        latents = withoutGradient {
          codec.latents(of: pixels).moved(to: .cpu)
        }
      }
      try append(latents, to: &store, until: end, atOnce: group)
    }
    stores.withLock { $0[bucket.name] = store }
    return store
  }

  /// Appends what the processes have encoded, up to `atOnce` samples each, in order.
  private func append(
    _ latents: Tensor, to store: inout LatentStore, until end: Int, atOnce: Int
  ) throws {
    guard let processes = team.group else { return try store.append(latents) }
    let missing = Tensor.zeros([atOnce - latents.size(0)] + store.shape)
    let all = try processes.gathered(concatenate([latents, missing], along: 0))
      .reshaped(to: [-1] + store.shape)
    let count = end - store.count
    if team.isFirst { try store.append(all.slice(0, 0..<count)) } else { store.count = end }
    // Nobody reads before it is written.
    try processes.barrier()
  }

  private func openStore(_ bucket: TrainingConfiguration.Bucket) throws -> LatentStore {
    // The seed and the folders' contents decide which sample a number stands for, the encoder what its
    // latents are.
    let folder = configuration.outputFolder.appendingPathComponent(
      (["latents", encoderHash.short, "\(configuration.seed)"]
        + [source.contents].compactMap(\.self))
        .joined(separator: "-"))
    let shape = try geometry.shape(
      frames: bucket.frames, height: bucket.height, width: bucket.width)
    return try LatentStore(folder: folder, name: bucket.name, shape: shape.axes)
  }
}
