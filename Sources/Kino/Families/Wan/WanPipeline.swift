internal import KinoDiffusion
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// The three networks of a model of Wan's family and its tokenizer.
struct WanPipeline: ModelPipeline {
  private let family: WanFamily
  private let device: Device
  private let computeType: DType
  private let tokenizer: SentencePieceTokenizer
  private let textEncoder: UMT5Encoder
  private let transformer: DiffusionTransformer
  private let autoencoder: VideoAutoencoder

  /// Maps the weights; those of products are converted once, here.
  init(_ family: WanFamily, precision: Precision, device: Device) throws {
    self.family = family
    self.device = device
    computeType = precision.computeType
    tokenizer = try family.loadTokenizer()
    textEncoder = try family.loadTextEncoder(precision, device)
    transformer = try family.loadTransformer(precision, device)
    autoencoder = try family.loadAutoencoder(precision, device)
  }

  // MARK: Texts

  func cuts(_ text: String) throws -> Bool { try tokens(of: text).isCut }

  func denoiser(
    prompts: [String], negative: String?, guidance: ClassifierFreeGuidance, cacheThreshold: Double
  ) throws -> any CanvasDenoiser {
    TextGuidedDenoiser(
      transformer: transformer, computeType: computeType, device: device, guidance: guidance,
      cacheThreshold: cacheThreshold, prompts: try prompts.map { try context(of: $0) },
      negative: try negative.map { try context(of: $0) })
  }

  /// The ids of a text, closed with the end piece, and whether some were cut off.
  private func tokens(of text: String) throws -> (ids: [Int32], isCut: Bool) {
    let ids = try tokenizer.encode(text)
    if ids.count <= family.textLength { return (ids, false) }
    return (Array(ids.prefix(family.textLength - 1)) + ids.suffix(1), true)
  }

  /// The text context of a prompt, as published Wan models see it: padded to 512 rows, all of which
  /// are attended to.
  private func context(of text: String) throws -> TextContext {
    let ids = try tokens(of: text).ids.map(Int64.init)
    // Products of fewer than 16 rows depend on the thread count; masked rows change nothing.
    let padding = (16 - ids.count % 16) % 16
    let rows = ids + Array(repeating: Int64(family.textEncoder.paddingID), count: padding)
    let input = Tensor(rows, shape: [1, rows.count]).moved(to: device)
    let flags = rows.indices.map { Float($0 < ids.count ? 1 : 0) }
    let mask = Tensor(flags, shape: [1, rows.count]).moved(to: device)
    let states = textEncoder(inputIDs: input, mask: mask, computeType: computeType)
    return transformer.textContext(
      states, mask: mask, paddedTo: family.textLength, computeType: computeType)
  }

  // MARK: Pixels

  func latents(of pixels: Tensor) -> Tensor {
    normalized(autoencoder.encode(pixels, computeType: computeType).mean)
  }

  func encoding() -> (_ pixels: Tensor) -> Tensor {
    var stream = autoencoder.encodingStream(computeType: computeType)
    return { normalized(stream($0)) }
  }

  func decoding() -> (_ latents: Tensor) -> Tensor {
    var stream = autoencoder.decodingStream(computeType: computeType)
    return { stream(autoencoder.denormalized($0.expandingDimension(at: 0))) }
  }

  private func normalized(_ latents: Tensor) -> Tensor {
    autoencoder.normalized(latents).squeezing(0).cast(to: .float32)
  }
}

extension TextGuidedDenoiser: CanvasDenoiser {}
