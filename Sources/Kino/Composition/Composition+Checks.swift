extension Composition {
  /// What is said where sources have sound, and the result holds it.
  static let keptSound = "Sound is kept where the source's frames are; new frames are silent."

  /// The first source that decides size and rate: one whose frames are delivered or changed.
  var leadingPath: String? {
    timeline.lazy.compactMap { segment in
      switch segment {
      case .media(let part): part.path
      case .shot(let shot): shot.guides.first { $0.start == nil }?.part.path
      }
    }.first
  }

  /// Whether the result is a picture: a made one, or a picture changed or made larger.
  ///
  /// - Throws: `MediaError` if the source can't be read.
  public func isPicture() throws -> Bool {
    let mayBe = [.upscale, .edit].contains(verb)
    return isPicture(of: mayBe ? try leadingPath.map { try MediaInfo.probe($0) } : nil)
  }

  func isPicture(of leading: MediaInfo?) -> Bool {
    verb == .image
      || [.upscale, .edit].contains(verb) && leading?.isStill ?? false
  }

  /// Throws unless every part has a place in time.
  func requireTimes() throws(StudioError) {
    for part in parts {
      if part.path.isEmpty {
        throw StudioError(.invalidSetting, "The name of a file is empty; name a clip or picture.")
      }
      guard part.start >= 0, part.start < 1e6, part.seconds.map({ $0 > 0 && $0 < 1e6 }) ?? true
      else {
        throw StudioError(
          .invalidLength,
          """
          \(part.path): the part from \(part.start) s\
          \(part.seconds.map { " to \(part.start + $0) s" } ?? "") is empty or out of range; begin at \
          0 or later and end after that.
          """)
      }
    }
  }

  /// Throws unless the sources are of the kind that the verb makes something of.
  ///
  /// - Parameter sources: What is known of each file, by its path.
  /// - Throws: ``StudioError`` that says what the verb needs instead.
  func requireKinds(_ sources: [String: MediaInfo]) throws(StudioError) {
    func isStill(_ path: String) -> Bool { sources[path]?.isStill ?? true }
    switch verb {
    case .animate:
      for part in parts where !isStill(part.path) {
        throw StudioError(
          .unsupported,
          "\(part.path) is a clip; animate begins with a picture. To go on from a clip, use extend."
        )
      }
    case .reverse:
      for part in parts where isStill(part.path) {
        throw StudioError(.unsupported, "\(part.path) is a picture; reverse needs a clip.")
      }
    case .upscale:
      guard let size, let source = leadingPath.flatMap({ sources[$0] }),
        size.width < source.width && size.height < source.height
      else { return }
      throw StudioError(
        .invalidSize,
        """
        The size \(size) is smaller than the source's \(source.width)x\(source.height); upscale makes \
        clips and pictures larger.
        """)
    default: return
    }
  }

  /// Lays the cuts of an edit on frames, so that what is before, in and after it are the source's frames,
  /// each once.
  ///
  /// - Parameters:
  ///   - rate: Frames per second of the result.
  ///   - frames: Counts the frames of a file at that rate.
  /// - Throws: ``StudioError`` if the edit is not inside its source.
  mutating func alignEdit(rate: Double, frames: (String) throws -> Int) throws {
    guard verb == .edit, timeline.count > 1, let shot = shots.first, let guide = shot.guides.first,
      guide.start == nil
    else { return }
    let part = guide.part
    let count = try frames(part.path)
    let end = part.seconds.map { part.start + $0 }
    let first = Int((part.start * rate).rounded())
    let last = end.map { Int(($0 * rate).rounded()) } ?? count
    guard first < count, last <= count else {
      throw StudioError(
        .invalidLength,
        """
        \(part.path) lasts \(Double(count) / rate) s; an edit from \(part.start) s\
        \(end.map { " to \($0) s" } ?? "") is not inside it.
        """)
    }
    let next = max(first + 1, last)
    var edited = Composition.edit(
      part.path, prompt, strength: guide.noiseLevel, mask: guide.mask?.path,
      from: first > 0 ? Double(first) / rate : nil, to: next < count ? Double(next) / rate : nil)
    edited.updateShots { $0.prompts = shot.prompts }
    timeline = edited.timeline
  }
}
