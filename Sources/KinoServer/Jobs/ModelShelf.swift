import HTTPTypes
import Kino

/// The models of a server: all can plan, one is in memory to render.
actor ModelShelf {
  private let configuration: ServerConfiguration
  private var planners: [String: Studio] = [:]
  private var loaded: (name: String, studio: Studio)?

  init(_ configuration: ServerConfiguration) { self.configuration = configuration }

  /// The name of the model that a request means. OpenAI's own names stand for the first.
  ///
  /// - Throws: ``APIError`` if there is none.
  nonisolated func name(_ requested: String?) throws -> String {
    let names = configuration.models.map(\.name)
    guard let first = names.first else {
      throw ServerError(.invalidConfiguration, "The server has no model.")
    }
    guard let requested, !requested.isEmpty else { return first }
    if names.contains(requested) { return requested }
    if requested == "sora" || requested.hasPrefix("sora-") { return first }
    throw APIError(
      .badRequest, "model_not_found",
      "There is no model '\(requested.prefix(100))' here; there are \(names.joined(separator: ", ")).",
      parameter: "model")
  }

  /// A model to plan with; its weights are not read.
  func planner(_ name: String) async throws -> Studio {
    if let planner = planners[name] { return planner }
    let studio = try await studio(name)
    planners[name] = studio
    return studio
  }

  /// A model to render with; the one before goes, since both may not fit.
  func renderer(_ name: String) async throws -> Studio {
    if let loaded, loaded.name == name { return loaded.studio }
    loaded = nil
    let studio = try await studio(name)
    loaded = (name, studio)
    return studio
  }

  private func studio(_ name: String) async throws -> Studio {
    guard let model = configuration.models.first(where: { $0.name == name }) else {
      throw StudioError(.modelNotFound, "The server no longer has the model \(name).")
    }
    return try await Studio(
      model: model.source, device: configuration.device, threadCount: configuration.threadCount)
  }
}
