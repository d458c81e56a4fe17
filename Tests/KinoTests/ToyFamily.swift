import Foundation
import KinoDiffusion
import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights

@testable import Kino

/// A family of models without weights: clips are plain colours that the prompt names, latents the means of
/// blocks of 2 frames of 8x8 pixels.
struct ToyFamily: ModelFamily {
  static let name = "Toy"

  static func claims(_ index: ModelIndex) -> Bool { index.className == "ToyPipeline" }

  static func networks(in weights: WeightSet) throws -> [RecognisedNetwork] {
    throw ModelError(.unsupported, "\(weights.url.path): a toy has no weights.")
  }

  init(_ parts: ModelParts) throws {}

  let geometry = LatentGeometry(
    channels: 3, temporalScale: 2, spatialScale: 8,
    patch: LatentShape.Patch(frames: 1, height: 1, width: 1))
  let textLength = 4
  let defaults = FamilyDefaults(
    size: FrameSize(32, 24), frames: 7, framesPerSecond: 10, steps: 2, guidance: 1)
  let flowShift = 1.0
  let parts: [ModelPart] = []
  var cost: any ModelCost { ToyCost() }

  func merging(
    _ adapter: LoRA, strength: Double
  ) throws -> (any ModelFamily, LoRA.Report) {
    throw ModelError(.unsupported, "A toy takes no adapters.")
  }

  func load(_ precision: Precision, on device: Device) throws -> any ModelPipeline { ToyPipeline() }

  /// Writes a model folder.
  static func write(to folder: URL, profile: String? = nil) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(#"{"_class_name": "ToyPipeline"}"#.utf8)
      .write(to: folder.appendingPathComponent("model_index.json"))
    if let profile {
      try Data(profile.utf8).write(to: folder.appendingPathComponent("kino.json"))
    }
  }
}

private struct ToyCost: ModelCost {
  func velocityOperations(tokens: Int) -> Double { Double(tokens) * 12 }
  func velocityBytes(tokens: Int, texts: Int, _ precision: Precision) -> Int { tokens * texts * 24 }
  func decodingOperations(_ latents: LatentShape) -> Double { Double(latents.tokenCount) * 3 * 128 }
  func decodingBytes(_ latents: LatentShape, framesAtOnce: Int, _ precision: Precision) -> Int {
    framesAtOnce * latents.height * latents.width * 3 * 128 * 4
  }
}

private struct ToyPipeline: ModelPipeline {
  func cuts(_ text: String) throws -> Bool { text.split(separator: " ").count > 4 }

  func denoiser(_ request: DenoiserRequest) throws -> any CanvasDenoiser {
    ToyDenoiser(
      prompts: request.prompts, negative: request.negative ?? "", guidance: request.guidance)
  }

  func encoding(tiles: Int) -> (_ pixels: Tensor) -> Tensor {
    var isFirst = true
    return { pixels in
      let (_, _, frames, height, width) = pixels.shape5
      let means = pixels.reshaped(to: [3, frames, height / 8, 8, width / 8, 8]).mean(along: 3, 5)
      var groups: [Tensor] = isFirst ? [means.slice(1, 0..<1)] : []
      for start in stride(from: isFirst ? 1 : 0, to: frames, by: 2) {
        groups.append(means.slice(1, start..<start + 2).mean(along: 1, keepingDimensions: true))
      }
      isFirst = false
      return concatenate(groups, along: 1)
    }
  }

  func decoding() -> (_ latents: Tensor) -> Tensor {
    var isFirst = true
    return { latents in
      let large = latents.repeated(8, along: 2).repeated(8, along: 3)
      let frames = large.repeated(2, along: 1)
      defer { isFirst = false }
      return (isFirst ? frames.slice(1, from: 1) : frames).clamped(to: -1...1)
        .expandingDimension(at: 0)
    }
  }
}

/// Points straight at the colour.
private struct ToyDenoiser: CanvasDenoiser {
  let prompts: [String]
  let negative: String
  let guidance: ClassifierFreeGuidance

  func denoise(_ canvas: Canvas, noise: Tensor) -> Denoise {
    let positive = concatenate(
      canvas.prompts.map { Self.color(prompts[$0.prompt], frames: $0.frames.count, canvas.shape) },
      along: 1)
    let other = Self.color(negative, frames: canvas.shape.frames, canvas.shape)
    return guidance.denoise { latents, moment, branches in
      let sigmas = canvas.sigmas(at: moment.sigma).maximum(Tensor(1e-4))
      return branches.map { (latents - ($0 == .positive ? positive : other)) / sigmas }
    }
  }

  private static func color(_ text: String, frames: Int, _ shape: LatentShape) -> Tensor {
    let values: [Float] = ["red", "green", "blue"].map { text.contains($0) ? 0.8 : -0.8 }
    return Tensor(values, shape: [3, 1, 1, 1]).expanded(to: [3, frames, shape.height, shape.width])
  }
}
