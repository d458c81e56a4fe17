internal import Foundation
internal import KinoMedia
internal import KinoNN
internal import KinoTensor
internal import KinoWorld

/// Numbered clips with captions: sample `n` of a bucket is always the same scene or file.
struct CaptionedSource: Sendable {
  private let settings: TrainingConfiguration.DataSettings
  private let seed: UInt64
  private let russian: Double
  private let folders: [(weight: Double, folder: CaptionedFolder)]

  init(settings: TrainingConfiguration.DataSettings, seed: UInt64, russian: Double) throws {
    self.settings = settings
    self.seed = seed
    self.russian = russian
    folders = try settings.folders.filter { $0.weight > 0 }.map {
      ($0.weight, try CaptionedFolder(path: NSString(string: $0.path).expandingTildeInPath))
    }
  }

  private enum Sample {
    case scene(Scene)
    case file(CaptionedFolder.Item, part: Double)
  }

  private func sample(_ index: Int, of bucket: TrainingConfiguration.Bucket) -> Sample {
    var random = RandomSource(seed: seed ^ stableHash(bucket.name), drawCount: UInt64(index) << 8)
    let candidates = folders.map { ($0.weight, $0.folder.items(fitting: bucket)) }.filter {
      !$0.1.isEmpty
    }
    var left = random.uniform() * (settings.world + candidates.reduce(0) { $0 + $1.0 })
    for (weight, items) in candidates {
      left -= weight
      if left < 0 || settings.world == 0 {
        return .file(items[random.integer(below: items.count)], part: random.uniform())
      }
    }
    return .scene(.random(seed: UInt64(random.uniform() * 0x1p53), split: .training))
  }

  /// A caption of a sample; scenes have many, by `seed`.
  func caption(_ index: Int, of bucket: TrainingConfiguration.Bucket, seed: UInt64) -> String {
    switch sample(index, of: bucket) {
    case .file(let item, _): return item.caption
    case .scene(let scene):
      var random = RandomSource(seed: seed)
      let language: CaptionLanguage = random.uniform() < russian ? .russian : .english
      let lengths = bucket.captions ?? CaptionLength.allCases
      return CaptionGrammar().caption(
        for: scene, length: lengths[random.integer(below: lengths.count)], language: language,
        seed: seed)
    }
  }

  /// What a sample's scene shows in each cell of `cell` pixels, by latent frame: at the first frame, then
  /// in the middle of every `group` frames. `nil` for a file, of which nothing is known.
  func truth(
    _ index: Int, of bucket: TrainingConfiguration.Bucket, cell: Int, group: Int
  ) -> [SceneTruth]? {
    guard case .scene(let scene) = sample(index, of: bucket) else { return nil }
    let renderer = SceneRenderer(width: bucket.width, height: bucket.height)
    return stride(from: 0, to: bucket.frames, by: group).map { last in
      let frame = Double(last) - (last == 0 ? 0 : Double(group - 1) / 2)
      return renderer.truth(scene, time: frame / settings.framesPerSecond, cell: cell)
    }
  }

  /// The pixels of samples, made on all cores.
  func pixels(_ indices: Range<Int>, of bucket: TrainingConfiguration.Bucket) throws -> PixelBatch {
    try PixelBatch(count: indices.count, of: bucket) { offset in
      try clip(indices.lowerBound + offset, of: bucket)
    }
  }

  private func clip(_ index: Int, of bucket: TrainingConfiguration.Bucket) throws -> Clip {
    switch sample(index, of: bucket) {
    case .file(let item, let part):
      return try item.clip(bucket, part: part, framesPerSecond: settings.framesPerSecond)
    case .scene(let scene):
      return Clip(
        SceneRenderer(width: bucket.width, height: bucket.height).render(
          scene, frameCount: bucket.frames, framesPerSecond: settings.framesPerSecond))
    }
  }
}

extension TrainingConfiguration.Bucket {
  /// `WIDTHxHEIGHTxFRAMES`.
  var name: String { "\(width)x\(height)x\(frames)" }
}
