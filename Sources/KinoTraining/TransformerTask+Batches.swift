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

  func batch(step: Int, shouldStop: () -> Bool) throws -> Batch? {
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
    let share = order.dropFirst((step - first) * bucket.batch).prefix(bucket.batch)
      .map { drawn[$0.1] }
    guard let store = try filled(bucket, to: available, shouldStop: shouldStop) else { return nil }
    let (indices, captions) = (share.map(\.0), share.map(\.1))
    let latents = try store.latents(at: indices)
    let truthWeight = settings.truth?.weight(at: step, of: configuration.steps) ?? 0
    guard needsTruth || bucket.window != nil else {
      return Batch(latents: latents, captions: captions)
    }
    let truths = truths(of: indices, bucket)
    let (parts, partTruths) =
      bucket.window.map { cut(latents, truths, side: $0, of: bucket, step: step) }
      ?? (latents, truths)
    return Batch(
      latents: parts, captions: captions, truth: TruthBatch(partTruths), truthWeight: truthWeight)
  }

  /// Cuts a window around an object out of each sample, `side` pixels wide.
  private func cut(
    _ latents: Tensor, _ truths: [[SceneTruth]?], side: Int,
    of bucket: TrainingConfiguration.Bucket, step: Int
  ) -> (Tensor, [[SceneTruth]?]) {
    let patch = networks.patch.height
    let cell = autoencoder.configuration.spatialScale * patch
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("window"), drawCount: UInt64(step) << 20)
    let windows = truths.map {
      TokenWindow(
        around: $0?.first, rows: bucket.height / cell, columns: bucket.width / cell,
        side: side / cell, by: &random)
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
    var store = try stores[bucket.name] ?? openStore(bucket)
    let frameBytes = bucket.frames * bucket.width * bucket.height
    let group = max(1, min(8, 1 << 21 / frameBytes))
    while store.count < count {
      if shouldStop() { return nil }
      let pixels = try source.pixels(store.count..<min(count, store.count + group), of: bucket)
        .pixels.moved(to: device)
      try withoutGradient {
        try store.append(
          autoencoder.normalized(autoencoder.encode(pixels, computeType: computeType).mean)
            .moved(to: .cpu))
      }
    }
    stores[bucket.name] = store
    return store
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
