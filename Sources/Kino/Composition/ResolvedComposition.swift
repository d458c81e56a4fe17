import Foundation
internal import KinoModels

/// A composition that is known to be possible, with every choice made.
struct ResolvedComposition: Sendable {
  /// As asked for, with texts cleaned.
  let composition: Composition
  let sampling: ResolvedSampling
  /// The size of the result.
  let size: FrameSize
  /// The size that the model works at.
  let canvasSize: FrameSize
  /// The size that shots are made at first, if the canvas is much larger than the model's own clips: they are
  /// then made larger, and their detail is sampled in tiles.
  let baseSize: FrameSize?
  /// How frames go between the two: results of words alone are cut from the canvas; what knows sources is
  /// scaled, so that the way there and back ends where it began.
  let canvasFit: FitMode
  let framesPerSecond: Double
  let segments: [ResolvedSegment]
  /// What is possible and probably not what is wanted.
  let warnings: [String]

  /// Whether the result is a picture, not a clip.
  let isPicture: Bool

  var verb: Verb { composition.verb }
  /// Frames of the result.
  var frameCount: Int { segments.reduce(0) { $0 + $1.frameCount } }
  var shots: [ResolvedShot] {
    segments.compactMap { if case .shot(let shot) = $0 { shot } else { nil } }
  }
  /// Whether anything is led away from the negative prompt.
  var needsNegative: Bool {
    sampling.leads(
      shots.flatMap(\.prompts).map(\.text), awayFrom: composition.negativePrompt)
  }
}

enum ResolvedSegment: Sendable {
  case media(ResolvedPart)
  case shot(ResolvedShot)

  var frameCount: Int {
    switch self {
    case .media(let part): part.frameCount
    case .shot(let shot): shot.frameCount
    }
  }
}

/// A part of a file and how many frames it has at the rate of the result.
struct ResolvedPart: Sendable {
  let part: MediaPart
  let frameCount: Int
}

/// A shot on its canvas.
///
/// The frames of a canvas are, in order: those known from the segment before (``before``), those that only
/// fill up the first group of the autoencoder (``lead``), the shot's own (``frameCount``), and those known
/// from the segment after, of which the first (``offset``) share a group with the shot's last and are not
/// held. With a temporal scale of `n`, groups are 1, n, n, ... frames.
struct ResolvedShot: Sendable {
  var prompts: [(text: String, frame: Int)]
  /// Frames that the shot delivers.
  let frameCount: Int
  let joins: Shot.Joins
  /// Frames of the result to one of the canvas: the model moves things at its own rate, whatever the rate
  /// of the sources.
  var stride = 1
  /// The shot's own frames on the canvas; ``frameCount`` of them without a stride.
  var ownCount: Int
  var before = 0
  var lead = 0
  var offset = 0
  /// Held frames of the segment after; a multiple of the temporal scale.
  var after = 0
  var canvasFrameCount = 0
  var guides: [ResolvedGuide] = []
  /// The draw of noise of the canvas's first latent frame: shots that were cut from one go on in its noise.
  var firstDraw = 0

  /// The shot's own frames on the canvas.
  var own: Range<Int> { before + lead..<before + lead + ownCount }

  /// Where a delivered frame lies among the shot's own frames of the canvas: between the one before the
  /// shot, -1, and the one after it, ``ownCount``.
  func canvasTime(of frame: Int) -> Double {
    if stride == 1 { return Double(frame) }
    let (own, all) = (Double(ownCount), Double(frameCount))
    switch joins {
    case [.previous, .next]: return Double(frame + 1) * (own + 1) / (all + 1) - 1
    case .next: return own - (all - Double(frame)) / Double(stride)
    default: return Double(frame + 1) / Double(stride) - 1
    }
  }
}

struct ResolvedGuide: Sendable {
  let guide: Guide
  /// The first frame of the shot that it shows; `nil` for the whole shot.
  let frame: Int?
  let frameCount: Int
  /// Whether its file is a picture.
  let isStill: Bool
}

extension ResolvedComposition {
  /// Whether shots are sampled in tiles of the model's own size.
  var isTiled: Bool { baseSize != nil || verb == .upscale }

  /// Whether clips of a source are part of the result.
  var holdsSources: Bool {
    segments.contains { if case .media = $0 { true } else { false } }
  }

  /// The sound of the result: that of the sources, at the time of their frames.
  var sound: [SoundPiece] {
    guard composition.keepsSound else { return [] }
    var pieces: [SoundPiece] = []
    var frame = 0
    for segment in segments {
      let place = Double(frame) / framesPerSecond
      var heard: MediaPart?
      switch segment {
      case .media(let part): heard = part.part
      case .shot(let shot): heard = shot.guides.first { $0.frame == nil && !$0.isStill }?.guide.part
      }
      if let heard {
        pieces.append(
          SoundPiece(
            path: heard.path, start: heard.start,
            duration: Double(segment.frameCount) / framesPerSecond, at: place,
            isReversed: heard.isReversed))
      }
      frame += segment.frameCount
    }
    return pieces
  }

  /// Throws unless a file of this name can hold the result.
  func requireFormat(of path: String) throws {
    let format = try MediaFormat(path: path)
    if isPicture && format.holdsClips && format != .webp {
      throw StudioError(.unsupported, "\(path): use .png, .jpg or .webp for a picture.")
    }
    if !isPicture && frameCount > 1 && !format.holdsClips {
      throw StudioError(
        .unsupported,
        "\(path): a .\(format.rawValue) holds one frame, this clip has \(frameCount); use .mp4.")
    }
  }
}

extension Composition {
  /// Checks the composition once, for all that follows, and makes every open choice.
  ///
  /// - Throws: ``StudioError`` saying what was expected, what was found, and what would be allowed; what
  ///   reading the sources throws.
  func resolved(for model: Model, _ settings: SamplingSettings) throws -> ResolvedComposition {
    var resolver = CompositionResolver(self, model: model)
    return try resolver.resolve(settings)
  }

  /// Makes white space plain: none at the ends, one space between words.
  static func cleaned(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}
