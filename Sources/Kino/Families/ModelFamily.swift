package import Foundation
package import KinoDiffusion
package import KinoModels
package import KinoTensor
package import KinoWeights

/// What Kino asks of models of one kind: the only place that knows their networks.
///
/// A family is a type that conforms to this protocol, in a folder of its own, listed in ``Model/families``.
/// Everything else in Kino (verbs, canvases, windows, tiles, samplers, plans, recipes) sees latents and
/// velocities. The contract:
///
/// - **Latents** are `[C, F, H, W]`, float32, of about zero mean and unit variance, on the device that the
///   pipeline was loaded on. The first latent frame stands for one pixel frame, each other one for
///   ``LatentGeometry/temporalScale`` frames: a clip of `temporalScale * n + 1` frames has `n + 1`.
/// - **Velocities** are those of the straight path, `dx / dsigma = noise - clean` (``FlowMatching``), at a
///   noise level of its own for each token (``SamplingMoment``). A network that predicts something else is
///   converted by its family. At level 0 a token is known: its velocity is not used.
/// - **Determinism.** The same weights, texts and latents give the same numbers, whatever the number of
///   threads.
/// - **Streaming.** Encoding and decoding take a clip in pieces, in memory that does not grow with its
///   length, and give the same numbers whatever the pieces are.
/// - **Errors.** What is wrong with files is thrown, and names the file; tensors of a wrong shape trap.
package protocol ModelFamily: Sendable {
  /// The name, for people.
  static var name: String { get }

  /// Whether a model folder is of this family; reads nothing but its index.
  static func claims(_ index: ModelIndex) -> Bool

  /// The networks of this family in a file or folder of weights of any form.
  ///
  /// - Throws: `ModelError` if there is none, saying what was looked for.
  static func networks(in weights: WeightSet) throws -> [RecognisedNetwork]

  /// Puts a model together from loose files.
  ///
  /// - Parameters:
  ///   - url: A file, or a folder without `model_index.json`.
  ///   - files: Parts that are named; the others are looked for.
  ///   - places: Where to look besides the neighbourhood of `url`.
  /// - Returns: The parts; `nil` if families of this kind have no loose files.
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` saying what is missing and where to get it.
  static func parts(
    at url: URL, _ files: ModelFiles, searching places: [URL]
  ) throws -> ModelParts?

  /// Takes a model's parts and checks that they fit each other, without reading numbers.
  ///
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  init(_ parts: ModelParts) throws

  /// How latents lie under pixels.
  var geometry: LatentGeometry { get }
  /// Text tokens that the model reads.
  var textLength: Int { get }
  /// What a request takes where neither it nor the model's profile says anything.
  var defaults: FamilyDefaults { get }
  /// The shift of sampling's noise levels where the model's profile has none that grows with the size.
  var flowShift: Double { get }
  /// The networks, in the order in which they are told.
  var parts: [ModelPart] { get }
  /// Which known frames it can take.
  var conditioning: FrameConditioning { get }
  /// What its weights take.
  func weightMemory(_ precision: Precision) -> WeightMemory
  /// What sampling and decoding take.
  var cost: any ModelCost { get }

  /// Returns the model with an adapter added, and what became of the adapter's keys.
  ///
  /// - Throws: `ModelError` if it has no key that fits.
  func merging(_ adapter: LoRA, strength: Double) throws -> (any ModelFamily, LoRA.Report)

  /// Reads the weights.
  ///
  /// - Throws: `WeightsError` if they are damaged or not the model's.
  func load(_ precision: Precision, on device: Device) throws -> any ModelPipeline
}

extension ModelFamily {
  package static func parts(
    at url: URL, _ files: ModelFiles, searching places: [URL]
  ) throws -> ModelParts? { nil }

  package var conditioning: FrameConditioning { .tokens }

  /// All weights, for as long as the model is loaded.
  package func weightMemory(_ precision: Precision) -> WeightMemory {
    WeightMemory(sampling: parts.reduce(0) { $0 + $1.byteCount(precision) })
  }
}

/// Which known frames a model can take.
package enum FrameConditioning: Sendable, Hashable {
  /// Any tokens of a canvas, each at its own noise level.
  case tokens
  /// The first frame and perhaps the last, as pictures; all latents are made anew.
  case pictures(last: LastPicture)

  /// Whether the last frame may be known, beside the first.
  package enum LastPicture: Sendable { case refused, allowed, required }

  /// What a model makes, in words.
  var use: String {
    switch self {
    case .tokens: "text to video, and every verb of Kino"
    case .pictures(.refused): "image to video: animate, extend"
    case .pictures(.allowed): "image to video: animate, extend, loop, connect"
    case .pictures(.required): "from a picture to another: loop, connect"
    }
  }
}

/// Bytes of a model's weights in memory.
package struct WeightMemory: Sendable, Hashable {
  /// While clips are sampled and decoded.
  package var sampling: Int
  /// While texts and pictures are read, before that.
  package var reading = 0
  /// Whether what has been loaded stays for the next piece of work.
  package var stays = true

  /// The most at any time.
  var most: Int { max(sampling, reading) }
}

/// A model's networks, ready to compute. Used from one thread.
package protocol ModelPipeline {
  /// Reads texts that denoisers will be asked for, all of a piece of work together, so that what reads them
  /// can be let go before sampling.
  ///
  /// - Throws: An error of the tokenizer, `WeightsError` if weights are damaged.
  func read(_ texts: [String]) throws

  /// Whether a text is longer than the model reads.
  ///
  /// - Throws: An error of the tokenizer.
  func cuts(_ text: String) throws -> Bool

  /// Makes the network with some texts, for canvases whose prompt stretches point into them.
  ///
  /// - Throws: An error of the tokenizer, `WeightsError` if weights are damaged.
  func denoiser(_ request: DenoiserRequest) throws -> any CanvasDenoiser

  /// Starts encoding a clip in pieces of pixels `[1, 3, F, H, W]` in -1...1: the first has `temporalScale * n + 1`
  /// frames, each later one a multiple of `temporalScale`.
  ///
  /// - Parameter tiles: Parts of the picture along each side that are encoded one after the other, in less memory;
  ///   more than 1 only for families whose cost knows tiles.
  /// - Returns: Gives a piece's latents `[C, f, H, W]`.
  func encoding(tiles: Int) -> (_ pixels: Tensor) -> Tensor

  /// Starts decoding a clip in pieces of any lengths: latents `[C, f, H, W]` to pixels `[1, 3, F, H, W]` in
  /// -1...1.
  func decoding() -> (_ latents: Tensor) -> Tensor

  /// Decodes a whole clip in tiles of the picture, one after the other over all frames: the same pixels as
  /// ``decoding()`` gives, in less memory; see ``ModelCost/decodingBytes(_:framesAtOnce:tiles:_:)``.
  ///
  /// - Parameters:
  ///   - latents: `[C, f, H, W]`.
  ///   - framesAtOnce: Latent frames that are decoded together.
  ///   - tiles: Parts along each side.
  /// - Returns: The frames; the rate means nothing.
  /// - Throws: `CancellationError`.
  func decoded(_ latents: Tensor, framesAtOnce: Int, tiles: Int) throws -> Clip
}

extension ModelPipeline {
  package func read(_ texts: [String]) throws {}

  package func decoded(_ latents: Tensor, framesAtOnce: Int, tiles: Int) throws -> Clip {
    preconditionFailure("ModelPipeline: a plan with tiles for a family that has none")
  }
}

/// What a denoiser is made for.
package struct DenoiserRequest {
  /// What canvases show; at least one.
  package var prompts: [String]
  /// What guidance leads away from; `nil` where none is needed.
  package var negative: String?
  /// How strongly.
  package var guidance: ClassifierFreeGuidance
  /// How strongly at low noise, for models with an expert for it.
  package var lowNoiseGuidance: ClassifierFreeGuidance
  /// How strongly what is known exactly counts, for models that are told of it by tokens without noise.
  package var history = HistoryGuidance.off
  /// Steps that change less than this share may be left out; 0 for none.
  package var cacheThreshold = 0.0
  /// Known frames, for models that take them as pictures.
  package var known: KnownFrames?

  package init(
    _ prompts: [String], negative: String? = nil, guidance: ClassifierFreeGuidance,
    lowNoiseGuidance: ClassifierFreeGuidance? = nil
  ) {
    self.prompts = prompts
    self.negative = negative
    self.guidance = guidance
    self.lowNoiseGuidance = lowNoiseGuidance ?? guidance
  }
}

/// Frames of a canvas that are known as pixels.
package struct KnownFrames: Sendable {
  /// `[1, 3, F, H, W]` in -1...1; 0, the middle grey, where nothing is known.
  package var pixels: Tensor
  /// Whether each frame is known.
  package var isKnown: [Bool]
  /// Parts of the picture along each side that are encoded one after the other.
  package var tiles = 1

  package init(pixels: Tensor, isKnown: [Bool]) {
    precondition(
      pixels.size(2) == isKnown.count, "KnownFrames: \(pixels.shape) with \(isKnown.count) flags")
    self.pixels = pixels
    self.isKnown = isKnown
  }
}

/// A network that knows its texts.
package protocol CanvasDenoiser {
  /// Makes the guided velocity of a canvas that starts from some noise `[C, F, H, W]`; between evaluations a
  /// cancelled task ends.
  func denoise(_ canvas: Canvas, noise: Tensor) -> Denoise
}

/// What a model's work takes, for plans.
package protocol ModelCost {
  /// Floating-point operations of one velocity under one text.
  func velocityOperations(tokens: Int) -> Double
  /// Bytes that velocities under some texts, one after the other or together, hold at their widest.
  func velocityBytes(tokens: Int, texts: Int, _ precision: Precision) -> Int
  /// Floating-point operations of decoding.
  func decodingOperations(_ latents: LatentShape) -> Double
  /// Bytes that decoding so many latent frames at a time holds at its widest.
  func decodingBytes(_ latents: LatentShape, framesAtOnce: Int, _ precision: Precision) -> Int
  /// Bytes that decoding in tiles, `tiles` along each side, holds at its widest, with all frames of the
  /// clip; `nil` for families that can't.
  func decodingBytes(
    _ latents: LatentShape, framesAtOnce: Int, tiles: Int, _ precision: Precision
  ) -> Int?
}

extension ModelCost {
  package func decodingBytes(
    _ latents: LatentShape, framesAtOnce: Int, tiles: Int, _ precision: Precision
  ) -> Int? { nil }
}

/// What a family's models make where nothing is said.
package struct FamilyDefaults: Sendable, Hashable {
  package var size: FrameSize
  package var frames: Int
  package var framesPerSecond: Double
  package var steps: Int
  package var guidance: Double
  /// The guidance at low noise, where an expert for it wants another.
  package var lowNoiseGuidance: Double?

  package init(
    size: FrameSize, frames: Int, framesPerSecond: Double, steps: Int = 50, guidance: Double = 5,
    lowNoiseGuidance: Double? = nil
  ) {
    self.size = size
    self.frames = frames
    self.framesPerSecond = framesPerSecond
    self.steps = steps
    self.guidance = guidance
    self.lowNoiseGuidance = lowNoiseGuidance
  }
}

/// One network of a model.
package struct ModelPart: Sendable {
  /// The name in facts, such as `text_encoder`.
  package let name: String
  /// The component, in diffusers' words.
  package let component: String
  package let weights: WeightSet
  /// Whether int8 makes its weights smaller.
  package let isQuantized: Bool

  package init(
    _ name: String, in component: String, _ weights: WeightSet, isQuantized: Bool = false
  ) {
    self.name = name
    self.component = component
    self.weights = weights
    self.isQuantized = isQuantized
  }

  /// Bytes of the weights on the CPU when products are computed in a precision: packed matrices stay as they are.
  func byteCount(_ precision: Precision) -> Int {
    let isRounded = precision == .int8 && isQuantized
    let width = isRounded ? 1 : precision.computeType.byteCount
    return weights.tensors.reduce(0) { sum, tensor in
      let stays = !isRounded && tensor.type.isPacked && tensor.shape.count == 2
      return sum + (stays ? tensor.byteCount : tensor.elementCount * width)
    }
  }
}

/// A network that a family finds in weights of any form.
package struct RecognisedNetwork: Sendable {
  /// The kind in one word, as facts and options name it.
  package var name: String
  /// Whose names the file has, in words.
  package var names: String
  /// The sizes that tell networks of a kind apart, in words.
  package var sizes: String
  /// What Kino can do with it, in words.
  package var use: String
  /// The published networks that have such shapes.
  package var models: [String] = []
  /// What part of the noise it is for, where there are several.
  package var expert: String?
  /// The weights under the family's names.
  package var weights: WeightSet
  /// The name of the architecture in a GGUF file's header.
  package var architecture: String
  /// The weights under the names that GGUF files have.
  package var ggufWeights: @Sendable () throws -> WeightSet
}

extension Model {
  /// The families that Kino knows.
  package static let families: [any ModelFamily.Type] = [WanFamily.self]

  /// The networks in weights of any form, by the first family that knows them.
  ///
  /// - Throws: `ModelError` of the first family if none does.
  static func networks(in weights: WeightSet) throws -> [RecognisedNetwork] {
    var failure: (any Error)?
    for family in families {
      do { return try family.networks(in: weights) } catch { failure = failure ?? error }
    }
    throw failure
      ?? StudioError(.unsupported, "\(weights.url.path): this build knows no family of models.")
  }
}
