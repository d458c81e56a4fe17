import Foundation
import KinoMedia
import KinoModels
import KinoNN
import KinoTensor
import KinoTestSupport
import KinoWeights
import KinoWorld
import Testing

@testable import KinoTraining

/// A tiny judge's run, as YAML in the way a user writes it, with an autoencoder made for it.
private func withJudgeRun(
  steps: Int, changing change: (String) -> String = { $0 },
  _ body: (URL, TrainingConfiguration) throws -> Void
) throws {
  let place = try TemporaryFolder()
  defer { withExtendedLifetime(place) {} }
  let folder = place.url
  let common = """
    seed: 3
    steps: \(steps)
    precision: float32
    optimizer: {learning_rate: 1.0e-3, matrix_rate: 2.0e-3, warmup_steps: 1, decay_fraction: 0, weight_decay: 0.01, beta2: 0.99, clip_norm: 5, average_decay: 0.9}
    data: {world: 1, folders: [], frames_per_second: 12}
    schedule: {checkpoint_minutes: 9, log_steps: 1, held_out_steps: 0, sample_steps: 0}
    """
  try writeAutoencoder(to: folder.appendingPathComponent("vae"))
  let text = """
    buckets:
      - {width: 32, height: 32, frames: 5, batch: 3, weight: 1}
      - {width: 32, height: 32, frames: 1, batch: 4, weight: 1}
    judge:
      autoencoder: \(folder.path)/vae
      channels: [8, 8, 16]
      width: 16
      heads: 2
      layers: 1
      side: 32
      frames: 5
      seconds: [1.0, 1.5]
      clips: {initial: 6, per_step: 0.5, limit: 9}
      restored: 0.5
      unseen: 5
    """
  let url = folder.appendingPathComponent("judge.yaml")
  try Data("output: \(folder.path)/judge\n\(common)\n\(change(text))\n".utf8).write(to: url)
  try body(folder, TrainingConfiguration(contentsOf: url))
}

/// An autoencoder of random weights: it restores nothing, quickly.
private func writeAutoencoder(to folder: URL) throws {
  let shape = VideoAutoencoder.Configuration(
    baseWidth: 4, decoderBaseWidth: 4, latentChannels: 4, residualBlockCount: 1, patch: 4)
  let registry = ParameterRegistry(seed: 1, isTrainable: false)
  _ = VideoAutoencoder(registry.root, configuration: shape)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  try WeightSet.write(registry.parameters, to: folder)
  try ConfigurationFile(encoding: shape, className: "AutoencoderKLWan")
    .write(to: folder.appendingPathComponent("config.json"))
}

@Suite("Training a judge", .serialized)
struct JudgeTaskTests {
  @Test("a judge learns, is measured on unseen clips, and exports a network that loads")
  func learns() throws {
    try withJudgeRun(steps: 10) { folder, configuration in
      var losses: [Double] = []
      let trainer = try Trainer(configuration) { event in
        if case .step(_, _, let figures) = event { losses.append(figures["loss"] ?? .nan) }
      }
      try trainer.run()
      #expect(losses.count == 10)
      #expect(losses.suffix(4).reduce(0, +) < losses.prefix(4).reduce(0, +))
      let target = folder.appendingPathComponent("out")
      try trainer.export(to: target)
      let shape = try ConfigurationFile.read(
        Judge.Configuration.self, at: target.appendingPathComponent("config.json"))
      #expect(shape.objectQuestions.map(\.name) == SceneAttributes.objectQuestions.map(\.name))
      let judge = try WeightSet(inFolder: target).load(computeType: .float32) {
        Judge($0, configuration: shape)
      }
      #expect(judge(.zeros([1, 3, 5, 32, 32])).objects.shape == [1, 4, 47])
      let task = try JudgeTask(configuration)
      let figures = try withoutGradient { try task.heldOut(averages: task.parameters) }
      for name in ["render_shape", "restored_ground", "picture_colour", "render_camera"] {
        #expect(0...1 ~= (figures[name] ?? -1), "\(name)")
      }
      #expect(figures["picture_camera"] == nil)
    }
  }

  @Test("a run that is stopped and started again has the parameters of an unbroken one")
  func resumes() throws {
    try withJudgeRun(steps: 4) { folder, configuration in
      func parameters(_ name: String, stoppingAt stop: Int?) throws -> Data {
        var configuration = configuration
        configuration.output = folder.appendingPathComponent(name).path
        var steps = 0
        try Trainer(configuration) { _ in }.run {
          steps += 1
          return steps == stop
        }
        if stop != nil { try Trainer(configuration) { _ in }.run() }
        let newest = try #require(TrainingState.checkpoints(in: configuration.outputFolder).last)
        return try Data(contentsOf: newest.url.appendingPathComponent("parameters.safetensors"))
      }
      let whole = try parameters("whole", stoppingAt: nil)
      let broken = try parameters("broken", stoppingAt: 4)
      #expect(whole == broken)
    }
  }

  @Test(
    "clips are drawn at the size at which an autoencoder restores them, and kept at the judge's")
  func restoredSize() throws {
    try withJudgeRun(steps: 1) { folder, configuration in
      let settings = try #require(configuration.judge)
      var clips = try JudgeClips(
        folder: folder.appendingPathComponent("store"), settings: settings, seed: 1, split: .any,
        restoredShare: 0.5, restoredSide: 64)
      var seen: [Int] = []
      let isFull = try clips.fill(to: 4) { clip in
        seen.append(clip.width)
        return Clip(
          width: 32, height: 32, framesPerSecond: clip.framesPerSecond,
          pixels: [UInt8](repeating: UInt8(seen.count), count: 32 * 32 * 3 * clip.frameCount))
      } shouldStop: {
        false
      }
      #expect(isFull)
      #expect(seen == [64, 64])
      let restored = try (0..<4).filter(clips.isRestored).map {
        Set(try clips.sample($0, frame: nil, restored: true).pixels)
      }
      #expect(restored == [[1], [2]])
      #expect(Set(try clips.sample(1, frame: nil, restored: false).pixels).count > 10)
    }
  }

  @Test(
    "settings that fit neither each other nor the buckets are refused",
    arguments: [
      ("side: 32", "side: 48"), ("seconds: [1.0, 1.5]", "seconds: [2.0, 1.5]"),
      ("restored: 0.5", "restored: 1.5"), ("width: 16", "width: 17"), ("frames: 1,", "frames: 9,"),
    ])
  func faults(old: String, new: String) throws {
    #expect(throws: (any Error).self) {
      try withJudgeRun(steps: 1, changing: { $0.replacing(old, with: new) }) { _, _ in }
    }
  }
}

@Suite("A judge's samples")
struct JudgeSampleTests {
  /// An 8x8 picture whose left half is the first object.
  private var sample: JudgeSample {
    let pixels = (0..<16 * 16 * 3).map { UInt8($0 / 3 % 16 < 8 ? 200 : 10) }
    let objects = (0..<16).map { UInt8($0 % 4 < 2 ? 1 : 0) }
    return JudgeSample(
      side: 16, frames: 1, pixels: pixels, objects: objects,
      attributes: SceneAttributes(
        objects: [.init(shape: .cube, kind: .slide, heading: .left), .init(shape: .disc)],
        objectCount: 2, camera: .panLeft))
  }

  @Test("a mirror swaps pixels, objects and what is told of left and right")
  func mirror() {
    var mirrored = sample
    mirrored.mirror()
    #expect(mirrored.pixels[0] == 10 && mirrored.pixels[15 * 3] == 200)
    #expect(mirrored.objects[0] == 0 && mirrored.objects[3] == 1)
    #expect(mirrored.attributes.objects[0].heading == .right)
    #expect(mirrored.attributes.camera == .panRight)
    mirrored.mirror()
    #expect(mirrored.pixels == sample.pixels && mirrored.objects == sample.objects)
  }

  @Test("a shift moves pixels and objects together")
  func shift() {
    var shifted = sample
    shifted.shift(x: 1, y: 0)
    #expect(shifted.objects.prefix(4) == [1, 1, 1, 0])
    #expect(shifted.pixels[11 * 3] == 200 && shifted.pixels[12 * 3] == 10)
  }

  @Test("a blur keeps what is even and softens edges")
  func blur() {
    var blurred = sample
    blurred.blur()
    #expect(blurred.pixels[0] == 200 && blurred.pixels[15 * 3] == 10)
    #expect(10..<200 ~= blurred.pixels[8 * 3])
  }

  @Test("objects that can't be seen are left out, and a picture tells no motion")
  func seen() {
    let (seen, coverage) = sample.seen()
    #expect(seen.attributes.objects == [.init(shape: .cube)])
    #expect(seen.attributes.objectCount == 1 && seen.attributes.camera == nil)
    #expect(coverage == [[0.5]])
  }

  @Test("objects are dealt out to slots as costs least")
  func cheapest() {
    #expect(JudgeTargets.cheapest([[3, 1, 2], [5, 0, 9]]) == [2, 1])
    #expect(JudgeTargets.cheapest([[0, 9], [9, 0]]) == [0, 1])
    #expect(JudgeTargets.cheapest([]) == [])
  }
}
