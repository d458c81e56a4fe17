extension Composition {
  /// A clip from words.
  ///
  /// - Parameters:
  ///   - prompt: What it shows.
  ///   - size: The size of the result; `nil` is the model's choice.
  ///   - seconds: The length; `nil` is the model's choice.
  /// - Returns: One shot.
  public static func generate(
    _ prompt: String, size: FrameSize? = nil, seconds: Double? = nil
  ) -> Composition {
    var composition = Composition(.generate, timeline: [.shot(Shot(prompt, seconds: seconds))])
    composition.size = size
    return composition
  }

  /// A clip from words whose last frame runs into its first: a third of it is the way back to the start.
  ///
  /// - Parameters:
  ///   - prompt: What it shows.
  ///   - seconds: The length of it all.
  /// - Returns: A shot, and one that leads back to its start.
  public static func generateLoop(_ prompt: String, seconds: Double) -> Composition {
    Composition(
      .generate,
      timeline: [
        .shot(Shot(prompt, seconds: seconds * 2 / 3)),
        .shot(Shot(prompt, seconds: seconds / 3, joins: [.previous, .next])),
      ])
  }

  /// A picture from words.
  public static func image(_ prompt: String, size: FrameSize? = nil) -> Composition {
    var composition = Composition(.image, timeline: [.shot(Shot(prompt, frames: 1))])
    composition.size = size
    return composition
  }

  /// A clip that begins with a picture.
  public static func animate(
    _ picture: String, _ prompt: String = "", seconds: Double? = nil
  ) -> Composition {
    let first = Guide(MediaPart(picture), at: 0)
    return Composition(
      .animate, timeline: [.shot(Shot(prompt, seconds: seconds, guides: [first]))])
  }

  /// Which end of a clip is extended.
  public enum Side: String, Codable, Sendable {
    /// New frames come before the first.
    case before
    /// New frames follow the last.
    case after
  }

  /// A clip with new frames at one end.
  ///
  /// - Parameters:
  ///   - clip: The file to extend.
  ///   - seconds: The length of what is new.
  ///   - side: The end where it is.
  ///   - prompt: What happens there.
  /// - Returns: The clip and a shot that joins it.
  public static func extend(
    _ clip: String, by seconds: Double, _ side: Side = .after, _ prompt: String = ""
  ) -> Composition {
    let source = Segment.media(MediaPart(clip))
    return Composition(
      .extend,
      timeline: side == .after
        ? [source, .shot(Shot(prompt, seconds: seconds, joins: .previous))]
        : [.shot(Shot(prompt, seconds: seconds, joins: .next)), source])
  }

  /// A clip whose last frame runs into its first, by new frames at its end.
  public static func loop(_ clip: String, by seconds: Double, _ prompt: String = "") -> Composition
  {
    Composition(
      .loop,
      timeline: [
        .media(MediaPart(clip)), .shot(Shot(prompt, seconds: seconds, joins: [.previous, .next])),
      ])
  }

  /// Two clips with new frames between them.
  public static func connect(
    _ first: String, _ second: String, by seconds: Double, _ prompt: String = ""
  ) -> Composition {
    Composition(
      .connect,
      timeline: [
        .media(MediaPart(first)),
        .shot(Shot(prompt, seconds: seconds, joins: [.previous, .next])),
        .media(MediaPart(second)),
      ])
  }

  /// A clip changed by a prompt.
  ///
  /// - Parameters:
  ///   - clip: The file to change.
  ///   - prompt: What it should show.
  ///   - strength: How much may change: 0 gives the source, 1 ignores it.
  ///   - mask: A picture or clip, white where pixels may change.
  ///   - from: Where the change begins in seconds; `nil` is the start.
  ///   - to: Where it ends; `nil` is the end.
  /// - Returns: A shot in place of what changes, and the rest of the clip.
  public static func edit(
    _ clip: String, _ prompt: String, strength: Double = 0.6, mask: String? = nil,
    from: Double? = nil, to: Double? = nil
  ) -> Composition {
    let start = from ?? 0
    let part = MediaPart(clip, start: start, seconds: to.map { $0 - start })
    var shot = Shot(prompt)
    shot.guides = [
      Guide(
        part, at: nil, noiseLevel: strength,
        mask: mask.map { MediaPart($0, start: start, seconds: part.seconds) })
    ]
    var timeline: [Segment] = []
    if start > 0 {
      timeline.append(.media(MediaPart(clip, seconds: start)))
      shot.joins.insert(.previous)
    }
    if to != nil { shot.joins.insert(.next) }
    timeline.append(.shot(shot))
    if let to { timeline.append(.media(MediaPart(clip, start: to))) }
    return Composition(.edit, timeline: timeline)
  }

  /// A clip with its frames in the opposite order.
  public static func reverse(_ clip: String) -> Composition {
    Composition(.reverse, timeline: [.media(MediaPart(clip, isReversed: true))])
  }

  /// A clip or picture made larger, with new detail.
  ///
  /// - Parameters:
  ///   - source: The file.
  ///   - size: The size of the result.
  ///   - prompt: What it shows, which helps to find detail.
  ///   - strength: How much detail may change, 0...1.
  /// - Returns: One shot.
  public static func upscale(
    _ source: String, to size: FrameSize, _ prompt: String = "", strength: Double = 0.35
  ) -> Composition {
    let guide = Guide(MediaPart(source), at: nil, noiseLevel: strength)
    var composition = Composition(.upscale, timeline: [.shot(Shot(prompt, guides: [guide]))])
    composition.size = size
    return composition
  }
}
