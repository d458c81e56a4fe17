import Foundation
internal import KinoModels
package import KinoNN
package import KinoTensor
package import KinoWeights

extension WanFamily {
  func loadTokenizer() throws -> SentencePieceTokenizer {
    let tokenizer: SentencePieceTokenizer
    if let file = modelParts.tokenizer {
      tokenizer = try SentencePieceTokenizer(contentsOf: file.path)
    } else if let carried = try SentencePieceTokenizer(in: weights.textEncoder) {
      tokenizer = carried
    } else {
      throw StudioError(
        .invalidModel, "\(modelParts.url.path): expected a component tokenizer, found none.")
    }
    guard tokenizer.vocabularySize <= textEncoder.vocabularySize else {
      throw StudioError(
        .invalidModel,
        """
        \(modelParts.url.path): the tokenizer has \(tokenizer.vocabularySize) pieces, the text \
        encoder knows \(textEncoder.vocabularySize). The parts are of different models.
        """)
    }
    return tokenizer
  }

  func loadTextEncoder(_ precision: Precision, _ device: Device) throws -> UMT5Encoder {
    try weights.textEncoder.load(
      aliases: ["shared.weight": "encoder.embed_tokens.weight"], computeType: precision.computeType,
      device: device, productWeights: .unpacked
    ) { UMT5Encoder($0, configuration: textEncoder) }
  }

  func loadTransformer(
    _ precision: Precision, _ device: Device, expert: CheckpointForm.Expert = .highNoise
  ) throws -> DiffusionTransformer {
    let weights =
      expert == .lowNoise ? weights.lowNoiseTransformer ?? weights.transformer : weights.transformer
    return try weights.load(
      computeType: precision.computeType, device: device,
      productWeights: Self.productWeights(of: weights, precision, device)
    ) { DiffusionTransformer($0, configuration: transformer) }
  }

  /// Leaves a transformer's weights in the packed form of their file, if they have one. Packs others unless that
  /// copies more than half of this machine's memory out of the file's pages, which the system could take back; those
  /// of another type are copied either way.
  package static func productWeights(
    of weights: WeightSet, _ precision: Precision, _ device: Device
  ) -> ProductWeights {
    if precision == .int8 { return .int8 }
    if weights.tensors.contains(where: \.type.isPacked) { return .unpacked }
    let type = StoredType(precision.computeType)
    let bytes = weights.tensors.reduce(0) { $0 + ($1.type == type ? $1.byteCount : 0) }
    return device == .cpu && bytes <= MachineMemory.physicalBytes / 2 ? .packed : .plain
  }

  func loadAutoencoder(_ precision: Precision, _ device: Device) throws -> VideoAutoencoder {
    try weights.autoencoder.load(computeType: precision.computeType, device: device) {
      VideoAutoencoder($0, configuration: autoencoder)
    }
  }

  func loadImageEncoder(_ precision: Precision, _ device: Device) throws -> ImageEncoder? {
    guard let imageEncoder, let weights = weights.imageEncoder else { return nil }
    return try weights.load(computeType: precision.computeType, device: device) {
      ImageEncoder($0, configuration: imageEncoder)
    }
  }
}

// MARK: - Memory

extension WanFamily {
  private func byteCount(_ names: [String], _ precision: Precision) -> Int {
    parts.filter { names.contains($0.name) }.reduce(0) { $0 + $1.byteCount(precision) }
  }

  /// Whether both of two transformers stay in memory.
  func keepsExperts(_ precision: Precision) -> Bool {
    byteCount(["transformer", "low_noise_transformer", "autoencoder"], precision) <= memoryLimit
  }

  /// Whether what reads texts and pictures stays in memory beside the transformers.
  func keepsEncoders(_ precision: Precision) -> Bool {
    keepsExperts(precision) && byteCount(parts.map(\.name), precision) <= memoryLimit
  }

  package func weightMemory(_ precision: Precision) -> WeightMemory {
    func bytes(_ names: String...) -> Int { byteCount(names, precision) }
    if keepsEncoders(precision) {
      return WeightMemory(sampling: byteCount(parts.map(\.name), precision))
    }
    let (high, low) = (bytes("transformer"), bytes("low_noise_transformer"))
    let autoencoder = bytes("autoencoder")
    return WeightMemory(
      sampling: autoencoder + (keepsExperts(precision) ? high + low : max(high, low)),
      reading: autoencoder + max(bytes("text_encoder"), bytes("image_encoder")), stays: false)
  }
}
