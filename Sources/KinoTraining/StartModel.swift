internal import Foundation
internal import Kino
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// A model that training starts from: any that Kino loads.
struct StartModel {
  let model: Model
  let family: WanFamily

  /// Opens a model by its folder or its name.
  ///
  /// - Throws: Errors of the model, naming the file at fault.
  init(_ text: String) throws {
    model = try Model(ModelSource(text))
    guard model.parts.index != nil else {
      throw TrainingError(
        .invalidConfiguration,
        "transformer.start: \(text.prefix(200)) is no folder with model_index.json; put its parts into one, in diffusers' layout."
      )
    }
    family = try model.wan()
  }

  /// The folder of its autoencoder.
  var autoencoderFolder: URL { model.url.appendingPathComponent("vae") }

  /// The file of its tokenizer.
  var tokenizer: URL { model.url.appendingPathComponent("tokenizer/spiece.model") }

  func loadTextEncoder(_ computeType: DType, _ device: Device) throws -> UMT5Encoder {
    try family.weights.textEncoder.load(
      aliases: Self.aliases, computeType: computeType, device: device
    ) { UMT5Encoder($0, configuration: family.textEncoder) }
  }

  /// Copies that learn.
  func trainable(on device: Device) throws -> (
    transformer: LoadedNetwork<DiffusionTransformer>, text: LoadedNetwork<UMT5Encoder>
  ) {
    (
      try trainableTransformer(on: device),
      try family.weights.textEncoder.loadWithParameters(
        aliases: Self.aliases, device: device, isTrainable: true
      ) { UMT5Encoder($0, configuration: family.textEncoder) }
    )
  }

  /// A copy of the transformer that learns.
  func trainableTransformer(on device: Device) throws -> LoadedNetwork<DiffusionTransformer> {
    try family.weights.transformer.loadWithParameters(device: device, isTrainable: true) {
      DiffusionTransformer($0, configuration: family.transformer)
    }
  }

  /// The transformer as it is, in the type of products or in the packed form of its file, with adapters that learn.
  func adapted(
    by adapters: LowRankAdapters, _ computeType: DType, on device: Device
  ) throws -> (network: DiffusionTransformer, weights: FrozenWeights) {
    let loaded = try family.weights.transformer.loadWithParameters(
      computeType: computeType, device: device,
      productWeights: .unpacked, adapters: adapters
    ) { DiffusionTransformer($0, configuration: family.transformer) }
    if let target = adapters.unusedTargets.first {
      throw TrainingError(
        .invalidConfiguration,
        "lora.targets: no layer of \(model.name) is named \(target.prefix(60)); use to_q, to_k, to_v, to_out.0, ffn.net.0.proj or ffn.net.2."
      )
    }
    return (loaded.network, FrozenWeights(loaded))
  }

  /// The transformer as it is, of weights that ``adapted(by:_:on:)`` has loaded.
  func network(of weights: FrozenWeights) -> DiffusionTransformer {
    DiffusionTransformer(weights.registry().root, configuration: family.transformer)
  }

  private static let aliases = ["shared.weight": "encoder.embed_tokens.weight"]

  /// Throws unless sizes that a configuration gives are the model's.
  func requireSizes(_ settings: TrainingConfiguration.TransformerSettings) throws {
    let (own, text) = (family.transformer, family.textEncoder)
    let pairs = [
      ("heads", settings.heads, own.headCount),
      ("head_width", settings.headWidth, own.headDimension),
      ("layers", settings.layers, own.layerCount),
      ("feed_forward_width", settings.feedForwardWidth, own.feedForwardWidth),
      ("patch", settings.patch ?? 2, own.patchSize[1]),
      ("text.width", settings.text.width, text.width),
      ("text.layers", settings.text.layers, text.layerCount),
    ]
    for (name, found, expected) in pairs where found != expected {
      throw TrainingError(
        .invalidConfiguration,
        "transformer.\(name) is \(found), that of \(model.name) is \(expected); leave the setting out to take the model's."
      )
    }
  }
}

/// A network's weights that stay as they are while adapters learn beside them.
struct FrozenWeights {
  private let values: [String: Tensor]
  private let unpacked: [String: UnpackedWeight]

  init<Network>(_ loaded: LoadedNetwork<Network>) {
    values = Dictionary(uniqueKeysWithValues: loaded.parameters.map { ($0.key, $0.value) })
    unpacked = loaded.unpackedWeights
  }

  /// How many stay in the packed form of their file.
  var packedCount: Int { unpacked.count }

  /// Gives the weights out again, for the same network.
  func registry(adapters: LowRankAdapters? = nil) -> ParameterRegistry {
    ParameterRegistry(
      names: Set(values.keys).union(unpacked.keys), productWeights: .unpacked, adapters: adapters,
      lookup: { values[$0] }, unpacked: { unpacked[$0] })
  }
}
