import Foundation
import Kino
import KinoTestSupport

/// A tiny model in a folder that goes away with this object.
final class TinyFolder: Sendable {
  let model: URL
  private let folder: TemporaryFolder

  init(profile: String? = TinyModel.profile) throws {
    folder = try TemporaryFolder()
    model = folder["model"]
    _ = try TinyModel(at: model, profile: profile)
  }

  var url: URL { folder.url }

  func path(_ name: String) -> String { folder[name].path }

  func studio(threads: Int? = nil) async throws -> Studio {
    try await Studio(model: .folder(model), threadCount: threads)
  }
}

extension Studio {
  /// The frames of a request, all events passed over.
  func clip(_ request: GenerationRequest, as verb: Verb = .generate) async throws -> Clip? {
    var clip: Clip?
    for try await event in events(of: request, as: verb) {
      if case .finished(let result) = event { clip = result.clip }
    }
    return clip
  }
}

/// A small request with everything fixed.
func request(_ prompt: String = "a red ball", seed: UInt64 = 7) -> GenerationRequest {
  var request = GenerationRequest(prompt)
  request.seed = seed
  request.precision = .f32
  request.stepCount = 2
  return request
}
