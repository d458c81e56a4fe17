import Foundation
internal import KinoTensor
internal import KinoWeights

/// Latents on disk beside the output while they are decoded, so that a failure there does not lose
/// the sampling.
struct KeptLatents {
  let latents: Tensor
  private let url: URL?

  /// Writes the latents, `[1, C, F, H, W]`, not normalised, if the output is a file.
  init(_ latents: Tensor, target: RenderTarget, recipe: Recipe) throws {
    self.latents = latents
    guard case .file(let path, _) = target else {
      url = nil
      return
    }
    let output = URL(fileURLWithPath: path)
    let file = output.deletingLastPathComponent().appendingPathComponent(
      ".\(output.lastPathComponent).\(UUID().uuidString.prefix(8)).latents.safetensors")
    try SafetensorsFile.write(
      [(key: "latents", value: latents)], to: file, metadata: ["recipe": recipe.json])
    url = file
  }

  func remove() {
    if let url { try? FileManager.default.removeItem(at: url) }
  }

  /// Adds to an error where the latents are and how to decode them.
  func explaining(_ error: any Error, model: Model) -> any Error {
    guard let url else { return error }
    return StudioError(
      .decodingFailed,
      """
      \(error) The sampled latents are kept in \(url.path); decode them with: kino probe decode \
      --model \(model.folder.url.path) --input \(url.path) --output pixels.safetensors
      """)
  }
}
