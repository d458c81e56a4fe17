import Foundation

/// How a clip was made: enough to make it again with the same model.
public struct Recipe: Codable, Hashable, Sendable {
  /// The version of Kino.
  public var kino: String
  /// What was made.
  public var verb: Verb
  /// The prompt, cleaned.
  public var prompt: String
  /// The negative prompt, cleaned.
  public var negativePrompt: String
  /// The name of the model.
  public var model: String
  /// The hash of the model's folder.
  public var modelHash: String
  /// `WIDTHxHEIGHT` of the result.
  public var size: String
  /// Frames of the result.
  public var frames: Int
  /// Frames per second.
  public var framesPerSecond: Double
  /// The seed of the noise.
  public var seed: UInt64
  /// Sampling steps.
  public var steps: Int
  /// Strength of the prompt.
  public var guidance: Double
  /// The noise at which the guidance was on, where not at all of it.
  public var guidanceRange: [Double]?
  /// The threshold of the step cache, where it was on.
  public var cache: Double?
  /// The method of following velocities.
  public var sampler: SamplerKind
  /// The type the networks computed in.
  public var precision: Precision

  enum CodingKeys: String, CodingKey {
    case kino, verb, prompt, model, size, frames, seed, steps, guidance, cache, sampler, precision
    case guidanceRange = "guidance_range"
    case negativePrompt = "negative_prompt"
    case modelHash = "model_hash"
    case framesPerSecond = "frames_per_second"
  }

  init(_ request: ResolvedRequest, model: Model, hash: String) {
    kino = kinoVersion
    verb = request.verb
    prompt = request.prompt
    negativePrompt = request.negativePrompt
    self.model = model.name
    modelHash = hash
    size = request.size.description
    frames = request.frameCount
    framesPerSecond = request.framesPerSecond
    seed = request.seed
    steps = request.stepCount
    guidance = request.guidanceScale
    let range = request.guidanceRange
    guidanceRange = range == 0...1 ? nil : [range.lowerBound, range.upperBound]
    cache = request.cacheThreshold > 0 ? request.cacheThreshold : nil
    sampler = request.sampler
    precision = request.precision
  }

  /// Reads the recipe of a file that Kino made; `nil` if the text is none.
  public init?(json: String) {
    guard let recipe = try? JSONDecoder().decode(Recipe.self, from: Data(json.utf8)) else {
      return nil
    }
    self = recipe
  }

  /// One line, keys in order, so that the same recipe is the same text.
  public var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Texts and finite numbers always encode.
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// The prompt, short enough for a title.
  public var title: String { String(prompt.prefix(120)) }

  /// The command that makes the file again, for a POSIX shell.
  public var command: String {
    // A prompt that looks like an option would be read as one.
    let isPlain = !prompt.hasPrefix("-")
    var words = ["kino", verb.rawValue] + (isPlain ? [Self.quoted(prompt)] : [])
    func add(_ option: String, _ value: String) { words += ["--" + option, value] }
    if !negativePrompt.isEmpty { add("negative", Self.quoted(negativePrompt)) }
    add("model", Self.quoted(model))
    add("size", size)
    if verb != .image {
      add("frames", "\(frames)")
      add("fps", Self.plain(framesPerSecond))
    }
    add("seed", "\(seed)")
    add("steps", "\(steps)")
    add("guidance", Self.plain(guidance))
    if let range = guidanceRange, range.count == 2 {
      add("guidance-range", range.map(Self.plain).joined(separator: ":"))
    }
    if let cache { add("cache", Self.plain(cache)) }
    add("precision", precision.rawValue)
    if sampler != .uniPC { add("sampler", sampler.rawValue) }
    if !isPlain { words += ["--", Self.quoted(prompt)] }
    return words.joined(separator: " ")
  }

  /// A number without needless digits.
  package static func plain(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e9 ? "\(Int(number))" : "\(number)"
  }

  /// A word of a POSIX shell.
  package static func quoted(_ text: String) -> String {
    let isPlain =
      !text.isEmpty
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }
}
