import Foundation
internal import KinoDiffusion
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// The three networks of a model and its tokenizer, ready to compute.
struct Networks {
  let model: Model
  let precision: Precision
  let tokenizer: SentencePieceTokenizer
  let textEncoder: UMT5Encoder
  let transformer: DiffusionTransformer
  let autoencoder: VideoAutoencoder

  var computeType: DType { precision.computeType }

  /// Maps the weights; those of products are converted once, here.
  init(_ model: Model, precision: Precision, device: Device) throws {
    self.model = model
    self.precision = precision
    tokenizer = try model.loadTokenizer()
    textEncoder = try model.loadTextEncoder(precision, device)
    transformer = try model.loadTransformer(precision, device)
    autoencoder = try model.loadAutoencoder(precision, device)
  }

  /// The ids of a text, closed with the end piece, and whether some were cut off.
  func tokens(of text: String) throws -> (ids: [Int32], isCut: Bool) {
    let ids = try tokenizer.encode(text)
    if ids.count <= Model.textLength { return (ids, false) }
    return (Array(ids.prefix(Model.textLength - 1)) + ids.suffix(1), true)
  }

  /// The text context of a prompt, as published Wan models see it: padded to 512 rows, all of which
  /// are attended to.
  func context(of text: String, device: Device) throws -> TextContext {
    let ids = try tokens(of: text).ids.map(Int64.init)
    // Products of fewer than 16 rows depend on the thread count; masked rows change nothing.
    let padding = (16 - ids.count % 16) % 16
    let rows = ids + Array(repeating: Int64(model.textEncoder.paddingID), count: padding)
    let input = Tensor(rows, shape: [1, rows.count]).moved(to: device)
    let flags = rows.indices.map { Float($0 < ids.count ? 1 : 0) }
    let mask = Tensor(flags, shape: [1, rows.count]).moved(to: device)
    let states = textEncoder(inputIDs: input, mask: mask, computeType: computeType)
    return transformer.textContext(
      states, mask: mask, paddedTo: Model.textLength, computeType: computeType)
  }
}

extension Model {
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

extension Precision {
  /// The element type of products; with 8-bit weights, of all that is not such a product.
  var computeType: DType { self == .f32 ? .float32 : .bfloat16 }
}
