import Foundation
import KinoDiffusion
import KinoTensor
import Testing

@Suite struct LatentPreviewTests {
  @Test func `pixels are a linear map of latents, clipped to bytes`() throws {
    let preview = try LatentPreview(weights: [[1, 0, 0], [0, 0.5, -9]], bias: [0, 0, 1])
    let latents = Tensor([-1, 0, 1, 9, 0, 1, 1, 1] as [Float], shape: [2, 1, 2, 2])
    let pictures = try preview.pictures(of: latents)
    #expect(pictures.shape == [1, 2, 2, 3] && pictures.dtype == .uint8)
    let pixels: [UInt8] = pictures.scalars(UInt8.self)
    #expect(pixels == [0, 128, 255, 128, 191, 0, 255, 191, 0, 255, 191, 0])
  }

  @Test func `misfitting numbers are refused, also in a file`() throws {
    for (weights, bias) in [
      ([], [0, 0, 0]), ([[1, 2]], [0, 0, 0]), ([[1, 2, 3]], [0]), ([[1, .nan, 3]], [0, 0, 0]),
    ]
      as [([[Float]], [Float])]
    {
      #expect(throws: DiffusionError.self) { try LatentPreview(weights: weights, bias: bias) }
    }
    #expect(throws: DiffusionError.self) {
      try JSONDecoder().decode(LatentPreview.self, from: Data(#"{"weights":[[1]],"bias":[]}"#.utf8))
    }
    let preview = try LatentPreview(weights: [[1, 2, 3]], bias: [0, 0, 0])
    #expect(throws: DiffusionError.self) { try preview.pictures(of: .zeros([2, 1, 2, 2])) }
    let copy = try JSONDecoder().decode(LatentPreview.self, from: JSONEncoder().encode(preview))
    #expect(copy == preview)
  }

  @Test func `A fit finds the numbers that made the pictures`() throws {
    var source = RandomSource(seed: 1)
    let (weights, bias) = (source.normal([4, 3]) * 0.2, Tensor([Float(0.1), -0.2, 0.3]))
    let pairs = [(1, 1), (3, 9)].map { frames, pixelFrames in
      let latents = source.normal([4, frames, 2, 3])
      let small = (latents.permuted(1, 2, 3, 0).matmul(weights) + bias).permuted(3, 0, 1, 2)
      // Every latent frame after the first stands for four, and every latent for 16 x 16 pixels.
      let rest = small.slice(1, from: 1).repeated(4, along: 1)
      let all = concatenate([small.slice(1, 0..<1), rest], along: 1)
      #expect(all.size(1) == pixelFrames)
      return (latents: latents, pixels: all.repeated(16, along: 2).repeated(16, along: 3))
    }
    let preview = try LatentPreview(fitting: pairs)
    let found = preview.weights.flatMap { $0 } + preview.bias
    for (found, expected) in zip(found, weights.floats() + bias.floats()) {
      #expect(abs(found - expected) < 1e-4)
    }
    #expect(throws: DiffusionError.self) { try LatentPreview(fitting: []) }
  }
}
