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
}
