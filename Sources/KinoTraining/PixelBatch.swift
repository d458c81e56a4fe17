internal import Kino
internal import KinoMedia
internal import KinoSystem
internal import KinoTensor

/// Pixels of a batch on their way from the threads that make them.
struct PixelBatch: Sendable {
  let bytes: [UInt8]
  let shape: [Int]  // [B, F, H, W, 3]
  /// Which of a batch's showings this is, from 0.
  var showing = 0

  /// Makes `count` clips of a bucket's shape on all cores, in order.
  ///
  /// They are made before the networks run: beside them, on a busy machine, they would make every
  /// barrier of the networks' threads wait.
  init(
    count: Int, of bucket: TrainingConfiguration.Bucket,
    make: @Sendable (_ index: Int) throws -> Clip
  ) throws {
    bytes = try onAllCores(0..<count, make).flatMap(\.pixels)
    shape = [count, bucket.frames, bucket.height, bucket.width, 3]
  }

  /// `[B, 3, F, H, W]`, float32, in `-1...1`, as they are.
  func pixels(on device: Device) -> Tensor {
    Tensor(pixelBytes: bytes, shape: shape, device: device)
  }

  /// The pixels, seen otherwise in every showing: in a mirror, with the colours changed round, backwards in time.
  func shown(on device: Device) -> Tensor {
    var pixels = pixels(on: device)
    if showing % 2 == 1 { pixels = pixels.flipped(along: 4) }
    let turn = showing % 3
    if turn > 0 {
      pixels = concatenate([pixels.slice(1, from: turn), pixels.slice(1, 0..<turn)], along: 1)
    }
    if showing % 4 > 1 { pixels = pixels.flipped(along: 2) }
    return pixels
  }
}

extension [TrainingConfiguration.Bucket] {
  /// A bucket of those in use at a step, by weight.
  ///
  /// - Parameters:
  ///   - step: From 1.
  ///   - draw: Uniform in `0..<1`.
  /// - Returns: The bucket.
  func drawn(at step: Int, by draw: Double) -> TrainingConfiguration.Bucket {
    let inUse = filter { step > $0.after ?? 0 }
    var left = draw * inUse.reduce(0) { $0 + $1.weight }
    return inUse.first { bucket in
      left -= bucket.weight
      return left < 0
    } ?? self[0]
  }
}
