import Foundation
import KinoTestSupport

@testable import Kino

/// A tiny model in a folder that goes away with this object.
final class TinyFolder: Sendable {
  let model: URL
  private let folder: TemporaryFolder

  init(form: TinyModel.Form = .text, profile: String? = TinyModel.profile) throws {
    folder = try TemporaryFolder()
    model = folder["model"]
    _ = try TinyModel(at: model, form: form, profile: profile)
  }

  var url: URL { folder.url }

  func path(_ name: String) -> String { folder[name].path }

  func studio(threads: Int? = nil) async throws -> Studio {
    try await Studio(model: .folder(model), threadCount: threads)
  }
}

/// A request for a clip from words, as tests change it.
struct ClipRequest {
  var composition: Composition
  var settings = SamplingSettings()

  init(_ prompt: String) { composition = .generate(prompt) }

  var prompt: String {
    get { composition.prompt }
    set { composition.updateShots { $0.prompts = [TimedPrompt(newValue)] } }
  }
  var negativePrompt: String {
    get { composition.negativePrompt }
    set { composition.negativePrompt = newValue }
  }
  var size: FrameSize? {
    get { composition.size }
    set { composition.size = newValue }
  }
  var framesPerSecond: Double? {
    get { composition.framesPerSecond }
    set { composition.framesPerSecond = newValue }
  }
  var frameCount: Int? {
    get { composition.shots.first?.frames }
    set { composition.updateShots { $0.frames = newValue } }
  }
  var durationSeconds: Double? {
    get { composition.shots.first?.seconds }
    set { composition.updateShots { $0.seconds = newValue } }
  }

  func composition(as verb: Verb) -> Composition {
    var composition = composition
    composition.verb = verb
    if verb == .image { composition.updateShots { ($0.frames, $0.seconds) = (1, nil) } }
    return composition
  }

  func validated(for model: Model, as verb: Verb = .generate) throws -> ResolvedComposition {
    try composition(as: verb).resolved(for: model, settings)
  }
}

extension Studio {
  func events(
    of request: ClipRequest, as verb: Verb = .generate, writingTo path: String? = nil
  ) -> GenerationEvents {
    events(of: request.composition(as: verb), request.settings, writingTo: path)
  }

  func plan(_ request: ClipRequest) async throws -> Plan {
    try await plan(request.composition, request.settings)
  }

  /// The frames of a request, all events passed over.
  func clip(_ request: ClipRequest, as verb: Verb = .generate) async throws -> Clip? {
    try await clip(request.composition(as: verb), request.settings)
  }

  /// The frames of a composition, all events passed over.
  func clip(
    _ composition: Composition, _ settings: SamplingSettings = SamplingSettings()
  ) async throws -> Clip? {
    var clip: Clip?
    for try await event in events(of: composition, settings) {
      if case .finished(let result) = event { clip = result.clip }
    }
    return clip
  }
}

/// A small request with everything fixed.
func request(_ prompt: String = "a red ball", seed: UInt64 = 7) -> ClipRequest {
  var request = ClipRequest(prompt)
  request.settings.seed = seed
  request.settings.precision = .f32
  request.settings.stepCount = 2
  return request
}
