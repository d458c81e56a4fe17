internal import KinoWeights

// MARK: - Autoencoder

extension CheckpointPart {
  func autoencoder(_ style: CheckpointForm.Style) throws -> CheckpointForm {
    let isNested = weights["decoder.upsamples.0.upsamples.0.residual.2.weight"] != nil
    let ours = try renamed(
      by: style == .diffusers
        ? nil : isNested ? KeyStyles.residualAutoencoder : KeyStyles.autoencoder)
    let configuration = try ours.autoencoderConfiguration()
    try check(configuration.validate)
    let published = [16: "Wan 2.1 autoencoder", 48: "Wan 2.2 autoencoder"]
    return ours.form(
      .autoencoder(configuration), style,
      models: published[configuration.latentChannels].map { [$0] } ?? [])
  }

  private func autoencoderConfiguration() throws(ModelError) -> VideoAutoencoder.Configuration {
    let input = try shape("encoder.conv_in.weight", rank: 5)
    let decoderBase = try shape("decoder.norm_out.gamma", rank: 4)[0]
    let latents = try shape("post_quant_conv.weight", rank: 5)[0]
    let outputs = try shape("decoder.conv_out.weight", rank: 5)[0]
    guard outputs == input[1] else {
      throw unsupported(
        "this autoencoder takes \(input[1]) channels and gives \(outputs), as those that double "
          + "the size do, which Kino does not run.")
    }
    guard let statistics = VideoAutoencoder.Configuration.publishedStatistics[latents] else {
      throw unsupported(
        "the mean and deviation of \(latents) latent channels stand in no file of weights: open the "
          + "folder with its config.json.")
    }
    let levels = count("decoder.up_blocks")
    let blocks = count("decoder.up_blocks.0.resnets")
    guard decoderBase > 0, (1...6).contains(levels), blocks > 1 else {
      throw invalid("\(levels) levels of \(blocks) blocks in the decoder")
    }
    var multipliers: [Int] = []
    for level in (0..<levels).reversed() {
      let name = "decoder.up_blocks.\(level).resnets.0.conv1.weight"
      multipliers.append(try shape(name, rank: 5)[0] / decoderBase)
    }
    let isResidual = weights["decoder.up_blocks.0.upsampler.resample.1.weight"] != nil
    let path = isResidual ? "upsampler" : "upsamplers.0"
    let temporal = (0..<levels - 1).reversed().map {
      weights["decoder.up_blocks.\($0).\(path).time_conv.weight"] != nil
    }
    return try makeAutoencoder(
      encoderBase: input[0], decoderBase: decoderBase, latents: latents, multipliers: multipliers,
      blocks: blocks - 1, temporal: temporal, isResidual: isResidual, inputs: input[1],
      statistics: statistics)
  }

  private func makeAutoencoder(
    encoderBase: Int, decoderBase: Int, latents: Int, multipliers: [Int], blocks: Int,
    temporal: [Bool], isResidual: Bool, inputs: Int,
    statistics: (mean: [Double], deviation: [Double])
  ) throws(ModelError) -> VideoAutoencoder.Configuration {
    guard let patch = (1...8).first(where: { 3 * $0 * $0 == inputs }) else {
      throw invalid("\(inputs) channels come into the autoencoder, expected 3 times a square")
    }
    var configuration = VideoAutoencoder.Configuration(
      baseWidth: encoderBase, decoderBaseWidth: decoderBase, latentChannels: latents,
      residualBlockCount: blocks, patch: patch)
    if decoderBase == encoderBase { configuration.decoderBaseWidth = nil }
    configuration.widthMultipliers = multipliers
    configuration.temporalDownsampling = temporal
    configuration.isResidual = isResidual
    configuration.patchSize = patch == 1 ? nil : patch
    configuration.latentMean = statistics.mean
    configuration.latentStandardDeviation = statistics.deviation
    configuration.temporalScale = 1 << temporal.count { $0 }
    configuration.spatialScale = patch << temporal.count
    return configuration
  }
}

// MARK: - Text encoder

extension CheckpointPart {
  /// Tensors beside a text encoder's own: its tokenizer as bytes, and the other half of a whole model.
  private static func isBeside(_ name: String) -> Bool {
    name == "spiece_model" || name.hasPrefix("decoder.") || name == "lm_head.weight"
      || name.hasPrefix("dec.") || name == "output.weight"
  }

  private static let alias = "encoder.embed_tokens.weight"

  func textEncoder(_ style: CheckpointForm.Style) throws -> CheckpointForm {
    let rules: [CheckpointForm.Style: KeyRules] = [
      .original: KeyStyles.textEncoder, .llama: KeyStyles.ggufTextEncoder,
    ]
    let named = try with(weights.renamed { Self.isBeside($0) ? nil : $0 })
      .renamed(by: rules[style])
    // The embedding stands under either name or both.
    let hasShared = named.weights["shared.weight"] != nil
    let ours = named.with(
      try named.weights.renamed { name in
        name != Self.alias ? name : hasShared ? nil : "shared.weight"
      })
    let configuration = try ours.textEncoderConfiguration()
    try check(configuration.validate)
    return ours.form(
      .textEncoder(configuration), style,
      models: configuration.layerCount == 24 && configuration.width == 4096
        ? ["umT5-XXL encoder"] : [])
  }

  private func textEncoderConfiguration() throws(ModelError) -> UMT5Encoder.Configuration {
    let embedding = try shape("shared.weight", rank: 2)
    let layers = count("encoder.block")
    let attention = "encoder.block.*.layer.0.SelfAttention"
    func name(_ layer: Int, _ rest: String) -> String {
      attention.replacing("*", with: "\(layer)") + "." + rest
    }
    for layer in 0..<layers where weights[name(layer, "relative_attention_bias.weight")] == nil {
      throw unsupported(
        "block \(layer) of the text encoder has no position bias of its own: this is a T5, "
          + "expected a umT5.")
    }
    let bias = try shape(name(0, "relative_attention_bias.weight"), rank: 2)
    let queries = try shape(name(0, "q.weight"), rank: 2)[0]
    guard bias[1] > 0, queries.isMultiple(of: bias[1]) else {
      throw invalid("\(queries) queries for \(bias[1]) heads")
    }
    guard weights["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"] != nil else {
      throw unsupported("the text encoder's feed-forward networks have no gate: expected a umT5.")
    }
    return UMT5Encoder.Configuration(
      vocabularySize: embedding[0], width: embedding[1], headDimension: queries / bias[1],
      feedForwardWidth: try shape("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", rank: 2)[0],
      layerCount: layers, headCount: bias[1], bucketCount: bias[0])
  }
}

// MARK: - Image encoder

extension CheckpointPart {
  func imageEncoder(_ style: CheckpointForm.Style) throws -> CheckpointForm {
    var ours = with(
      try weights.renamed { name in
        // The text half of the model, and what leads from pictures to its space.
        name.hasPrefix("textual.") || name == "log_scale" || name == "visual.head"
          || name.hasPrefix("visual_projection.") || name.hasSuffix(".position_ids") ? nil : name
      })
    if ours.weights["embeddings.class_embedding"] != nil {
      // transformers 5 leaves out the first part of the names.
      ours = ours.with(try ours.weights.renamed { "vision_model." + $0 })
    }
    if style == .original {
      let split = try ours.weights.split { name in
        guard name.contains(".attn.to_qkv.") else { return nil }
        return ["q", "k", "v"].map { name.replacing(".to_qkv.", with: ".\($0).") }
      }
      ours = try ours.with(split).renamed(by: KeyStyles.imageEncoder)
      let positions = "vision_model.embeddings.position_embedding.weight"
      let start = "vision_model.embeddings.class_embedding"
      ours = ours.with(
        try ours.weights.reshaped([
          positions: Array(try ours.shape(positions, rank: 3).dropFirst()),
          start: Array(try ours.shape(start, rank: 3).dropFirst(2)),
        ]))
    }
    let configuration = try ours.imageEncoderConfiguration()
    try check(configuration.validate)
    return ours.form(
      .imageEncoder(configuration), style,
      models: configuration.width == 1280 && configuration.layerCount == 32
        ? ["CLIP ViT-H/14 of Wan 2.1 I2V"] : [])
  }

  private func imageEncoderConfiguration() throws(ModelError) -> ImageEncoder.Configuration {
    let patch = try shape("vision_model.embeddings.patch_embedding.weight", rank: 4)
    let positions = try shape("vision_model.embeddings.position_embedding.weight", rank: 2)[0]
    let side = Int(Double(max(0, positions - 1)).squareRoot().rounded())
    guard side * side + 1 == positions, side <= 1024, 1...1024 ~= patch[2] else {
      throw invalid(
        "\(positions) positions of patches \(patch[2]) wide, expected one more than a square")
    }
    return ImageEncoder.Configuration(
      width: patch[0],
      feedForwardWidth: try shape("vision_model.encoder.layers.0.mlp.fc1.weight", rank: 2)[0],
      layerCount: count("vision_model.encoder.layers"), headCount: max(1, patch[0] / 80),
      imageSize: side * patch[2], patchSize: patch[2])
  }
}
