internal import KinoDiffusion
internal import KinoModels
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// The networks of a model of Wan's family and its tokenizer.
///
/// Where memory is short, encoders are loaded for what they read and let go before sampling, and of two
/// transformers the one that predicts is there.
final class WanPipeline: ModelPipeline {
  private let family: WanFamily
  private let device: Device
  private let precision: Precision
  private let texts: TextReader
  private let autoencoder: VideoAutoencoder
  private var transformers: [CheckpointForm.Expert: DiffusionTransformer] = [:]
  private var imageEncoder: ImageEncoder?

  private var computeType: DType { precision.computeType }

  /// Maps the weights that stay; those of products are converted once, here.
  init(_ family: WanFamily, precision: Precision, device: Device) throws {
    (self.family, self.device, self.precision) = (family, device, precision)
    texts = try TextReader(family, precision: precision, device: device)
    autoencoder = try family.loadAutoencoder(precision, device)
    guard family.keepsEncoders(precision) else { return }
    _ = try transformer(.highNoise)
    if family.boundary != nil { _ = try transformer(.lowNoise) }
  }

  private func transformer(_ expert: CheckpointForm.Expert) throws -> DiffusionTransformer {
    if let loaded = transformers[expert] { return loaded }
    // Frees the other first: both together may not fit.
    if !family.keepsExperts(precision) { transformers = [:] }
    let network = try family.loadTransformer(precision, device, expert: expert)
    transformers[expert] = network
    return network
  }

  // MARK: Texts

  func cuts(_ text: String) throws -> Bool { try texts.cuts(text) }

  func read(_ texts: [String]) throws {
    try self.texts.read(texts) { makeRoom() }
  }

  /// Lets the transformers go while an encoder is loaded.
  private func makeRoom() { if !family.keepsEncoders(precision) { transformers = [:] } }

  func denoiser(_ request: DenoiserRequest) throws -> any CanvasDenoiser {
    try read(request.prompts + [request.negative].compactMap(\.self))
    let pictures = try request.known.map { try condition($0) }
    guard let boundary = family.boundary else {
      return try denoiser(request, pictures, by: .highNoise)
    }
    return ExpertDenoiser(boundary: boundary) { [self] in
      try denoiser(request, pictures, by: $0)
    }
  }

  private func denoiser(
    _ request: DenoiserRequest, _ pictures: PictureCondition?, by expert: CheckpointForm.Expert
  ) throws -> TextGuidedDenoiser {
    let network = try transformer(expert)
    func context(of text: String) throws -> TextContext {
      let (states, mask) = try texts.states(of: text)
      return network.textContext(
        states, mask: mask, paddedTo: family.textLength, images: pictures?.states,
        computeType: computeType)
    }
    return TextGuidedDenoiser(
      transformer: network, computeType: computeType, device: device,
      guidance: expert == .lowNoise ? request.lowNoiseGuidance : request.guidance,
      history: request.history, cacheThreshold: request.cacheThreshold,
      prompts: try request.prompts.map(context),
      negative: try request.negative.map(context), condition: pictures?.latents)
  }

  // MARK: Pictures

  private func condition(_ known: KnownFrames) throws -> PictureCondition {
    let encode = encoding(tiles: known.tiles)
    let scale = family.autoencoder.temporalScale
    let pixels = known.pixels.moved(to: device)
    let (count, step) = (known.isKnown.count, 2 * scale)
    var latents = [encode(pixels.slice(2, 0..<1))]
    for start in stride(from: 1, to: count, by: step) {
      try Task.checkCancellation()
      latents.append(encode(pixels.slice(2, start..<min(start + step, count))))
    }
    return PictureCondition(
      latents: concatenate(latents, along: 1), isKnown: known.isKnown, scale: scale,
      states: try states(of: known))
  }

  /// What the image encoder makes of the known frames, one behind another; `nil` without one.
  private func states(of known: KnownFrames) throws -> Tensor? {
    guard let sizes = family.imageEncoder else { return nil }
    makeRoom()
    guard let encoder = try imageEncoder ?? family.loadImageEncoder(precision, device) else {
      return nil
    }
    if family.keepsEncoders(precision) { imageEncoder = encoder }
    let pictures = try known.isKnown.indices.filter { known.isKnown[$0] }.map { index in
      try ImageEncoder.picture(known.pixels.slice(2, index..<index + 1), size: sizes.imageSize)
    }
    let states = encoder(
      concatenate(pictures, along: 0).moved(to: device), computeType: computeType)
    return states.reshaped(to: 1, -1, sizes.width)
  }

  // MARK: Pixels

  func encoding(tiles: Int) -> (_ pixels: Tensor) -> Tensor {
    var stream = autoencoder.encodingStream(computeType: computeType, tiles: tiles)
    return { [self] in normalized(stream($0)) }
  }

  func decoding() -> (_ latents: Tensor) -> Tensor {
    var stream = autoencoder.decodingStream(computeType: computeType)
    return { [autoencoder] in stream(autoencoder.denormalized($0.expandingDimension(at: 0))) }
  }

  func decoded(_ latents: Tensor, framesAtOnce: Int, tiles: Int) throws -> Clip {
    let (_, count, rows, columns) = latents.shape4
    let scale = family.autoencoder.spatialScale
    let (height, width) = (rows * scale, columns * scale)
    let frames = (count - 1) * family.autoencoder.temporalScale + 1
    var bytes = [UInt8](repeating: 0, count: frames * height * width * 3)
    try autoencoder.decode(
      autoencoder.denormalized(latents.expandingDimension(at: 0)), tiles: tiles,
      framesAtOnce: framesAtOnce, computeType: computeType
    ) { pixels, frame, top, left in
      try Task.checkCancellation()
      let (_, _, frames, rows, columns) = pixels.shape5
      let part = pixels.squeezing(0).pixelBytes
      for row in 0..<frames * rows {
        let start = (((frame + row / rows) * height + top + row % rows) * width + left) * 3
        bytes.replaceSubrange(
          start..<start + columns * 3, with: part[row * columns * 3..<(row + 1) * columns * 3])
      }
    }
    return Clip(width: width, height: height, framesPerSecond: 1, pixels: bytes)
  }

  private func normalized(_ latents: Tensor) -> Tensor {
    autoencoder.normalized(latents).squeezing(0).cast(to: .float32)
  }
}

extension TextGuidedDenoiser: CanvasDenoiser {}

/// Two transformers that share the way from noise to a clip: Wan 2.2 A14B.
struct ExpertDenoiser: CanvasDenoiser {
  /// The noise, 0...1, from which on the first predicts.
  let boundary: Double
  /// Makes the denoiser of one of them; the other may be let go then.
  let denoiser: (CheckpointForm.Expert) throws -> TextGuidedDenoiser

  func denoise(_ canvas: Canvas, noise: Tensor) -> Denoise {
    var current: (expert: CheckpointForm.Expert, denoise: Denoise)?
    return { latents, moment in
      let expert = moment.timestep >= boundary * 1000 ? CheckpointForm.Expert.highNoise : .lowNoise
      if let current, current.expert == expert { return try current.denoise(latents, moment) }
      current = nil
      let denoise = try denoiser(expert).denoise(canvas, noise: noise)
      current = (expert, denoise)
      return try denoise(latents, moment)
    }
  }
}

/// Known pictures as a transformer of image to video takes them.
struct PictureCondition {
  /// Four channels that say which frames are known, and the latents of a clip of these, `[4 + C, F, H, W]`.
  let latents: Tensor
  /// Of the image encoder, `[1, S, width]`.
  let states: Tensor?

  /// - Parameters:
  ///   - latents: Of the clip that is the middle grey where nothing is known, `[C, F, H, W]`, normalised.
  ///   - isKnown: By frame of the clip.
  ///   - scale: Frames to a latent frame; each has a channel of its own.
  ///   - states: Of the image encoder.
  init(latents: Tensor, isKnown: [Bool], scale: Int, states: Tensor?) {
    let (_, frames, height, width) = latents.shape4
    // The first latent frame stands for one frame, which all of its channels repeat.
    let flags = (0..<scale).flatMap { channel in
      (0..<frames).map { frame -> Float in
        let index = frame == 0 ? 0 : (frame - 1) * scale + 1 + channel
        return isKnown[index] ? 1 : 0
      }
    }
    let mask = Tensor(flags, shape: [scale, frames, 1, 1]).moved(to: latents.device)
      .expanded(to: scale, frames, height, width)
    self.latents = concatenate([mask, latents], along: 0)
    self.states = states
  }
}

extension ImageEncoder {
  /// A frame `[1, 3, 1, H, W]` in -1...1 as the encoder takes it: stretched to its square, normalised.
  static func picture(_ pixels: Tensor, size: Int) throws -> Tensor {
    let (_, _, _, height, width) = pixels.shape5
    let frame = Frame(width: width, height: height, pixels: pixels.squeezing(0).pixelBytes)
    let square = try frame.resized(to: FrameSize(size, size), fit: .stretch)
    let pixels = Clip(frames: [square], framesPerSecond: 1).tensor.squeezing(2)
    let values = (pixels + 1) / 2
    func channels(_ numbers: [Double]) -> Tensor {
      Tensor(numbers.map(Float.init), shape: [1, 3, 1, 1])
    }
    return (values - channels(mean)) / channels(standardDeviation)
  }
}
