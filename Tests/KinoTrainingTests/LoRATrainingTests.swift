import Foundation
import KinoMedia
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino
@testable import KinoTraining

/// A tiny model, a folder of captioned clips, and runs that start from the model.
private struct OwnFootage {
  let place: TemporaryFolder
  let model: TinyModel

  init(clips: Int = 3) throws {
    place = try TemporaryFolder()
    model = try TinyModel(at: place["model"])
    var world = WorldDataset()
    (world.size, world.frameCount) = (FrameSize(width: 64, height: 64), 9)
    try world.write(
      (0..<clips).map { .seed(UInt64($0)) }, into: place["footage"], report: { _, _ in })
  }

  /// What a newcomer writes, and more lines.
  func text(
    _ name: String = "run", lora: String = "lora: {rank: 2}", world: Double = 0, more: String = ""
  ) -> String {
    """
    output: \(place["\(name)"].path)
    steps: 6
    precision: float32
    buckets: [{width: 64, height: 64, frames: 5, batch: 2}]
    data: {world: \(world), folders: [{path: \(place["footage"].path)}]}
    schedule: {checkpoint_minutes: 9, log_steps: 1, held_out_steps: 0, sample_steps: 0}
    transformer:
      start: \(model.folder.path)
      latents: {initial: 6, per_step: 0, limit: 6}
      \(lora)
    \(more)
    """
  }

  func configuration(_ text: String) throws -> TrainingConfiguration {
    try TrainingConfiguration(contentsOf: place.write(text, "run.yaml"))
  }

  /// Trains to a step, and gives the newest checkpoint's parameters.
  @discardableResult
  func run(_ configuration: TrainingConfiguration, stoppingAt stop: Int? = nil) throws -> Data {
    var steps = 0
    try Trainer(configuration) { _ in }.run {
      steps += 1
      return steps == stop
    }
    let newest = try #require(TrainingState.checkpoints(in: configuration.outputFolder).last)
    return try Data(contentsOf: newest.url.appendingPathComponent("parameters.safetensors"))
  }
}

@Suite("Training on own footage", .serialized)
struct LoRATrainingTests {
  @Test("a few lines are enough: the model and the program say the rest")
  func defaults() throws {
    let own = try OwnFootage()
    let configuration = try own.configuration(
      """
      output: \(own.place["run"].path)
      transformer: {start: \(own.model.folder.path), lora: }
      data: {folders: [{path: \(own.place["footage"].path)}]}
      """)
    let settings = try #require(configuration.transformer)
    #expect(settings.lora?.rank == 8 && settings.lora?.alpha == 8)
    #expect(settings.layers == 2 && settings.text.width == 32 && settings.defaults.name == "tiny")
    #expect(configuration.buckets.map(\.name) == ["64x64x9"])
    #expect(configuration.data.framesPerSecond == 8)
    // The step for a narrow network is longer than that for a wide one.
    #expect(abs(configuration.optimizer.learningRate - 1.0 / 32) < 1e-9)
  }

  @Test("adapters learn, the file has the keys and the header of diffusers, and Kino loads it")
  func learns() throws {
    let own = try OwnFootage()
    let configuration = try own.configuration(own.text(lora: "lora: {rank: 2, alpha: 6}"))
    let before = try weightsHash(own.model.folder)
    try own.run(configuration)
    #expect(try weightsHash(own.model.folder) == before)
    for target in [own.place["own.safetensors"], own.place["folder"]] {
      try Trainer(configuration) { _ in }.export(to: target)
    }
    let file = try SafetensorsFile(at: own.place["own.safetensors"])
    #expect(
      try Data(contentsOf: own.place["own.safetensors"])
        == Data(contentsOf: own.place["folder/pytorch_lora_weights.safetensors"]))
    #expect(file.tensors.count == 2 * (2 * 4 + 2) * 2)
    #expect(
      file.metadata["lora_adapter_metadata"]
        == #"{"transformer.lora_alpha":6,"transformer.r":2,"transformer.target_modules":["to_q","to_k","to_v","to_out.0","ffn.net.0.proj","ffn.net.2"]}"#
    )
    let key = "transformer.blocks.1.attn2.to_v"
    let (down, up) = (
      try file.tensor(named: key + ".lora_A.weight"), try file.tensor(named: key + ".lora_B.weight")
    )
    #expect(down.shape == [2, 32] && up.shape == [32, 2] && up.abs().max().item() > 0)
    let merged = try Model(at: own.model.folder).merging([
      LoRAFile(own.place["own.safetensors"], weight: 0.5)
    ])
    #expect(merged.loras.first?.report == "40 of 40 keys used")
    let name = "blocks.1.attn2.to_v.weight"
    let base = try Model(at: own.model.folder).wan().weights.transformer.tensor(named: name)
    expectClose(
      try merged.wan().weights.transformer.tensor(named: name), base + up.matmul(down) * 1.5,
      tolerance: 1e-5)
  }

  @Test("a run of adapters stopped and started again ends bit for bit where an unbroken one does")
  func resumes() throws {
    let own = try OwnFootage()
    let whole = try own.run(own.configuration(own.text("whole", world: 0.5)))
    let broken = try own.configuration(own.text("broken", world: 0.5))
    try own.run(broken, stoppingAt: 3)
    #expect(try own.run(broken) == whole)
  }

  @Test(
    "of the prior nothing is learnt that the start model does not do already",
    arguments: [
      ("footage}", 1.0, false), ("footage, prior: true}", 0, true), ("footage}", 0, false),
    ])
  func keeps(folder: String, world: Double, isPrior: Bool) throws {
    let own = try OwnFootage()
    var text = own.text(world: world).replacingOccurrences(of: "footage}", with: folder)
    if world > 0 {
      text.replace(try Regex(#"folders: \[.*\]"#), with: "folders: []")
    }
    let configuration = try own.configuration(text)
    try own.run(configuration)
    let log = try String(
      contentsOf: own.place["run/metrics.jsonl"], encoding: .utf8)
    let losses = log.matches(of: /"loss":([-0-9.e]+)/).compactMap { Double($0.output.1) }
    #expect(losses.count == 6)
    let learns = world == 0 && !isPrior
    #expect(losses.allSatisfy { learns ? $0 > 0.1 : $0 < 1e-9 }, "\(losses)")
  }

  @Test("a prior without adapters is an error")
  func priorNeedsLoRA() throws {
    let own = try OwnFootage(clips: 1)
    let text = own.text(lora: "frozen_text: true")
      .replacingOccurrences(of: "footage}", with: "footage, prior: true}")
    let error = #expect(throws: TrainingError.self) { try own.configuration(text) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("`prior` needs `lora`"))
  }

  @Test("blocks computed again give adapters the same gradients")
  func recomputes() throws {
    let own = try OwnFootage()
    let plain = try own.run(own.configuration(own.text("plain")))
    let again = try own.run(
      own.configuration(own.text("again", lora: "lora: {rank: 2}\n  recompute: true")))
    #expect(plain == again)
  }

  @Test("the whole transformer learns from a start too, and a frozen text encoder stays")
  func wholeNetwork() throws {
    let own = try OwnFootage()
    let configuration = try own.configuration(own.text(lora: "frozen_text: true"))
    try own.run(configuration)
    let target = own.place["model-2"]
    try Trainer(configuration) { _ in }.export(to: target)
    func hash(_ folder: URL, _ part: String) throws -> WeightsHash {
      try weightsHash(of: WeightSet(inFolder: folder.appendingPathComponent(part))) { _ in true }
    }
    #expect(try hash(target, "text_encoder") == hash(own.model.folder, "text_encoder"))
    #expect(try hash(target, "transformer") != hash(own.model.folder, "transformer"))
    #expect(throws: TrainingError.self) {
      try Trainer(configuration) { _ in }.export(to: own.place["model.safetensors"])
    }
    _ = try Model(at: target)
  }

  @Test("adapters learn the same beside weights that stay packed as beside the unpacked ones")
  func quantised() throws {
    let own = try OwnFootage()
    let folder = own.model.folder.appendingPathComponent("transformer")
    let plain = folder.appendingPathComponent("diffusion_pytorch_model.safetensors")
    let packed = folder.appendingPathComponent("wan.gguf")
    try WeightConversion(precision: .q80).convert(plain, to: packed)
    try FileManager.default.removeItem(at: plain)
    let task = try TransformerTask(own.configuration(own.text("packed")))
    guard case .adapters(_, let weights, _) = task.learner else { return }
    #expect(weights.packedCount > 0)
    func learnt(_ name: String) throws -> WeightSet {
      try own.run(own.configuration(own.text(name, more: "seed: 5")))
      let newest = try #require(TrainingState.checkpoints(in: own.place[name]).last)
      return try WeightSet(at: newest.url.appendingPathComponent("parameters.safetensors"))
    }
    let beside = try learnt("packed")
    try WeightConversion(precision: .f32).convert(packed, to: plain)
    try FileManager.default.removeItem(at: packed)
    let reference = try learnt("plain")
    for tensor in reference.tensors {
      expectClose(
        try beside.tensor(named: tensor.name), try reference.tensor(named: tensor.name),
        tolerance: 1e-3, tensor.name)
    }
  }

  @Test("a merged model is the model with the LoRA")
  func converts() throws {
    let own = try OwnFootage()
    let configuration = try own.configuration(own.text())
    try own.run(configuration)
    let lora = own.place["own.safetensors"]
    try Trainer(configuration) { _ in }.export(to: lora)
    try WeightConversion(loras: [LoRAFile(lora)]).convert(own.model.folder, to: own.place["merged"])
    let expected = try Model(at: own.model.folder).merging([LoRAFile(lora)]).wan()
    let found = try Model(at: own.place["merged"]).wan()
    for tensor in expected.weights.transformer.tensors {
      #expect(found.weights.transformer[tensor.name]?.type == tensor.type)
      expectClose(
        try found.weights.transformer.tensor(named: tensor.name),
        try expected.weights.transformer.tensor(named: tensor.name), tolerance: 1e-6)
    }
  }

  @Test("every file is shown in turn, of all folders, and the world among them as often as asked")
  func mixes() throws {
    let own = try OwnFootage(clips: 3)
    var world = WorldDataset()
    (world.size, world.frameCount) = (FrameSize(width: 64, height: 64), 9)
    try world.write([.seed(70)], into: own.place["more"], report: { _, _ in })
    let bucket = TrainingConfiguration.Bucket(width: 64, height: 64, frames: 5, batch: 1, weight: 1)
    func captions(world: Double) throws -> [String] {
      let folders = ["footage", "more"].map { own.place[$0].path }
      let source = try CaptionedSource(
        settings: .init(
          world: world, folders: folders.map { .init(path: $0, weight: 1) }, framesPerSecond: 8),
        seed: 1, russian: 0)
      return (0..<60).map { source.caption($0, of: bucket, seed: UInt64($0)) }
    }
    let folders = try captions(world: 0)
    #expect(Set(folders).count == 4)
    let all = Set(folders)
    let share = try captions(world: 2).count { !all.contains($0) }
    #expect(20...40 ~= share)
  }

  @Test(
    "what is wrong is said in one sentence",
    arguments: [
      ("lora: {rank: 2}", "lora: {rank: 0}", "lora.rank must be in 1...1024, found 0"),
      ("lora: {rank: 2}", "lora: {rank: 2, alpha: 0}", "lora.alpha"),
      ("lora: {rank: 2}", "lora: {rank: two}", "rank"),
      ("lora: {rank: 2}", "lora: {rank: 2, target: [to_q]}", "lora.target"),
      ("lora: {rank: 2}", "lora: {rank: 2, targets: []}", "lora.targets"),
      ("lora: {rank: 2}", "lora: {rank: 2, targets: [to_x]}", "no layer of tiny is named to_x"),
      ("lora: {rank: 2}", "layers: 3", "transformer.layers is 3, that of tiny is 2"),
      ("start: ", "start: /nowhere", "/nowhere"),
      ("frames: 5", "frames: 6", "4n + 1"),
      ("width: 64, height: 64, frames: 5", "width: 256, height: 64, frames: 5", "256x64x5"),
      ("/footage", "/nothing", "/nothing"),
      ("steps: 6", "steps: 6\naccumulate: 0", "accumulate"),
      ("lora: {rank: 2}", "lora: {rank: 2}\n  truth: {weight: 1, until: 1, block: 1}", "truth"),
    ])
  func explains(old: String, new: String, expected: String) throws {
    let own = try OwnFootage(clips: 1)
    let text = own.text().replacingOccurrences(of: old, with: new)
    let error = #expect(throws: (any Error).self) {
      _ = try Trainer(try own.configuration(text)) { _ in }
    }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.contains(expected), "\(message)")
  }

  @Test("a lora without a model to start from is an error")
  func needsStart() throws {
    let own = try OwnFootage(clips: 1)
    let error = #expect(throws: (any Error).self) {
      try own.configuration(
        own.text().replacingOccurrences(of: "  start: \(own.model.folder.path)\n", with: ""))
    }
    #expect("\(error.map { "\($0)" } ?? "")".contains("missing"))
  }

  @Test("long captions are told")
  func longCaptions() throws {
    let own = try OwnFootage(clips: 1)
    let manifest = own.place["footage"].appendingPathComponent("manifest.jsonl")
    let lines = try String(contentsOf: manifest, encoding: .utf8)
    let file = try #require(lines.firstMatch(of: /"file":"([^"]+)"/)?.output.1)
    let words = String(repeating: "red ball ", count: 600)
    try Data(#"{"file": "\#(file)", "caption": "\#(words)"}"#.utf8).write(to: manifest)
    var warnings: [String] = []
    let configuration = try own.configuration(own.text())
    try Trainer(configuration) { if case .warning(let text) = $0 { warnings.append(text) } }.run {
      true
    }
    #expect(
      warnings.count == 1 && warnings.first?.contains("1 captions have more than 512") == true)
  }
}
