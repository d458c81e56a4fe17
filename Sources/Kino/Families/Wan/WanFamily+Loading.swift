import Foundation
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

extension WanFamily {
  func loadTokenizer() throws -> SentencePieceTokenizer {
    let tokenizer = try SentencePieceTokenizer(
      contentsOf: folder.file("spiece.model", of: "tokenizer").path)
    guard tokenizer.vocabularySize <= textEncoder.vocabularySize else {
      throw StudioError(
        .invalidModel,
        """
        \(folder.url.path): the tokenizer has \(tokenizer.vocabularySize) pieces, the text encoder \
        knows \(textEncoder.vocabularySize). The parts are of different models.
        """)
    }
    return tokenizer
  }

  func loadTextEncoder(_ precision: Precision, _ device: Device) throws -> UMT5Encoder {
    try weights.textEncoder.load(
      aliases: ["shared.weight": "encoder.embed_tokens.weight"], computeType: precision.computeType,
      device: device
    ) { UMT5Encoder($0, configuration: textEncoder) }
  }

  func loadTransformer(_ precision: Precision, _ device: Device) throws -> DiffusionTransformer {
    try weights.transformer.load(
      computeType: precision.computeType, device: device,
      productWeights: productWeights(precision, device)
    ) { DiffusionTransformer($0, configuration: transformer) }
  }

  /// Packs the transformer's weights unless that copies more than half of this machine's memory out of the
  /// file's pages, which the system could take back; those of another type are copied either way.
  private func productWeights(_ precision: Precision, _ device: Device) -> ProductWeights {
    if precision == .int8 { return .int8 }
    let type = StoredType(precision.computeType)
    let bytes = weights.transformer.tensors.reduce(0) {
      $0 + ($1.type == type ? $1.byteCount : 0)
    }
    return device == .cpu && bytes <= MachineMemory.physicalBytes / 2 ? .packed : .plain
  }

  func loadAutoencoder(_ precision: Precision, _ device: Device) throws -> VideoAutoencoder {
    try weights.autoencoder.load(computeType: precision.computeType, device: device) {
      VideoAutoencoder($0, configuration: autoencoder)
    }
  }
}
