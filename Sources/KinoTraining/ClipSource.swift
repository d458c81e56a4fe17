internal import Foundation
internal import Kino
internal import KinoMedia
internal import KinoNN
internal import KinoTensor
internal import KinoWorld

/// Draws training clips: world scenes and pieces of real footage, each from its number alone.
struct ClipSource: Sendable {
  let settings: TrainingConfiguration.DataSettings
  let seed: UInt64
  private let footage: [(weight: Double, folder: FootageFolder)]

  init(settings: TrainingConfiguration.DataSettings, seed: UInt64) throws {
    self.settings = settings
    self.seed = seed
    footage = try settings.folders.filter { $0.weight > 0 }.map {
      ($0.weight, try FootageFolder(path: $0.path.expandingTilde))
    }
  }

  /// The bucket of a step.
  func bucket(step: Int, of buckets: [TrainingConfiguration.Bucket]) -> TrainingConfiguration.Bucket
  {
    var random = RandomSource(seed: seed ^ stableHash("bucket"), drawCount: UInt64(step))
    return buckets.drawn(at: step, by: random.uniform())
  }

  /// The pixels of one step, samples after each other.
  func batch(step: Int, bucket: TrainingConfiguration.Bucket) throws -> PixelBatch {
    try PixelBatch(count: bucket.batch, of: bucket) { index in
      var random = RandomSource(
        seed: seed &+ UInt64(step) &* 0x9E37_79B9_7F4A_7C15, drawCount: UInt64(index) << 32)
      return try clip(bucket, &random)
    }
  }

  private func clip(_ bucket: TrainingConfiguration.Bucket, _ random: inout RandomSource) throws
    -> Clip
  {
    var left = random.uniform() * (settings.world + footage.reduce(0) { $0 + $1.weight })
    for (weight, folder) in footage {
      left -= weight
      if left < 0 { return try folder.piece(bucket, &random) }
    }
    return worldClip(bucket, &random)
  }

  /// A scene seen whole, or through a window into a larger picture.
  private func worldClip(_ bucket: TrainingConfiguration.Bucket, _ random: inout RandomSource)
    -> Clip
  {
    let scene = Scene.random(seed: UInt64(random.uniform() * 0x1p53), split: .training)
    let zoom = bucket.zoom ?? 1
    let (width, height) = (Int(Double(bucket.width) * zoom), Int(Double(bucket.height) * zoom))
    let rate = settings.framesPerSecond * (0.6 + random.uniform() * 1.4)
    let rendered = SceneRenderer(width: width, height: height).render(
      scene, frameCount: bucket.frames, framesPerSecond: rate, startTime: random.uniform() * 2)
    let clip = Clip(rendered)
    if zoom == 1 { return clip }
    return clip.cut(
      x: random.integer(below: width - bucket.width + 1),
      y: random.integer(below: height - bucket.height + 1),
      width: bucket.width, height: bucket.height)
  }
}

extension Clip {
  init(_ rendered: RenderedClip) {
    self.init(
      width: rendered.width, height: rendered.height, framesPerSecond: rendered.framesPerSecond,
      pixels: rendered.pixels)
  }

  /// A rectangle of some frames, or of all.
  func cut(frames: Range<Int>? = nil, x: Int, y: Int, width: Int, height: Int) -> Clip {
    var result: [UInt8] = []
    result.reserveCapacity((frames?.count ?? frameCount) * width * height * 3)
    for frame in frames ?? 0..<frameCount {
      for row in y..<y + height {
        let start = ((frame * self.height + row) * self.width + x) * 3
        result += pixels[start..<start + width * 3]
      }
    }
    return Clip(width: width, height: height, framesPerSecond: framesPerSecond, pixels: result)
  }
}
