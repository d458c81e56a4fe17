internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld

// MARK: - Batches

extension TransformerTask {
  /// Steps whose samples are drawn together and dealt out by the length of their captions: a batch pays
  /// for its longest caption.
  private static let stepsPerDraw = 4

  var canSplit: Bool { true }

  func share(of batch: Batch) -> Double { Double(batch.range.count) / Double(batch.total) }

  func batch(step: Int, part: BatchPart, shouldStop: () -> Bool) throws -> Batch? {
    let draw = (step - 1) / Self.stepsPerDraw
    let first = draw * Self.stepsPerDraw + 1
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("batch"), drawCount: UInt64(draw) << 20)
    let bucket = configuration.buckets.drawn(at: first, by: random.uniform())
    let available = available(bucket, at: first)
    let drawn = (0..<bucket.batch * Self.stepsPerDraw).map { position in
      let index = random.integer(below: available)
      let isEmpty = random.uniform() < settings.captionDropout
      let seed = UInt64(first) &* 65536 &+ UInt64(position)
      return (index, isEmpty ? "" : source.caption(index, of: bucket, seed: seed))
    }
    // The same for all steps of the draw, however the sort treats equals.
    let order = drawn.indices.map { (tokens(drawn[$0].1).count, $0) }
      .sorted { $0 < $1 }
    let all = order.dropFirst((step - first) * bucket.batch).prefix(bucket.batch)
      .map { drawn[$0.1] }
    guard let store = try filled(bucket, to: available, shouldStop: shouldStop) else { return nil }
    let range = part.range(of: all.count)
    let (indices, captions) = (all[range].map(\.0), all[range].map(\.1))
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
    let known = all.count { source.isScene($0.0, of: bucket) }
    batch.truth = TruthBatch(truths, knownShare: Double(known) / Double(all.count))
    batch.truthWeight = truthWeight
    return batch
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
    let patch = networks.patch.height
    let cell = autoencoder.configuration.spatialScale * patch
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
    let (model, patch) = (autoencoder.configuration, networks.transformer.configuration.patchSize)
    return onAllCores(indices.indices) { [source] index in
      source.truth(
        indices[index], of: bucket, cell: model.spatialScale * patch[1],
        group: model.temporalScale * patch[0])
    }
  }

  /// Samples that may be drawn from a bucket at a step.
  private func available(_ bucket: TrainingConfiguration.Bucket, at step: Int) -> Int {
    let first = configuration.buckets.filter { $0.name == bucket.name }.map { $0.after ?? 0 }.min()
    return settings.latents.count(
      at: step - (first ?? 0), frames: autoencoder.configuration.latentFrames(bucket.frames))
  }

  /// A bucket's store with at least `count` samples; `nil` if it was stopped before.
  private func filled(
    _ bucket: TrainingConfiguration.Bucket, to count: Int, shouldStop: () -> Bool
  ) throws -> LatentStore? {
    var store = try stores[bucket.name] ?? team.inTurn { try openStore(bucket) }
    let frameBytes = bucket.frames * bucket.width * bucket.height
    let group = max(1, min(8, 1 << 21 / frameBytes))
    while store.count < count {
      if try team.any(shouldStop()) { return nil }
      // Each process encodes samples of its own.
      let end = min(count, store.count + group * team.size)
      let first = min(end, store.count + group * team.rank)
      let own = first..<min(end, first + group)
      var latents = Tensor.zeros([0] + store.shape)
      if !own.isEmpty {
        let pixels = try source.pixels(own, of: bucket).pixels.moved(to: device)
        latents = withoutGradient {
          autoencoder.normalized(autoencoder.encode(pixels, computeType: computeType).mean)
            .moved(to: .cpu)
        }
      }
      try append(latents, to: &store, until: end, atOnce: group)
    }
    stores[bucket.name] = store
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
    let shape = autoencoder.configuration
    // The seed and the folders' contents decide which sample a number stands for, the encoder what its
    // latents are.
    let folder = configuration.outputFolder.appendingPathComponent(
      (["latents", encoderHash.short, "\(configuration.seed)"]
        + [source.contents].compactMap(\.self))
        .joined(separator: "-"))
    return try LatentStore(
      folder: folder, name: bucket.name,
      shape: [
        shape.latentChannels, shape.latentFrames(bucket.frames), bucket.height / shape.spatialScale,
        bucket.width / shape.spatialScale,
      ])
  }
}
