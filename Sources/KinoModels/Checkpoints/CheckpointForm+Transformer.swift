internal import KinoWeights

extension CheckpointPart {
  /// Starts of names that only models have which Kino does not run.
  private static let otherModels = [
    ("vace_blocks.", "VACE"), ("vace_patch_embedding.", "VACE"),
    ("control_adapter.", "Wan Fun with camera control"), ("face_adapter.", "Wan Animate"),
    ("face_encoder.", "Wan Animate"), ("motion_encoder.", "Wan Animate"),
    ("pose_patch_embedding.", "Wan Animate"), ("casual_audio_encoder.", "Wan S2V"),
    ("audio_injector.", "Wan S2V"), ("cond_encoder.", "Wan S2V"),
    ("ref_conv.", "Wan Fun with a reference picture"), ("audio_proj.", "a model of sound"),
  ]

  func transformer(_ style: CheckpointForm.Style) throws -> CheckpointForm {
    let tensors = weights.tensors
    for (start, name) in Self.otherModels
    where tensors.contains(where: { $0.name.hasPrefix(start) }) {
      throw unsupported("this is \(name), which Kino does not run.")
    }
    let ours = try flattenedPatchRestored()
      .renamed(by: style == .original ? KeyStyles.transformer : nil)
    let configuration = try ours.transformerConfiguration()
    try check(configuration.validate)
    try checkInputs(configuration)
    return ours.form(
      .transformer(configuration), style, models: PublishedModel.names(of: configuration),
      expert: weights.metadata["model_type"].flatMap(Self.expert))
  }

  /// Tools that know four axes at most store outputs and inputs of the patch embedding as one.
  private func flattenedPatchRestored() throws -> CheckpointPart {
    let name = "patch_embedding.weight"
    guard let shape = weights[name]?.shape, shape.count == 4,
      let width = weights["patch_embedding.bias"]?.shape.first, width > 0,
      shape[0].isMultiple(of: width)
    else { return self }
    return with(try weights.reshaped([name: [width, shape[0] / width] + shape.dropFirst()]))
  }

  private func transformerConfiguration() throws(ModelError) -> DiffusionTransformer.Configuration {
    let patch = try shape("patch_embedding.weight", rank: 5)
    let width = patch[0]
    guard headDimension > 0, width > 0, width.isMultiple(of: headDimension) else {
      throw invalid("the width \(width) is not made of heads of \(headDimension) channels")
    }
    let volume = patch[2...].reduce(1, *)
    let outputs = try shape("proj_out.weight", rank: 2)[0]
    guard volume > 0, outputs.isMultiple(of: volume) else {
      throw invalid("\(outputs) outputs do not fill patches of \(volume)")
    }
    let image = weights["condition_embedder.image_embedder.norm1.weight"]
    var configuration = DiffusionTransformer.Configuration(
      patchSize: Array(patch[2...]), headCount: width / headDimension, headDimension: headDimension,
      inputChannels: patch[1], outputChannels: outputs / volume,
      textWidth: try shape("condition_embedder.text_embedder.linear_1.weight", rank: 2)[1],
      frequencyCount: try shape("condition_embedder.time_embedder.linear_1.weight", rank: 2)[1],
      feedForwardWidth: try shape("blocks.0.ffn.net.0.proj.weight", rank: 2)[0],
      layerCount: count("blocks"),
      normalizesCrossAttention: weights["blocks.0.norm2.weight"] != nil,
      imageWidth: image?.shape.first)
    if weights["condition_embedder.image_embedder.pos_embed"] != nil {
      configuration.positionEmbeddingLength =
        try shape("condition_embedder.image_embedder.pos_embed", rank: 3)[1]
    }
    return configuration
  }

  /// Latents come in alone, or with a mask of four channels and the latents of pictures; other numbers
  /// are those of models with other controls, of the same names.
  private func checkInputs(
    _ configuration: DiffusionTransformer.Configuration
  ) throws(ModelError) {
    let (inputs, outputs) = (configuration.inputChannels, configuration.outputChannels)
    guard inputs == outputs || inputs == 2 * outputs + 4 else {
      throw unsupported(
        "\(inputs) channels come in, expected \(outputs) or \(2 * outputs + 4): "
          + "this is a control model, such as Wan Fun Control, which Kino does not run.")
    }
  }

  /// Files of one publisher say so in their header, as in `Wan2_2-I2V-A14B-high`.
  private static func expert(_ modelType: String) -> CheckpointForm.Expert? {
    let last = modelType.split(whereSeparator: { $0 == "-" || $0 == "_" }).last?.lowercased()
    return last.flatMap(CheckpointForm.Expert.init(rawValue:))
  }
}

/// The published transformers, by what shapes tell.
private struct PublishedModel {
  let width: Int
  let inputs: Int
  let layers: Int
  var readsImages = false
  var hasPositions = false
  let names: [String]

  private static let all = [
    PublishedModel(width: 1536, inputs: 16, layers: 30, names: ["Wan 2.1 T2V 1.3B"]),
    PublishedModel(
      width: 1536, inputs: 36, layers: 30, readsImages: true, names: ["Wan 2.1 Fun InP 1.3B"]),
    PublishedModel(
      width: 5120, inputs: 16, layers: 40,
      names: [
        "Wan 2.1 T2V 14B", "Wan 2.2 T2V A14B for high noise", "Wan 2.2 T2V A14B for low noise",
      ]),
    PublishedModel(
      width: 5120, inputs: 36, layers: 40, readsImages: true,
      names: ["Wan 2.1 I2V 14B 480P", "Wan 2.1 I2V 14B 720P"]),
    PublishedModel(
      width: 5120, inputs: 36, layers: 40, readsImages: true, hasPositions: true,
      names: ["Wan 2.1 FLF2V 14B"]),
    PublishedModel(
      width: 5120, inputs: 36, layers: 40,
      names: ["Wan 2.2 I2V A14B for high noise", "Wan 2.2 I2V A14B for low noise"]),
    PublishedModel(width: 3072, inputs: 48, layers: 30, names: ["Wan 2.2 TI2V 5B"]),
  ]

  static func names(of configuration: DiffusionTransformer.Configuration) -> [String] {
    all.first {
      $0.width == configuration.width && $0.inputs == configuration.inputChannels
        && $0.layers == configuration.layerCount
        && $0.readsImages == (configuration.imageWidth != nil)
        && $0.hasPositions == (configuration.positionEmbeddingLength != nil)
    }?.names ?? []
  }
}
