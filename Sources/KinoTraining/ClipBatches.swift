internal import Synchronization

/// The batches of an autoencoder's steps, of which some in a row may show the same clips.
final class ClipBatches: Sendable {
  /// A batch that is drawn when it is first asked for.
  private final class Slot: Sendable {
    let batch = Mutex<PixelBatch?>(nil)
  }

  /// More than the steps that are made ahead.
  private static let slotLimit = 16

  private let source: ClipSource
  private let buckets: [TrainingConfiguration.Bucket]
  private let showings: Int
  private let slots = Mutex<[Int: Slot]>([:])

  /// - Parameters:
  ///   - source: Draws the clips.
  ///   - buckets: The shapes of batches.
  ///   - showings: Steps in a row that see the same clips, at least 1.
  init(_ source: ClipSource, buckets: [TrainingConfiguration.Bucket], showings: Int) {
    self.source = source
    self.buckets = buckets
    self.showings = showings
  }

  /// A step's batch, whichever thread asks for it, and in whatever order.
  ///
  /// - Parameter step: From 1.
  /// - Returns: The batch, with the number of this showing.
  /// - Throws: What keeps footage from being read.
  func batch(step: Int) throws -> PixelBatch {
    if showings == 1 { return try drawn(step) }
    let first = step - (step - 1) % showings
    let slot = slots.withLock { slots in
      let slot = slots[first] ?? Slot()
      slots[first] = slot
      if slots.count > Self.slotLimit { slots.keys.min().map { slots[$0] = nil } }
      return slot
    }
    var batch = try slot.batch.withLock { batch in
      if let batch { return batch }
      let drawn = try drawn(first)
      batch = drawn
      return drawn
    }
    batch.showing = step - first
    return batch
  }

  private func drawn(_ step: Int) throws -> PixelBatch {
    try source.batch(step: step, bucket: source.bucket(step: step, of: buckets))
  }
}
