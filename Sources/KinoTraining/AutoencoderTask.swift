internal import Foundation
internal import Kino
internal import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights
internal import KinoWorld

/// Trains a ``VideoAutoencoder`` to restore clips and pictures.
///
/// The loss is the absolute error of pixels, which keeps edges; their squared error, which teaches
/// colours and places first; the absolute error of differences to the neighbours in space and time,
/// which keeps motion; and a slight pull of the latents towards the standard normal. What moves covers
/// a tenth of a clip, so its pixels may count several times, or the still ones would own the loss.
struct AutoencoderTask: TrainingTask {
  private let registry: ParameterRegistry
  private let autoencoder: VideoAutoencoder
  private let settings: TrainingConfiguration.AutoencoderSettings
  private let computeType: DType
  private let device: Device
  private let framesPerSecond: Double
  private let batches: ClipBatches

  init(_ configuration: TrainingConfiguration) throws {
    guard let settings = configuration.autoencoder else {
      throw TrainingError(.invalidConfiguration, "training configuration: expected `autoencoder`")
    }
    self.settings = settings
    computeType = configuration.computeType
    framesPerSecond = configuration.data.framesPerSecond
    device = configuration.device?.tensorDevice ?? .cpu
    registry = ParameterRegistry(seed: configuration.seed, device: device)
    autoencoder = VideoAutoencoder(registry.root, configuration: settings.model)
    if let start = settings.start {
      let folder = URL(fileURLWithPath: start.expandingTilde)
      try AutoencoderStart(folder: folder).copy(into: registry.parameters, of: settings.model)
    } else {
      Self.quieten(registry, channels: settings.latentChannels)
    }
    batches = ClipBatches(
      try ClipSource(settings: configuration.data, seed: configuration.seed),
      buckets: configuration.buckets, showings: settings.showings ?? 1)
  }

  /// Starts with little noise in the latents, or the decoder would first have to learn to see through
  /// it, and with blocks that are nearly their shortcuts, so that gradients reach every level.
  private static func quieten(_ registry: ParameterRegistry, channels: Int) {
    for (key, value) in registry.parameters {
      if key == "quant_conv.bias" {
        value.assign(
          inPlace: concatenate([.zeros([channels]), .full(-6, shape: [channels])], along: 0))
      } else if key.contains(".conv2.") || key.hasSuffix(".proj.weight") {
        value.assign(inPlace: value.detached() * (key.hasSuffix("weight") ? 0.1 : 0))
      }
    }
  }

  func isMatrix(_ key: String) -> Bool { true }

  var parameters: [(key: String, value: Tensor)] { registry.parameters }

  func batch(step: Int, part: BatchPart, shouldStop: () -> Bool) throws -> PixelBatch? {
    try batches.batch(step: step)
  }

  var batchesAhead: (@Sendable (_ step: Int, _ shouldStop: () -> Bool) throws -> PixelBatch?)? {
    if device == .cpu { return nil }
    return { [batches] step, shouldStop in shouldStop() ? nil : try batches.batch(step: step) }
  }

  func loss(
    _ batch: PixelBatch, random: inout RandomSource
  ) -> (loss: Tensor, figures: [String: Tensor]) {
    let pixels = batch.shown(on: device)
    let encode = { autoencoder.encode(pixels, computeType: computeType) }
    let latents = settings.freezesEncoder == true ? withoutGradient(encode) : encode()
    let restored = autoencoder.decode(
      blurred(latents.sample(from: &random), &random), computeType: computeType)
    let difference = restored - pixels
    let errors = difference.abs() + difference.squared() * settings.squaredWeight
    let reconstruction = (weights(of: pixels).map { errors * $0 } ?? errors).mean()
    let gradients = Self.steps(of: difference).map { $0.abs().mean() }
    let divergence = latents.divergence()
    let loss =
      reconstruction + gradients.reduce(Tensor(0).moved(to: device)) { $0 + $1 }
      * settings.gradientWeight
      + divergence * settings.divergenceWeight
    let psnr = withoutGradient {
      (difference.clamped(to: -2...2).squared().mean() / 4).log() * (-10 / log(10))
    }
    let kind = batch.shape[1] == 1 ? "picture" : "clip"
    return (loss, ["psnr_\(kind)": psnr, "divergence": divergence.detached()])
  }

  /// Adds noise to half of the samples, up to the configured share of a channel's deviation.
  private func blurred(_ latents: Tensor, _ random: inout RandomSource) -> Tensor {
    guard let most = settings.latentNoise, most > 0 else { return latents }
    let amounts = (0..<latents.size(0)).map { _ in
      Float(max(0, random.uniform() * 2 - 1) * most)
    }
    let deviation = withoutGradient {
      latents.variance(along: 0, 2, 3, 4, keepingDimensions: true).squareRoot()
    }
    let noise =
      random.normal(latents.shape) * Tensor(amounts, shape: [amounts.count, 1, 1, 1, 1])
    return latents + noise.moved(to: device) * deviation
  }

  /// What each pixel's error counts, `[B, 1, F, H, W]` of mean 1; `nil` where all count alike.
  private func weights(of pixels: Tensor) -> Tensor? {
    guard let extra = settings.movingWeight, extra > 0, pixels.size(2) > 1 else { return nil }
    return withoutGradient {
      let raw = Self.moving(pixels) * extra + 1
      return raw / raw.mean()
    }
  }

  /// 1 within 4 pixels of a change of more than an eighth of the range since the frame before, else 0,
  /// for pixels `[B, 3, F, H, W]` in `-1...1`.
  private static func moving(_ pixels: Tensor) -> Tensor {
    let (batch, _, frames, height, width) = pixels.shape5
    let change = (pixels.slice(2, from: 1) - pixels.slice(2, 0..<frames - 1)).abs()
      .max(along: 1, keepingDimensions: true)
      .greater(than: 0.25).cast(to: .float32)
    let near = change.reshaped(to: batch * (frames - 1), 1, height, width)
      .convolved(
        weight: .ones([1, 1, 9, 9], device: pixels.device), stride: [1, 1], padding: [4, 4]
      )
      .greater(than: 0.5).cast(to: .float32)
      .reshaped(to: batch, 1, frames - 1, height, width)
    return concatenate(
      [.zeros([batch, 1, 1, height, width], device: pixels.device), near], along: 2)
  }

  /// Differences of neighbours along width, height and, in a clip, time.
  private static func steps(of x: Tensor) -> [Tensor] {
    [4, 3, 2].filter { x.size($0) > 1 }.map {
      x.slice($0, from: 1) - x.slice($0, 0..<x.size($0) - 1)
    }
  }

  // MARK: - Evaluation

  private func averaged(_ averages: [(key: String, value: Tensor)]) -> VideoAutoencoder {
    let values = Dictionary(averages.map { ($0.key, $0.value) }) { first, _ in first }
    let registry = ParameterRegistry(names: Set(values.keys)) { values[$0] }
    return VideoAutoencoder(registry.root, configuration: settings.model)
  }

  /// Pixels along a side of the pictures that figures and samples are made of: 8 latents.
  private var side: Int { settings.model.spatialScale * 8 }

  /// Unseen world scenes: clips and single frames.
  private func unseen(frames: Int) -> [Clip] {
    (0..<6).map { index in
      Clip(
        SceneRenderer(width: side, height: side).render(
          .random(seed: UInt64(900_000 + index), split: .heldOut), frameCount: frames,
          framesPerSecond: framesPerSecond))
    }
  }

  private func codec(_ autoencoder: VideoAutoencoder) -> ClipCodec {
    ClipCodec(autoencoder, computeType: computeType, device: device)
  }

  func heldOut(averages: [(key: String, value: Tensor)]) throws -> [String: Double] {
    let autoencoder = averaged(averages)
    func mean(_ pairs: [(clip: Clip, restored: Clip)]) -> Double {
      pairs.reduce(0) { $0 + ClipComparison($1.clip, $1.restored).psnr } / Double(pairs.count)
    }
    func pairs(frames: Int) -> [(clip: Clip, restored: Clip)] {
      unseen(frames: frames).map { ($0, codec(autoencoder).restored($0)) }
    }
    let clips = pairs(frames: 9)
    var figures = [
      "held_out_psnr_clip": mean(clips), "held_out_psnr_picture": mean(pairs(frames: 1)),
    ]
    let errors = clips.map { clip, restored in
      RestorationErrors(
        original: clip, restored: restored, motion: MotionMask(clip),
        framesPerLatent: autoencoder.configuration.temporalScale)
    }
    let sum = errors.dropFirst().reduce(into: errors[0]) { $0 += $1 }
    figures["held_out_psnr_moving"] = sum.score.moving
    return figures
  }

  func writeSamples(averages: [(key: String, value: Tensor)], to url: URL) throws {
    let autoencoder = averaged(averages)
    let clips = unseen(frames: 9)
    var page = Frame(width: side * 6, height: side * clips.count, color: .black)
    for (row, clip) in clips.enumerated() {
      let result = codec(autoencoder).restored(clip)
      for (column, frame) in [0, 4, 8].enumerated() {
        page.draw(clip[frame], x: 2 * side * column, y: side * row)
        page.draw(result[frame], x: 2 * side * column + side, y: side * row)
      }
    }
    try page.write(to: url.path, WriteOptions(overwrite: true))
  }

  /// Writes `config.json`, with the statistics of latents over unseen scenes, and the weights.
  func export(averages: [(key: String, value: Tensor)], to folder: URL) throws {
    let autoencoder = averaged(averages)
    var configuration = settings.model
    (configuration.latentMean, configuration.latentStandardDeviation) =
      try keptStatistics() ?? latentStatistics(autoencoder)
    try TrainingError.makeFolder(folder)
    try WeightSet.write(
      averages.map { ($0.key, $0.value.moved(to: .cpu)) }, to: folder, dtype: .bfloat16)
    let file = try ConfigurationFile(encoding: configuration, className: "AutoencoderKLWan")
    try file.write(to: folder.appendingPathComponent("config.json"))
  }

  /// The statistics of latents that a frozen encoder still makes.
  private func keptStatistics() throws -> ([Double], [Double])? {
    guard settings.freezesEncoder == true, let start = settings.start else { return nil }
    let folder = URL(fileURLWithPath: start.expandingTilde)
    let configuration = try ConfigurationFile.read(
      VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
    return (configuration.latentMean, configuration.latentStandardDeviation)
  }

  private func latentStatistics(_ autoencoder: VideoAutoencoder) -> ([Double], [Double]) {
    let (side, rate) = (side, framesPerSecond)
    let clips = onAllCores(0..<48) { index in
      Clip(
        SceneRenderer(width: side, height: side).render(
          .random(seed: UInt64(800_000 + index)), frameCount: 9, framesPerSecond: rate))
    }
    let latents = clips.map { clip -> Tensor in
      let mean = codec(autoencoder).means(of: clip.tensor)
      return mean.permuted(1, 0, 2, 3, 4).reshaped(to: mean.size(1), -1)
    }
    let all = concatenate(latents, along: 1)  // [Z, samples]
    return (
      all.mean(along: 1).floats().map(Double.init),
      all.variance(along: 1).squareRoot().floats().map { Double(max($0, 1e-4)) }
    )
  }
}
