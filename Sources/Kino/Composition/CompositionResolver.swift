internal import KinoModels

/// Makes the choices that a composition leaves open, in the order in which they depend on each other.
struct CompositionResolver {
  var composition: Composition
  let model: Model
  private var sources: [String: MediaInfo] = [:]
  private var warnings: [String] = []
  private var rate = 0.0
  /// Seconds of the shots so far: rounded in sum, so that no length is off by a frame for each shot.
  private var clock = 0.0
  /// Frames of the longest shot.
  private var longest = 0
  private var counts: [MediaPart: Int] = [:]

  init(_ composition: Composition, model: Model) {
    self.composition = composition
    self.model = model
  }

  mutating func resolve(_ settings: SamplingSettings) throws -> ResolvedComposition {
    guard !composition.timeline.isEmpty else {
      throw StudioError(.invalidLength, "The timeline is empty; give it a segment.")
    }
    try cleanTexts()
    try readSources()
    let size = try resolvedSize()
    rate = try resolvedRate()
    let options = ReadOptions(framesPerSecond: rate)
    try composition.alignEdit(rate: rate) { try ClipReader.presentedFrameCount($0, options) }
    let sampling = try ResolvedSampling(settings, model: model)
    let canvasSize = canvasSize(for: size)
    let baseSize = baseSize(for: canvasSize)
    try countFrames()
    var segments: [ResolvedSegment] = []
    for (index, segment) in composition.timeline.enumerated() {
      switch segment {
      case .media(let part): segments.append(.media(resolved(part)))
      case .shot(let shot): segments += try resolved(shot, at: index).map { .shot($0) }
      }
    }
    warn(sampling, canvasSize: baseSize ?? canvasSize, size: size)
    return ResolvedComposition(
      composition: composition, sampling: sampling, size: size, canvasSize: canvasSize,
      baseSize: baseSize,
      canvasFit: hasSources ? .stretch : .crop, framesPerSecond: rate, segments: segments,
      warnings: warnings, isPicture: isPicture)
  }

  private var hasSources: Bool { !sources.isEmpty }

  // MARK: Texts

  private mutating func cleanTexts() throws {
    let length = model.textLength
    composition.negativePrompt = try Self.cleaned(
      composition.negativePrompt, "negative prompt", tokens: length, isRequired: false)
    let isRequired = composition.verb.needsPrompt
    try composition.updateShots { shot in
      if shot.prompts.isEmpty { shot.prompts = [TimedPrompt("")] }
      for index in shot.prompts.indices {
        shot.prompts[index].text = try Self.cleaned(
          shot.prompts[index].text, "prompt", tokens: length, isRequired: isRequired)
      }
    }
  }

  private static func cleaned(
    _ text: String, _ name: String, tokens: Int, isRequired: Bool
  ) throws -> String {
    guard text.utf8.count <= Limits.promptLength * 4, text.count <= Limits.promptLength else {
      throw StudioError(
        .invalidPrompt,
        """
        The \(name) has \(text.utf8.count) bytes; the model reads \(tokens) tokens of it. \
        Shorten it to \(Limits.promptLength) characters or fewer.
        """)
    }
    if text.unicodeScalars.contains("\0") {
      throw StudioError(.invalidPrompt, "The \(name) contains a NUL character; remove it.")
    }
    let result = Composition.cleaned(text)
    if isRequired && result.isEmpty {
      throw StudioError(
        .invalidPrompt,
        "The prompt is empty; say what to show, for example \"a red ball bounces on grass\".")
    }
    return result
  }

  // MARK: Sources

  private mutating func readSources() throws {
    try composition.requireTimes()
    for part in composition.parts where sources[part.path] == nil {
      sources[part.path] = try MediaInfo.probe(part.path)
    }
    try composition.requireKinds(sources)
  }

  private var leading: MediaInfo? { composition.leadingPath.flatMap { sources[$0] } }
  private var isPicture: Bool { composition.isPicture(of: leading) }

  private mutating func resolvedSize() throws -> FrameSize {
    let step = model.sizeMultiple
    if let size = composition.size {
      if Limits.allows(size, isPicture: isPicture) { return size }
      let most = isPicture ? "2048x2048 for pictures" : "1920x1080 or 1080x1920 for clips"
      throw StudioError(
        .invalidSize,
        """
        The size \(size) is out of range: sides of \(Limits.shortestSide) or more, up to \(most). \
        The nearest that fits is \(Limits.nearest(to: size, isPicture: isPicture, step: step)).
        """)
    }
    if let leading {
      let own = FrameSize(leading.width, leading.height)
      if Limits.allows(own, isPicture: isPicture) { return own }
      let near = Limits.nearest(to: own, isPicture: isPicture, step: 2)
      warnings.append("The source is \(own), out of range for a clip; the result is \(near).")
      return near
    }
    guard let picture = composition.parts.first.flatMap({ sources[$0.path] }) else {
      return model.defaults.size
    }
    // As many pixels as the model's own clips have, in the picture's shape.
    let standard = model.defaults.size
    let near = scaled(
      FrameSize(picture.width, picture.height), to: standard.width * standard.height)
    return Limits.allows(near, isPicture: isPicture)
      ? near : Limits.nearest(to: near, isPicture: isPicture, step: step)
  }

  private func resolvedRate() throws -> Double {
    let own = leading.flatMap { $0.isStill ? nil : $0.framesPerSecond }
    let standard = own.map { min($0, Limits.framesPerSecond.upperBound) }
    let rate = composition.framesPerSecond ?? standard ?? model.defaults.framesPerSecond
    guard Limits.framesPerSecond.contains(rate) else {
      throw StudioError(
        .invalidLength, "\(rate) frames per second is out of range; use a rate in 1...120.")
    }
    return rate
  }

  /// The multiples that the model works at. A source's frames keep their own size in the result, so the
  /// canvas may be smaller: as large as the model was trained for.
  private func canvasSize(for size: FrameSize) -> FrameSize {
    let step = model.sizeMultiple
    let pixels = size.width * size.height
    guard hasSources, composition.verb != .upscale, let most = model.profile.maximumPixels,
      pixels > most
    else {
      return FrameSize(
        (size.width + step - 1) / step * step, (size.height + step - 1) / step * step)
    }
    return scaled(size, to: most)
  }

  /// Clips from words that are much larger than the model's own are made small first.
  private func baseSize(for canvasSize: FrameSize) -> FrameSize? {
    guard !hasSources, let most = model.profile.maximumPixels,
      canvasSize.width * canvasSize.height > 2 * most
    else { return nil }
    return scaled(canvasSize, to: most)
  }

  /// A size of the same shape with about so many pixels, in the model's multiples.
  private func scaled(_ size: FrameSize, to pixels: Int) -> FrameSize {
    let step = model.sizeMultiple
    let scale = (Double(pixels) / Double(size.width * size.height)).squareRoot()
    func side(_ length: Int) -> Int {
      max(1, Int((Double(length) * scale / Double(step)).rounded())) * step
    }
    return FrameSize(side(size.width), side(size.height))
  }

  // MARK: Lengths

  private func resolved(_ part: MediaPart) -> ResolvedPart {
    ResolvedPart(part: part, frameCount: frameCount(of: part))
  }

  /// Counts the frames of every part at the rate of the result.
  private mutating func countFrames() throws {
    for part in composition.parts where counts[part] == nil {
      guard let info = sources[part.path], !info.isStill else {
        counts[part] = 1
        continue
      }
      let options = ReadOptions(
        framesPerSecond: rate, startSeconds: part.start, durationSeconds: part.seconds)
      let count = try ClipReader.presentedFrameCount(part.path, options)
      guard count > 0 else {
        throw StudioError(
          .invalidLength,
          "\(part.path) lasts \(info.durationSeconds) s; a part can't begin at \(part.start) s.")
      }
      counts[part] = count
    }
  }

  private func frameCount(of part: MediaPart) -> Int { counts[part, default: 1] }

  private func frames(of shot: Shot, from clock: Double = 0) throws -> Int {
    if shot.frames != nil && shot.seconds != nil {
      throw StudioError(.invalidLength, "Both frames and seconds are given; give one of them.")
    }
    let most = Int((Limits.durationSeconds * rate).rounded(.down))
    let range = "1...\(most) frames, or \(Limits.durationSeconds) seconds, at \(rate) frames/s"
    if let seconds = shot.seconds {
      guard seconds > 0 && seconds <= Limits.durationSeconds else {
        throw StudioError(.invalidLength, "\(seconds) seconds is out of range; use \(range).")
      }
      return max(
        1, Int(((clock + seconds) * rate).rounded()) - Int((clock * rate).rounded()))
    }
    let whole = shot.guides.first { $0.start == nil }.map { frameCount(of: $0.part) }
    let frames = shot.frames ?? whole ?? min(model.defaults.frames, most)
    guard 1...most ~= frames else {
      throw StudioError(.invalidLength, "\(frames) frames is out of range; use \(range).")
    }
    return frames
  }

  /// Lays a shot out on its canvas, or on several, one after the other, where the model knows frames as pictures.
  private mutating func resolved(_ shot: Shot, at index: Int) throws -> [ResolvedShot] {
    let delivered = try frames(of: shot, from: clock)
    longest = max(longest, delivered)
    clock += shot.seconds ?? 0
    let stride = stride(of: shot)
    let frames =
      switch shot.joins {
      case _ where stride == 1: delivered
      case [.previous, .next]: max(1, (delivered + 1 + stride / 2) / stride - 1)
      default: (delivered + stride - 1) / stride
      }
    var result = ResolvedShot(
      prompts: shot.prompts.map { ($0.text, Int(($0.start * rate / Double(stride)).rounded())) },
      frameCount: delivered, joins: shot.joins, stride: stride, ownCount: frames)
    result.guides = try shot.guides.map { try resolved($0, frames: frames) }
    guard model.family.conditioning == .tokens else { return try result.pieces(in: model) }
    let scale = model.geometry.temporalScale
    let context = contextFrames(isBetween: shot.joins == [.previous, .next])
    if shot.joins.contains(.previous) {
      let known = try (neighbour(of: index, by: -1) + stride - 1) / stride
      result.before = (min(known, context) - 1) / scale * scale + 1
    }
    if shot.joins.contains(.next) {
      // Aligned so that the first held group begins with a frame of the neighbour.
      let shift = (result.before + frames - 1) % scale
      let missing = shift == 0 ? 0 : scale - shift
      if result.before > 0 { result.offset = missing } else { result.lead = missing }
      let known = try (neighbour(of: index, by: 1) + stride - 1) / stride
      result.after = max(1, min((known - result.offset) / scale, (context - 1) / scale)) * scale
    }
    var canvas = result.before + result.lead + frames + result.offset + result.after
    canvas = (canvas - 1 + scale - 1) / scale * scale + 1
    let patch = model.geometry.patch.frames
    if patch > 1 && shot.joins.contains(.next) {
      throw StudioError(
        .unsupported, "\(model.name) has tokens of \(patch) frames; it can't run into a clip.")
    }
    while model.geometry.latentFrames(canvas) % patch != 0 { canvas += scale }
    result.canvasFrameCount = canvas
    return [result]
  }

  /// Shots that go on from sources of a much higher rate than the model's are made at a part of it.
  private func stride(of shot: Shot) -> Int {
    guard hasSources, !shot.joins.isEmpty, shot.guides.isEmpty else { return 1 }
    return max(1, Int((rate / model.defaults.framesPerSecond).rounded()))
  }

  /// Frames that a shot is told of a neighbour: what a window overlaps the one before by.
  private func contextFrames(isBetween: Bool) -> Int {
    let scale = model.geometry.temporalScale
    // Between two clips, room is for what is new.
    return isBetween ? min(model.windowOverlap, scale + 1) : model.windowOverlap
  }

  /// Frames of the segment beside one; the timeline is a ring.
  private func neighbour(of index: Int, by step: Int) throws -> Int {
    let count = composition.timeline.count
    let isFirstBefore = step < 0 && index == 0
    let other = (index + step + count) % count
    switch composition.timeline[other] {
    case .media(let part): return isFirstBefore ? 0 : frameCount(of: part)
    case .shot(let shot) where other != index && other < index: return try frames(of: shot)
    default:
      throw StudioError(
        .invalidSetting,
        """
        Segment \(index + 1) of the timeline joins a segment that is not there yet; it can join a \
        source, or a shot made before it.
        """)
    }
  }

  private func resolved(_ guide: Guide, frames: Int) throws -> ResolvedGuide {
    _ = try within(0...1, guide.noiseLevel, guide.start == nil ? "strength" : "noise")
    let isStill = sources[guide.part.path]?.isStill ?? true
    guard let start = guide.start else {
      return ResolvedGuide(guide: guide, frame: nil, frameCount: frames, isStill: isStill)
    }
    let frame = Int((start * rate).rounded())
    guard start >= 0, frame < frames else {
      throw StudioError(
        .invalidLength,
        """
        \(guide.part.path) is placed at \(start) s of a shot of \(Double(frames) / rate) s; place it \
        within the shot.
        """)
    }
    let count = min(frameCount(of: guide.part), frames - frame)
    return ResolvedGuide(guide: guide, frame: frame, frameCount: count, isStill: isStill)
  }
}

// MARK: - Warnings

extension CompositionResolver {
  fileprivate mutating func warn(
    _ sampling: ResolvedSampling, canvasSize: FrameSize, size: FrameSize
  ) {
    if composition.parts.contains(where: { sources[$0.path]?.hasAudio ?? false }) {
      warnings.append(
        composition.keepsSound
          ? Composition.keptSound
          : "The sound of the source is left out.")
    }
    for path in Set(composition.parts.map(\.path)).sorted() {
      let others = (sources[path]?.ignoredTracks ?? []).filter { !$0.hasSuffix("(cover)") }
      if others.isEmpty { continue }
      warnings.append(
        "\(path) has more tracks, which are left out: \(others.joined(separator: ", ")).")
    }
    // What follows is about frames that the model makes.
    guard !composition.shots.isEmpty else { return }
    let profile = model.profile
    if let most = profile.maximumPixels, canvasSize.width * canvasSize.height > most,
      composition.verb != .upscale
    {
      warnings.append(
        """
        \(canvasSize) has more pixels than the \(most) that \(model.name) was trained for; the picture \
        may fall apart.
        """)
    }
    if hasSources && canvasSize.width * 5 < size.width * 4 {
      warnings.append(
        """
        New frames are made at \(canvasSize) and scaled to \(size): what moves is softer in them than \
        in the source.
        """)
    }
    if let most = profile.maximumFrames, longest > most {
      warnings.append(
        """
        \(longest) frames are more than the \(most) that \(model.name) was trained for; they are made \
        in windows that continue each other.
        """)
    }
    for prompt in Set(composition.shots.flatMap(\.prompts).map(\.text)).sorted() {
      if let words = profile.vocabulary?.warning(about: prompt, model: model.name) {
        warnings.append(words)
      }
    }
    if let least = profile.minimumSteps, sampling.stepCount < least {
      warnings.append(
        """
        \(sampling.stepCount) step\(sampling.stepCount == 1 ? " is" : "s are") fewer than the \(least) \
        that \(model.name) needs; shapes may stay unfinished.
        """)
    }
  }
}
