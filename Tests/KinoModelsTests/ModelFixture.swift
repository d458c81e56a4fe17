import KinoModels
import KinoNN
import KinoTensor
import KinoTestSupport

/// A tiny transformer with the reference's weights, and what the reference computes with it.
struct TransformerFixture {
  let golden: Golden
  let configuration: DiffusionTransformer.Configuration
  let registry: ParameterRegistry
  let model: DiffusionTransformer

  init(isTrainable: Bool = false, computeType: DType? = nil) throws {
    golden = try Golden("transformer")
    configuration = try golden.configuration()
    try configuration.validate()
    let weights = try golden.weights()
    registry = ParameterRegistry(
      names: Set(weights.keys), computeType: computeType, isTrainable: isTrainable
    ) { weights[$0] }
    model = DiffusionTransformer(registry.root, configuration: configuration)
    try registry.validate()
  }
}

/// A tiny text encoder with the reference's weights, and what the reference computes with it.
struct TextEncoderFixture {
  let golden: Golden
  let configuration: UMT5Encoder.Configuration
  let registry: ParameterRegistry
  let model: UMT5Encoder

  init(isTrainable: Bool = false, computeType: DType? = nil) throws {
    golden = try Golden("text-encoder")
    configuration = try golden.configuration()
    try configuration.validate()
    let weights = try golden.weights(file: "model.safetensors")
    registry = ParameterRegistry(
      names: Set(weights.keys), computeType: computeType, isTrainable: isTrainable
    ) { weights[$0] }
    model = UMT5Encoder(registry.root, configuration: configuration)
    try registry.validate()
  }
}
