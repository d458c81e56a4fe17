import Foundation
internal import KinoSystem

/// How a clip was made: enough to make it again with the same model and sources.
public struct Recipe: Hashable, Sendable {
  /// The version of Kino.
  public var kino: String
  /// What was made, with every choice made.
  public var composition: Composition
  /// How it was sampled, with every choice made.
  public var settings: SamplingSettings
  /// The name of the model, or the path of its transformer.
  public var model: String
  /// The files of its other parts, where they are not in one folder.
  public var files = ModelFiles()
  /// The hash of the model's folder or files.
  public var modelHash: String
  /// The adapters that were added to the model.
  public var loras: [MergedLoRA] = []
  /// Frames of the result.
  public var frames: Int
  /// The hash of each source's content, by its path.
  public var sources: [String: String]

  /// What was made.
  public var verb: Verb { composition.verb }
  /// The first prompt.
  public var prompt: String { composition.prompt }

  init(_ work: ResolvedComposition, model: Model, hash: String, sources: [String: String] = [:]) {
    kino = kinoVersion
    composition = work.composition
    composition.size = work.size
    composition.framesPerSecond = work.framesPerSecond
    if composition.isFree {
      composition.timeline = [.shot(Shot(composition.prompt, frames: work.frameCount))]
    }
    settings = work.sampling.settings
    // Where nothing is known it changes nothing, and where the model has none, none goes without saying.
    let isOff = settings.historyGuidanceScale == 1 && model.defaults.historyGuidance == 1
    if composition.isFree || isOff { settings.historyGuidanceScale = nil }
    self.model = model.parts.index == nil ? model.url.relativePath : model.name
    files = model.parts.files
    modelHash = hash
    frames = work.frameCount
    self.sources = sources
  }

  /// Calls sources by other names.
  mutating func rename(_ names: [String: String]) {
    guard !names.isEmpty else { return }
    composition = composition.replacingPaths { names[$0] ?? $0 }
    let pairs = sources.map { (names[$0.key] ?? $0.key, $0.value) }
    sources = Dictionary(pairs) { first, _ in first }
  }

  /// Reads the recipe of a file that Kino made; `nil` if the text is none.
  public init?(json: String) {
    guard let recipe = try? JSONDecoder().decode(Recipe.self, from: Data(json.utf8)) else {
      return nil
    }
    self = recipe
  }

  /// One line, keys in order, so that the same recipe is the same text.
  public var json: String { jsonLine }

  /// The prompt, short enough for a title.
  public var title: String { String((prompt.isEmpty ? verb.rawValue : prompt).prefix(120)) }

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

// MARK: - Coding

extension Composition {
  /// Whether it is one shot of one prompt, of which nothing is known: a clip or picture from words.
  var isFree: Bool {
    guard timeline.count == 1, let shot = shots.first else { return false }
    return shot.guides.isEmpty && shot.joins.isEmpty && shot.prompts.count == 1
  }
}

/// What the recipe of a clip from words says, in the words of its command; other verbs add their timeline.
extension Recipe: Codable {
  enum CodingKeys: String, CodingKey {
    case kino, verb, prompt, model, size, frames, fit, sound, timeline, sources, loras
    case files = "model_files"
    case negativePrompt = "negative_prompt"
    case modelHash = "model_hash"
    case framesPerSecond = "frames_per_second"
  }

  /// Reads a recipe of this or an earlier version.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    kino = try values.decode(String.self, forKey: .kino)
    let verb = try values.decode(Verb.self, forKey: .verb)
    frames = try values.decode(Int.self, forKey: .frames)
    let prompt = try values.decode(String.self, forKey: .prompt)
    let timeline = try values.decodeIfPresent([Segment].self, forKey: .timeline)
    composition = Composition(
      verb, timeline: timeline ?? [.shot(Shot(prompt, frames: frames))])
    composition.negativePrompt = try values.decode(String.self, forKey: .negativePrompt)
    composition.size = try values.decode(FrameSize.self, forKey: .size)
    composition.framesPerSecond = try values.decode(Double.self, forKey: .framesPerSecond)
    composition.fit = try values.decodeIfPresent(FitMode.self, forKey: .fit) ?? .crop
    composition.keepsSound = try values.decodeIfPresent(Bool.self, forKey: .sound) ?? true
    settings = try SamplingSettings(from: decoder)
    model = try values.decode(String.self, forKey: .model)
    modelHash = try values.decode(String.self, forKey: .modelHash)
    sources = try values.decodeIfPresent([String: String].self, forKey: .sources) ?? [:]
    files = try values.decodeIfPresent(ModelFiles.self, forKey: .files) ?? ModelFiles()
    loras = try values.decodeIfPresent([MergedLoRA].self, forKey: .loras) ?? []
  }

  /// Writes one object of everything.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(kino, forKey: .kino)
    try values.encode(verb, forKey: .verb)
    try values.encode(prompt, forKey: .prompt)
    try values.encode(composition.negativePrompt, forKey: .negativePrompt)
    try values.encode(model, forKey: .model)
    try values.encode(modelHash, forKey: .modelHash)
    try values.encodeIfPresent(composition.size, forKey: .size)
    try values.encode(frames, forKey: .frames)
    try values.encodeIfPresent(composition.framesPerSecond, forKey: .framesPerSecond)
    try settings.encode(to: encoder)
    if files != ModelFiles() { try values.encode(files, forKey: .files) }
    if !loras.isEmpty { try values.encode(loras, forKey: .loras) }
    if composition.isFree { return }
    try values.encode(composition.timeline, forKey: .timeline)
    if composition.fit != .crop { try values.encode(composition.fit, forKey: .fit) }
    if !composition.keepsSound { try values.encode(false, forKey: .sound) }
    if !sources.isEmpty { try values.encode(sources, forKey: .sources) }
  }
}
