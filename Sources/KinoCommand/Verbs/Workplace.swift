import ArgumentParser
import Foundation
import Kino
import KinoServer

/// Where compositions are made: here, or on a server.
enum Workplace {
  case here(Studio)
  case server(RemoteStudio, model: String?)

  /// Something that was made.
  struct Made {
    let highlights: Clip
    let recipe: Recipe
  }

  func plan(_ composition: Composition, _ settings: SamplingSettings) async throws -> Plan {
    switch self {
    case .here(let studio): try await studio.plan(composition, settings)
    case .server(let studio, let model):
      try await studio.plan(composition, settings, model: model)
    }
  }

  /// Makes a composition into a file, and shows how it goes.
  func make(
    _ composition: Composition, _ settings: SamplingSettings, writingTo path: String,
    _ options: WriteOptions, resumes: Bool, on display: ProgressDisplay, isShown: Bool
  ) async throws -> Made? {
    switch self {
    case .here(let studio):
      let events = studio.events(
        of: composition, settings, writingTo: path, options, resumes: resumes)
      return try await display.follow(events, isShown: isShown)
        .map { Made(highlights: $0.highlights, recipe: $0.recipe) }
    case .server(let studio, let model):
      let events = studio.events(
        of: composition, settings, model: model, writingTo: path, overwrite: options.overwrite)
      guard let recipe = try await display.follow(events, isShown: isShown) else { return nil }
      let highlights = try Clip.highlights(of: path, count: 6, frameCount: recipe.frames)
      return Made(highlights: highlights, recipe: recipe)
    }
  }
}

/// A server in place of this machine.
struct ServerOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Make it on this server (kino serve); KINO_SERVER names one too, KINO_API_KEY its key.",
      valueName: "url"))
  var server: String?

  /// The server that is meant, if one is.
  func studio(_ model: ModelOptions) throws -> RemoteStudio? {
    let environment = ProcessInfo.processInfo.environment
    let address = server ?? environment["KINO_SERVER"].flatMap { $0.isEmpty ? nil : $0 }
    guard let address else { return nil }
    if !model.loras.isEmpty || model.threads != nil || model.device != .cpu
      || model.parts.files != ModelFiles()
    {
      throw ValidationError(
        "--lora, --device, --threads and the files of a model's parts are of this machine; on a server its own settings hold."
      )
    }
    return try RemoteStudio(address, key: environment["KINO_API_KEY"])
  }
}

extension SharedOptions {
  /// Where to work.
  func workplace() async throws -> Workplace {
    if let remote = try place.studio(model) { return .server(remote, model: model.model) }
    return .here(try await model.studio())
  }
}
