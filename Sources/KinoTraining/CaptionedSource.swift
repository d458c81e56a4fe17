internal import Foundation
internal import Kino
internal import KinoMedia
internal import KinoNN
internal import KinoTensor
internal import KinoWorld

/// Numbered clips with captions: sample `n` of a bucket is always the same scene or file.
struct CaptionedSource: Sendable {
  private let settings: TrainingConfiguration.DataSettings
  private let seed: UInt64
  private let russian: Double
  private let folders: [(weight: Double, isPrior: Bool, folder: CaptionedFolder)]

  init(settings: TrainingConfiguration.DataSettings, seed: UInt64, russian: Double) throws {
    self.settings = settings
    self.seed = seed
    self.russian = russian
    folders = try settings.folders.filter { $0.weight > 0 }.map {
      ($0.weight, $0.prior == true, try CaptionedFolder(path: $0.path.expandingTilde))
    }
  }

  private enum Sample {
    case scene(Scene)
    case file(CaptionedFolder.Item, part: Double, isPrior: Bool)
  }

  private func sample(_ index: Int, of bucket: TrainingConfiguration.Bucket) -> Sample {
    var random = RandomSource(seed: seed ^ stableHash(bucket.name), drawCount: UInt64(index) << 8)
    let candidates = candidates(for: bucket)
    var left = random.uniform() * (settings.world + candidates.reduce(0) { $0 + $1.weight })
    for (position, (weight, isPrior, items)) in candidates.enumerated() {
      left -= weight
      let isLast = settings.world == 0 && position == candidates.count - 1
      if left < 0 || isLast {
        // In turn, so that a store holds every file about as often.
        return .file(items[index % items.count], part: random.uniform(), isPrior: isPrior)
      }
    }
    func scene() -> Scene {
      .random(seed: UInt64(random.uniform() * 0x1p53), split: .training)
    }
    let first = scene()
    let isCrowd = first.objects.count > 1 || random.uniform() >= settings.crowding ?? 0
    return .scene(isCrowd ? first : scene())
  }

  private func candidates(
    for bucket: TrainingConfiguration.Bucket
  ) -> [(weight: Double, isPrior: Bool, items: [CaptionedFolder.Item])] {
    folders.map { ($0.weight, $0.isPrior, $0.folder.items(fitting: bucket)) }
      .filter { !$0.2.isEmpty }
  }

  /// Throws where a bucket could only show the world, of which none is asked for.
  func requireSamples(for buckets: [TrainingConfiguration.Bucket]) throws {
    guard settings.world == 0 else { return }
    for bucket in buckets where candidates(for: bucket).isEmpty {
      throw TrainingError(
        .dataNotFound,
        "bucket \(bucket.name): no \(bucket.frames > 1 ? "clip" : "file") of \(settings.folders.map(\.path).joined(separator: ", ")) is about as wide and high; change the bucket's shape, or add some."
      )
    }
  }

  /// The folders' captions, each once, in their order.
  var captions: [String] {
    var seen: Set<String> = []
    return folders.flatMap { $0.folder.captions }.filter { seen.insert($0).inserted }
  }

  /// Names what the samples that stand for numbers depend on; `nil` for the world alone, as it is.
  var contents: String? {
    if folders.isEmpty && settings.crowding == nil { return nil }
    let parts =
      ["\(settings.world)", "\(settings.framesPerSecond)"]
      + [settings.crowding].compactMap { $0.map { "\($0)" } }
    let all = parts + folders.map { "\($0.weight) \($0.folder.contents)" }
    return String(stableHash(all.joined(separator: "\n")), radix: 16)
  }

  /// Captions that are not read to their end.
  func warnings(tokens: CaptionTokens, limit: Int) -> [String] {
    let cut = captions.filter(tokens.cuts)
    guard let first = cut.first else { return [] }
    return [
      "\(cut.count) captions have more than \(limit) tokens and are cut, such as \"\(first.prefix(60))...\"; shorten them."
    ]
  }

  /// A caption of a sample; scenes have many, by `seed`.
  func caption(_ index: Int, of bucket: TrainingConfiguration.Bucket, seed: UInt64) -> String {
    switch sample(index, of: bucket) {
    case .file(let item, _, _): return item.caption
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
    guard let scene = scene(index, of: bucket) else { return nil }
    let renderer = SceneRenderer(width: bucket.width, height: bucket.height)
    return stride(from: 0, to: bucket.frames, by: group).map { last in
      let frame = Double(last) - (last == 0 ? 0 : Double(group - 1) / 2)
      return renderer.truth(scene, time: frame / settings.framesPerSecond, cell: cell)
    }
  }

  /// Whether a sample shows what adapters must not change: a scene, or a file of a folder of the prior.
  func isPrior(_ index: Int, of bucket: TrainingConfiguration.Bucket) -> Bool {
    switch sample(index, of: bucket) {
    case .file(_, _, let isPrior): isPrior
    case .scene: true
    }
  }

  /// The scene that a sample shows; `nil` for a file.
  func scene(_ index: Int, of bucket: TrainingConfiguration.Bucket) -> Scene? {
    if case .scene(let scene) = sample(index, of: bucket) { scene } else { nil }
  }

  /// The pixels of samples, made on all cores.
  func pixels(_ indices: Range<Int>, of bucket: TrainingConfiguration.Bucket) throws -> PixelBatch {
    try PixelBatch(count: indices.count, of: bucket) { offset in
      try clip(indices.lowerBound + offset, of: bucket)
    }
  }

  private func clip(_ index: Int, of bucket: TrainingConfiguration.Bucket) throws -> Clip {
    switch sample(index, of: bucket) {
    case .file(let item, let part, _):
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
