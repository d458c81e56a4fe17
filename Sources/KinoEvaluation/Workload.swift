internal import Foundation
internal import Kino
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// A piece of work that `kino bench` times; the names are part of its interface.
public enum Workload: String, CaseIterable, Codable, Sendable {
  /// Self-attention of 12 heads of 128 channels, at the tokens of the latents.
  case attention
  /// The first feed-forward product of the 1.3B transformer, at the tokens of the latents.
  case linear
  /// One block of the 1.3B transformer.
  case block
  /// One step of the 1.3B transformer, batch 1, with a text of 512 rows.
  case wanStep = "wan2.1-1.3b-step"
  /// Decoding with the published 2.1 autoencoder's sizes.
  case wanDecode = "wan2.1-1.3b-decode"
  /// Forward, backward and update of a transformer of kino-mini's size, 12 blocks of width 256: 32 samples
  /// of 80 tokens, a token for 2x2 latents.
  case miniTrainStep = "mini-train-step"
  /// Decoding with the sizes of kino-mini's autoencoder.
  case miniDecode = "mini-decode"
  /// A clip from words with the bundled model, end to end.
  case miniGenerate = "mini-generate"

  /// Latents that the workload is made for, `[frames, height, width]`.
  public var defaultLatents: [Int] {
    switch self {
    case .attention, .linear, .block, .wanStep, .wanDecode: [5, 32, 32]
    case .miniTrainStep: [5, 8, 8]
    case .miniDecode, .miniGenerate: [9, 16, 16]
    }
  }
}

/// A workload made ready: all that a run needs is there, and running it again changes nothing.
struct PreparedWork {
  /// Floating-point operations of one run, two to a multiply-accumulate; `nil` where nobody counted.
  let operations: Double?
  let run: () async throws -> Void
}

/// Makes networks of random weights at the sizes of a workload.
struct WorkloadFactory {
  let latents: [Int]  // [F, H, W]
  let precision: Precision
  /// The transformer's file; `nil` for random weights.
  var weights: URL?
  private var dtype: DType { precision == .f32 ? .float32 : .bfloat16 }

  private var noise: (_ shape: [Int]) -> Tensor {
    { shape in
      var source = RandomSource(seed: 1)
      return source.normal(shape)
    }
  }

  func make(_ workload: Workload) throws -> PreparedWork {
    switch workload {
    case .attention: attention()
    case .linear: linear()
    case .block: transformer(layerCount: 1)
    case .wanStep: try wanStep()
    case .wanDecode: decoding(try Self.published())
    case .miniTrainStep: trainingStep()
    case .miniDecode: decoding(Self.miniAutoencoder)
    case .miniGenerate: preconditionFailure("mini-generate needs a studio")
    }
  }

  static let wan = DiffusionTransformer.Configuration(
    headCount: 12, headDimension: 128, inputChannels: 16, textWidth: 4096, feedForwardWidth: 8960,
    layerCount: 30)
  static let mini = DiffusionTransformer.Configuration(
    headCount: 4, headDimension: 64, inputChannels: 48, textWidth: 256, feedForwardWidth: 1024,
    layerCount: 12)
  static let miniAutoencoder = VideoAutoencoder.Configuration(
    baseWidth: 64, decoderBaseWidth: 64, latentChannels: 48, residualBlockCount: 2, patch: 4)

  /// The 2.1 autoencoder: what an empty configuration means.
  private static func published() throws -> VideoAutoencoder.Configuration {
    try JSONDecoder().decode(VideoAutoencoder.Configuration.self, from: Data("{}".utf8))
  }

  private var tokens: Int { latents[0] * (latents[1] / 2) * (latents[2] / 2) }

  private func attention() -> PreparedWork {
    let shape = [1, tokens, Self.wan.headCount, Self.wan.headDimension]
    let x = noise(shape).cast(to: dtype).transposed(1, 2)
    let operations = 4 * Double(tokens) * Double(tokens) * Double(Self.wan.width)
    return PreparedWork(operations: operations) {
      withoutGradient { _ = scaledDotProductAttention(queries: x, keys: x, values: x) }
    }
  }

  private func linear() -> PreparedWork {
    let (width, hidden) = (Self.wan.width, Self.wan.feedForwardWidth)
    let x = noise([tokens, width]).cast(to: dtype)
    let weight = noise([hidden, width]).cast(to: dtype)
    let quantized = precision == .int8 ? QuantizedMatrix(weight) : nil
    return PreparedWork(operations: 2 * Double(tokens * width * hidden)) {
      withoutGradient { _ = quantized?.linear(x) ?? x.linear(weight: weight) }
    }
  }

  private func wanStep() throws -> PreparedWork {
    guard let weights else { return transformer(layerCount: Self.wan.layerCount) }
    for form in try CheckpointForm.recognise(in: WeightSet(at: weights)) {
      guard case .transformer(let configuration) = form.network else { continue }
      let model = try form.weights.load(
        computeType: dtype,
        productWeights: WanFamily.productWeights(of: form.weights, precision, .cpu)
      ) { DiffusionTransformer($0, configuration: configuration) }
      return step(of: model)
    }
    throw StudioError(
      .invalidModel, "\(weights.path): expected a transformer, found another network.")
  }

  private func transformer(layerCount: Int) -> PreparedWork {
    var configuration = Self.wan
    configuration.layerCount = layerCount
    let registry = ParameterRegistry(
      seed: 1, isTrainable: false, computeType: dtype,
      productWeights: precision == .int8 ? .int8 : .packed)
    return step(of: DiffusionTransformer(registry.root, configuration: configuration))
  }

  private func step(of model: DiffusionTransformer) -> PreparedWork {
    let configuration = model.configuration
    let x = noise([1, configuration.inputChannels] + latents)
    let text = withoutGradient {
      model.textContext(noise([1, 512, configuration.textWidth]), computeType: dtype)
    }
    let timesteps = Timesteps.perSample(Tensor([Float(500)]))
    return PreparedWork(
      operations: configuration.floatingPointOperations(tokens: tokens, textTokens: 512)
    ) {
      withoutGradient {
        _ = model(x, timesteps: timesteps, text: text, computeType: dtype).sum().item()
      }
    }
  }

  /// Latent frame by latent frame, as clips are written.
  private func decoding(_ configuration: VideoAutoencoder.Configuration) -> PreparedWork {
    let registry = ParameterRegistry(seed: 1, isTrainable: false, computeType: dtype)
    let autoencoder = VideoAutoencoder(registry.root, configuration: configuration)
    let x = noise([1, configuration.latentChannels] + latents)
    return PreparedWork(operations: nil) {
      withoutGradient {
        var stream = autoencoder.decodingStream(computeType: dtype)
        for frame in 0..<latents[0] { _ = stream(x.slice(2, frame..<frame + 1)).sum().item() }
      }
    }
  }

  private func trainingStep() -> PreparedWork {
    let batch = 32
    let registry = ParameterRegistry(seed: 1)
    let model = DiffusionTransformer(registry.root, configuration: Self.mini)
    let parameters = registry.parameters.map(\.value)
    let moments = (0..<2).map { _ in parameters.map { Tensor.zeros($0.shape) } }
    let x = noise([batch, Self.mini.inputChannels] + latents)
    let states = noise([batch, 24, Self.mini.textWidth])
    let timesteps = Timesteps.perSample(.full(500, shape: [batch]))
    let operations =
      3 * Double(batch) * Self.mini.floatingPointOperations(tokens: tokens, textTokens: 24)
    return PreparedWork(operations: operations) {
      let velocity = model(
        x, timesteps: timesteps, text: model.textContext(states, computeType: dtype),
        computeType: dtype)
      (velocity - x).squared().mean().backward()
      // A rate of almost zero: every run then does the same work.
      adamW(
        parameters: parameters, first: moments[0], second: moments[1],
        decays: parameters.map { $0.rank > 1 }, options: AdamWOptions(learningRate: 1e-12),
        gradientScale: 1, step: 1)
      for parameter in parameters { parameter.clearGradient() }
    }
  }
}
