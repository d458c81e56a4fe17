import Foundation
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

  /// Opens a model and checks that its parts fit each other, without reading numbers.
  ///
  /// - Throws: ``StudioError``, `WeightsError` or `ModelError` naming the file at fault.
  init(_ folder: ModelFolder) throws

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

/// A model's networks, ready to compute. Used from one thread.
package protocol ModelPipeline {
  /// Whether a text is longer than the model reads.
  ///
  /// - Throws: An error of the tokenizer.
  func cuts(_ text: String) throws -> Bool

  /// Encodes texts once, for canvases whose prompt stretches point into them.
  ///
  /// - Parameters:
  ///   - prompts: At least one.
  ///   - negative: What guidance leads away from; `nil` where none is needed.
  ///   - guidance: How strongly.
  ///   - cacheThreshold: Steps that change less than this share may be left out; 0 for none.
  /// - Returns: The network with these texts.
  /// - Throws: An error of the tokenizer.
  func denoiser(
    prompts: [String], negative: String?, guidance: ClassifierFreeGuidance, cacheThreshold: Double
  ) throws -> any CanvasDenoiser

  /// Latents `[C, f, H, W]` of pixels `[1, 3, F, H, W]` in -1...1: a whole clip of
  /// `temporalScale * n + 1` frames.
  func latents(of pixels: Tensor) -> Tensor

  /// Starts encoding a clip in pieces: the first has `temporalScale * n + 1` frames, each later one a
  /// multiple of `temporalScale`.
  func encoding() -> (_ pixels: Tensor) -> Tensor

  /// Starts decoding a clip in pieces of any lengths: latents `[C, f, H, W]` to pixels `[1, 3, F, H, W]` in
  /// -1...1.
  func decoding() -> (_ latents: Tensor) -> Tensor
}

/// A network that knows its texts.
package protocol CanvasDenoiser {
  /// Makes the guided velocity of a canvas; between evaluations a cancelled task ends.
  func denoise(_ canvas: Canvas) -> Denoise
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
}

/// What a family's models make where nothing is said.
package struct FamilyDefaults: Sendable, Hashable {
  package var size: FrameSize
  package var frames: Int
  package var framesPerSecond: Double
  package var steps: Int
  package var guidance: Double

  package init(
    size: FrameSize, frames: Int, framesPerSecond: Double, steps: Int = 50, guidance: Double = 5
  ) {
    self.size = size
    self.frames = frames
    self.framesPerSecond = framesPerSecond
    self.steps = steps
    self.guidance = guidance
  }
}

/// One network of a model.
package struct ModelPart: Sendable {
  /// The name in facts, such as `text_encoder`.
  package let name: String
  /// The component's folder.
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

  /// Bytes of the weights when products are computed in a precision.
  func byteCount(_ precision: Precision) -> Int {
    let width = precision == .int8 && isQuantized ? 1 : precision.computeType.byteCount
    return weights.tensors.reduce(0) { $0 + $1.elementCount * width }
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
