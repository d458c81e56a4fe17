import Foundation
import HTTPTypes
import Kino
import KinoMedia

/// What the routes that make something turn their fields into.
struct VerbFields {
  let fields: Fields
  let sources: SourceFields
  let shelf: ModelShelf

  /// The fields that each verb's route has beside those of all; `nil` for verbs without a route.
  static func names(_ verb: Verb) -> Set<String> {
    switch verb {
    case .generate:
      [
        "prompt", "seconds", "frames", "input_reference", "last_frame", "loop", "characters",
        "composition", "settings", "storyboard",
      ]
    case .image: ["prompt"]
    case .animate: ["prompt", "seconds", "input_reference"]
    case .extend: ["prompt", "seconds", "video", "side"]
    case .loop: ["prompt", "seconds", "video"]
    case .connect: ["prompt", "seconds", "first", "second"]
    case .edit: ["prompt", "video", "strength", "mask", "from", "to"]
    case .storyboard: ["storyboard"]
    case .reverse: ["video"]
    case .upscale: ["prompt", "video", "strength"]
    }
  }

  func composition(_ verb: Verb) async throws -> Composition {
    try fields.requireOnly(Self.names(verb).union(VideoRequest.common))
    switch verb {
    case .generate: return try await created()
    case .image: return .image(try fields.prompt())
    case .animate:
      return .animate(
        try await sources.required("input_reference"), try fields.prompt(isRequired: false),
        seconds: try fields.number("seconds"))
    case .extend:
      let side: Composition.Side =
        try fields.text("side").map { text in
          guard let side = Composition.Side(rawValue: text) else {
            throw APIError.invalid("side", "'side' must be before or after.")
          }
          return side
        } ?? .after
      return .extend(
        try await sources.required("video"),
        by: try fields.required("seconds", "say how long what is new should be"), side,
        try fields.prompt(isRequired: false))
    case .loop:
      return .loop(
        try await sources.required("video"), by: try fields.number("seconds") ?? 1,
        try fields.prompt(isRequired: false))
    case .connect:
      return .connect(
        try await sources.required("first"), try await sources.required("second"),
        by: try fields.number("seconds") ?? 1, try fields.prompt(isRequired: false))
    case .edit:
      return .edit(
        try await sources.required("video"), try fields.prompt(),
        strength: try fields.number("strength") ?? 0.6, mask: try await sources.source("mask"),
        from: try fields.number("from"), to: try fields.number("to"))
    case .storyboard: return try storyboard()
    case .reverse: return .reverse(try await sources.required("video"))
    case .upscale:
      guard let size = try fields.text("size") else {
        throw APIError(
          .badRequest, "missing_parameter",
          "'size' is missing: say how large the result should be.",
          parameter: "size")
      }
      return .upscale(
        try await sources.required("video"), to: try VideoRequest.size(size),
        try fields.prompt(isRequired: false), strength: try fields.number("strength") ?? 0.35)
    }
  }

  /// What `POST /v1/videos` makes: words, words with pictures, or a whole composition.
  private func created() async throws -> Composition {
    if fields.has("characters") {
      throw APIError(
        .badRequest, "unsupported",
        "No model here can show a character of another clip; leave 'characters' out, or begin with a picture of it as 'input_reference'.",
        parameter: "characters")
    }
    if let composition = try fields.value("composition", Composition.self) { return composition }
    if fields.has("storyboard") { return try storyboard() }
    let prompt = try fields.prompt()
    let seconds = try fields.number("seconds")
    if try fields.flag("loop") ?? false {
      return .generateLoop(prompt, seconds: seconds ?? 3)
    }
    var shot = Shot(prompt, frames: try fields.integer("frames"), seconds: seconds)
    guard shot.frames == nil || seconds == nil else {
      throw APIError.invalid("frames", "Give 'seconds' or 'frames', not both.")
    }
    var verb = Verb.generate
    if let first = try await sources.source("input_reference", needsPicture: true) {
      verb = .animate
      shot.guides.append(Guide(MediaPart(first), at: 0))
    }
    if let last = try await sources.source("last_frame", needsPicture: true) {
      shot.guides.append(Guide(MediaPart(last), at: try await lastTime(of: shot)))
    }
    return Composition(verb, timeline: [.shot(shot)])
  }

  /// When the last frame of a shot is shown, which depends on the model's rate.
  private func lastTime(of shot: Shot) async throws -> Double {
    var plain = Composition(.generate, timeline: [.shot(shot)])
    plain.updateShots { $0.guides = [] }
    plain.framesPerSecond = try fields.text("fps").flatMap { FrameRate($0)?.framesPerSecond }
    let planner = try await shelf.planner(try shelf.name(try fields.text("model")))
    let plan = try await planner.plan(plain)
    return Double(plan.frames - 1) / plan.framesPerSecond
  }

  private func storyboard() throws -> Composition {
    guard let yaml = try fields.text("storyboard", limit: 1 << 20) else {
      throw APIError(
        .badRequest, "missing_parameter", "'storyboard' is missing: send its text, in YAML.",
        parameter: "storyboard")
    }
    return try Storyboard.composition(yaml: yaml)
  }
}
