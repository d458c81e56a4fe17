extension Recipe {
  /// The command that makes the file again, for a POSIX shell.
  public var command: String {
    let prompt = composition.prompt
    // A prompt that looks like an option would be read as one.
    let isPlain = !prompt.hasPrefix("-")
    var words = ["kino", verb.rawValue] + sourceFiles.map(Self.quoted)
    if isPlain && (verb.needsPrompt || !prompt.isEmpty) { words.append(Self.quoted(prompt)) }
    func add(_ option: String, _ value: String) { words += ["--" + option, value] }
    for (option, value) in verbOptions {
      if let value { add(option, value) } else { words.append("--" + option) }
    }
    if !composition.negativePrompt.isEmpty {
      add("negative", Self.quoted(composition.negativePrompt))
    }
    add("model", Self.quoted(model))
    for (option, value) in files.options { add(option, Self.quoted(value)) }
    for lora in loras { add("lora", lora.argument) }
    if let size = composition.size { add("size", size.description) }
    if verb != .image {
      if composition.isFree || verb == .animate { add("frames", "\(frames)") }
      if let rate = composition.framesPerSecond { add("fps", Self.plain(rate)) }
    }
    if !composition.keepsSound { words.append("--no-sound") }
    if composition.fit != .crop { add("fit", composition.fit.rawValue) }
    words += settings.words
    if !isPlain { words += ["--", Self.quoted(prompt)] }
    return words.joined(separator: " ")
  }

  /// The files that the command names, in order.
  private var sourceFiles: [String] {
    let media = composition.timeline.compactMap {
      if case .media(let part) = $0 { part.path } else { nil }
    }
    let guides = composition.shots.flatMap(\.guides).map(\.part.path)
    switch verb {
    case .generate, .image: return []
    case .animate, .upscale, .edit: return Array(guides.prefix(1))
    case .extend, .loop, .reverse: return Array(media.prefix(1))
    case .connect: return media
    case .storyboard: return ["STORYBOARD.yaml"]
    }
  }

  /// What only some verbs have; `nil` for a flag.
  private var verbOptions: [(String, String?)] {
    guard let shot = composition.shots.last else { return [] }
    let seconds = shot.seconds.map { ("seconds", Optional(Self.plain($0))) }
    switch verb {
    case .extend:
      let isBefore = shot.joins == .next
      return [seconds].compactMap(\.self) + (isBefore ? [("before", nil)] : [])
    case .loop, .connect: return [seconds].compactMap(\.self)
    case .generate where shot.joins == [.previous, .next]:
      return [
        ("seconds", Self.plain(Double(frames) / (composition.framesPerSecond ?? 1))), ("loop", nil),
      ]
    case .edit, .upscale:
      guard let guide = shot.guides.first else { return [] }
      var options: [(String, String?)] = [("strength", Self.plain(guide.noiseLevel))]
      if let mask = guide.mask { options.append(("mask", Self.quoted(mask.path))) }
      if verb == .edit && shot.joins.contains(.previous) {
        options.append(("from", Self.plain(guide.part.start)))
      }
      if verb == .edit && shot.joins.contains(.next), let length = guide.part.seconds {
        options.append(("to", Self.plain(guide.part.start + length)))
      }
      return options
    default: return []
    }
  }
}

extension SamplingSettings {
  /// The settings as options of a command.
  fileprivate var words: [String] {
    var words: [String] = []
    func add(_ option: String, _ value: String) { words += ["--" + option, value] }
    if let seed { add("seed", "\(seed)") }
    if let stepCount { add("steps", "\(stepCount)") }
    if let guidanceScale { add("guidance", Recipe.plain(guidanceScale)) }
    if let scale = lowNoiseGuidanceScale { add("low-noise-guidance", Recipe.plain(scale)) }
    if let range = guidanceRange {
      add(
        "guidance-range", "\(Recipe.plain(range.lowerBound)):\(Recipe.plain(range.upperBound))")
    }
    if let scale = historyGuidanceScale { add("history-guidance", Recipe.plain(scale)) }
    if let shift { add("shift", Recipe.plain(shift)) }
    if let cacheThreshold { add("cache", Recipe.plain(cacheThreshold)) }
    if let precision { add("precision", precision.rawValue) }
    if let sampler, sampler != .uniPC { add("sampler", sampler.rawValue) }
    return words
  }
}
