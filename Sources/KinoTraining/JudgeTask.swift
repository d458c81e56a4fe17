internal import Foundation
internal import Kino
internal import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld

/// Trains a ``Judge`` to tell what clips of the world show.
///
/// It sees every combination of attributes, also those held out from generators: it must read, and is tested on
/// scenes it never saw. Clips come from a store that grows; each is seen mirrored, shifted, blurred, brightened or
/// restored through an autoencoder, so that the softness of generated clips does not fool it.
final class JudgeTask: TrainingTask {
  struct Batch {
    let pixels: Tensor  // [B, 3, F, side, side]
    let targets: JudgeTargets
  }

  let parameters: [(key: String, value: Tensor)]
  private let configuration: TrainingConfiguration
  private let settings: TrainingConfiguration.JudgeSettings
  private let judge: Judge
  private let device: Device
  private let codec: ClipCodec
  private var clips: JudgeClips
  private var unseen: JudgeClips

  init(_ configuration: TrainingConfiguration) throws {
    guard let settings = configuration.judge else {
      throw TrainingError(.invalidConfiguration, "training configuration: expected `judge`")
    }
    try settings.validate(configuration.buckets)
    self.configuration = configuration
    self.settings = settings
    device = configuration.device?.tensorDevice ?? .cpu
    let registry = ParameterRegistry(seed: configuration.seed, device: device)
    judge = Judge(registry.root, configuration: settings.model)
    parameters = registry.parameters
    let folder = URL(fileURLWithPath: settings.autoencoder.expandingTilde)
    let shape = try ConfigurationFile.read(
      VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
    let computeType = configuration.computeType
    let autoencoder = try WeightSet(inFolder: folder).load(
      computeType: computeType, device: device
    ) { VideoAutoencoder($0, configuration: shape) }
    codec = ClipCodec(autoencoder, computeType: computeType, device: device)
    // As many latents as an autoencoder of 16x16 pixels would make of the judge's own pictures.
    let restoredSide = settings.side * max(1, shape.spatialScale / Judge.Configuration.cellSide)
    let output = configuration.outputFolder
    clips = try JudgeClips(
      folder: output.appendingPathComponent("clips"), settings: settings, seed: configuration.seed,
      split: .any, restoredShare: settings.restored, restoredSide: restoredSide)
    unseen = try JudgeClips(
      folder: output.appendingPathComponent("unseen"), settings: settings,
      seed: configuration.seed ^ stableHash("unseen"), split: .any, restoredShare: 1,
      restoredSide: restoredSide)
  }

  /// Tables and last layers are none.
  func isMatrix(_ key: String) -> Bool {
    !key.hasSuffix("places") && key != "queries" && key != "times" && !key.contains("head.output")
      && !key.contains("stem")
  }

  func batch(step: Int, part: BatchPart, shouldStop: () -> Bool) throws -> Batch? {
    let available = settings.clips.count(at: step)
    guard try clips.fill(to: available, restore: restored, shouldStop: shouldStop) else {
      return nil
    }
    var random = RandomSource(
      seed: configuration.seed ^ stableHash("bucket"), drawCount: UInt64(step))
    let bucket = configuration.buckets.drawn(at: step, by: random.uniform())
    let (seed, clips) = (configuration.seed, clips)
    let samples = try onAllCores(0..<bucket.batch) { index in
      try Self.sample(
        of: clips, below: available, frames: bucket.frames,
        seed: seed &+ UInt64(step) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index) << 48)
    }
    return Batch(
      pixels: Self.pixels(samples),
      targets: JudgeTargets(configuration: settings.model, samples: samples.map { $0.seen() }))
  }

  private static func sample(
    of clips: JudgeClips, below count: Int, frames: Int, seed: UInt64
  ) throws -> JudgeSample {
    var random = WorldRandom(seed: seed)
    func number(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let index = number(count)
    var sample = try clips.sample(
      index, frame: frames == 1 ? number(clips.frames) : nil, restored: number(4) < 3)
    if number(2) == 0 { sample.mirror() }
    if number(4) > 0 { sample.shift(x: number(5) - 2, y: number(5) - 2) }
    if number(4) == 0 { sample.blur() }
    return sample
  }

  private static func pixels(_ samples: [JudgeSample]) -> Tensor {
    let first = samples[0]
    return Tensor(
      pixelBytes: samples.flatMap(\.pixels),
      shape: [samples.count, first.frames, first.side, first.side, 3])
  }

  private func restored(_ clip: Clip) -> Clip {
    withoutGradient {
      let pixels = codec.restoredPixels(clip).cast(to: .float32)
      return Clip(
        tensor: judge.fitted(pixels).select(0, 0), framesPerSecond: clip.framesPerSecond)
    }
  }

  func loss(
    _ batch: Batch, random: inout RandomSource
  ) -> (loss: Tensor, figures: [String: Tensor]) {
    func uniform() -> Tensor { random.uniform([batch.pixels.size(0), 1, 1, 1, 1]) }
    // Brightness, and the grain of imperfect clips.
    let gain = uniform() * 0.2 + 0.9
    let level = uniform() * 0.12 - 0.06
    let grain = uniform().squared() * 0.05
    let pixels =
      batch.pixels * gain + level + random.normal(batch.pixels.shape) * grain
    let (loss, parts) = batch.targets.loss(
      judge(pixels.moved(to: device), computeType: configuration.computeType))
    let kind = batch.pixels.size(2) == 1 ? "picture" : "clip"
    return (
      loss,
      Dictionary(uniqueKeysWithValues: parts.map { ("\(kind)_\($0.key)", $0.value.detached()) })
    )
  }

  // MARK: - Evaluation

  private func averaged(_ averages: [(key: String, value: Tensor)]) -> Judge {
    let values = Dictionary(averages.map { ($0.key, $0.value) }) { first, _ in first }
    let registry = ParameterRegistry(names: Set(values.keys)) { values[$0] }
    return Judge(registry.root, configuration: settings.model)
  }

  /// What the averaged judge says of unseen clips, beside what is true.
  private func verdicts(
    _ judge: Judge, count: Int, restored: Bool, frame: Int? = nil
  ) throws -> [(sample: JudgeSample, verdict: SceneVerdict)] {
    _ = try unseen.fill(to: count, restore: self.restored) { false }
    return try stride(from: 0, to: count, by: 16).flatMap { start in
      let samples = try (start..<min(count, start + 16)).map {
        try unseen.sample($0, frame: frame, restored: restored).seen().sample
      }
      return zip(
        samples, withoutGradient { judge.readings(of: Self.pixels(samples).moved(to: device)) }
      ).map {
        ($0, SceneVerdict(objectLogits: $1.objects, sceneLogits: $1.scene))
      }
    }
  }

  /// The share of attributes read rightly in unseen clips, in those restored, and in single pictures.
  func heldOut(averages: [(key: String, value: Tensor)]) throws -> [String: Double] {
    let judge = averaged(averages)
    var figures: [String: Double] = [:]
    let sets: [(String, Bool, Int?)] = [
      ("render", false, nil), ("restored", true, nil), ("picture", false, settings.frames / 2),
    ]
    for (name, restored, frame) in sets {
      let judgements = try verdicts(judge, count: settings.unseen, restored: restored, frame: frame)
        .flatMap { $0.verdict.judgements(of: $0.sample.attributes) }
      for attribute in SceneJudgement.attributes {
        let those = judgements.filter { $0.attribute == attribute }
        if those.isEmpty { continue }
        figures["\(name)_\(attribute.replacing(" ", with: "_"))"] =
          Double(those.count { $0.isRight }) / Double(those.count)
      }
    }
    return figures
  }

  /// A row a clip: six frames and what was read, with what is true where that differs.
  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws {
    let verdicts = try verdicts(averaged(averages), count: 24, restored: true)
    let rows = verdicts.map { sample, verdict in
      let text = verdict.judgements(of: sample.attributes).map {
        $0.isRight ? $0.stated : "\($0.attribute) \($0.seen ?? "nothing") not \($0.stated)"
      }
      return ContactSheet.Row(
        Clip(
          width: sample.side, height: sample.side, framesPerSecond: 12, pixels: sample.pixels),
        label: text.joined(separator: ", "))
    }
    try ContactSheet(rows: rows).render().write(to: url.path, WriteOptions(overwrite: true))
  }

  /// Writes `config.json` and the weights.
  func export(averages: [(key: String, value: Tensor)], to folder: URL) throws {
    try TrainingError.makeFolder(folder)
    try WeightSet.write(averages, to: folder, stem: "model", dtype: .bfloat16)
    let file = try ConfigurationFile(encoding: settings.model, className: "KinoJudge")
    try file.write(to: folder.appendingPathComponent("config.json"))
  }
}
