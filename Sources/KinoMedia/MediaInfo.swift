internal import CFFmpeg

/// Describes a clip or picture without holding its pixels.
public struct MediaInfo: Hashable, Sendable {
  /// The size as shown: after rotation, in square pixels.
  public let width, height: Int
  /// The rate at which every frame is shown; 25 for a still picture.
  public let frameRate: FrameRate
  /// How long it lasts in seconds, as the file states; 0 for a still picture or if it doesn't.
  public let durationSeconds: Double
  /// The number of frames, estimated from the duration or stated; at least 1. For the exact number see
  /// ``ClipReader/presentedFrameCount(_:_:)``.
  public let frameCount: Int
  /// FFmpeg's short name of the codec, such as `h264` or `png`.
  public let codec: String
  /// FFmpeg's name of the stored pixel format, such as `yuv420p`.
  public let pixelFormat: String
  /// FFmpeg's short name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
  public let container: String
  /// How far stored pictures are turned clockwise to be shown, in degrees: 0, 90, 180 or 270.
  public let rotationDegrees: Int
  /// Whether stored pictures are mirrored to be shown.
  public let isMirrored: Bool
  /// How colours are stored, and whether the file says so.
  public let colors: ColorTags
  /// The sound tracks; the first is the one that ``WriteOptions/sound`` takes.
  public let soundTracks: [SoundTrack]
  /// The tracks that are neither shown nor heard, such as `video mjpeg (cover)` or
  /// `subtitle mov_text`, in the order of the file.
  public let ignoredTracks: [String]
  /// The texts stored with the file, under lower-case keys.
  public let metadata: [String: String]

  /// Whether it is a picture: nothing says that it lasts.
  public var isStill: Bool { durationSeconds == 0 }
  /// ``frameRate`` as a number.
  public var framesPerSecond: Double { frameRate.framesPerSecond }
  /// Whether there is sound.
  public var hasAudio: Bool { !soundTracks.isEmpty }
  /// The title, if one is stored.
  public var title: String? { metadata["title"] }
  /// The comment, if one is stored: any text.
  public var comment: String? { metadata["comment"] }
  /// The recipe of a clip or picture that Kino made: the comment, if it is a JSON object.
  public var recipe: String? {
    comment.flatMap { WriteOptions.isRecipe($0) ? $0 : nil }
  }

  /// Reads the description of a file; decodes its first frames only.
  ///
  /// - Throws: ``MediaError`` as ``ClipReader`` does.
  public static func probe(_ path: String) throws -> MediaInfo {
    try ClipReader(path: path).info
  }

  /// Takes a file whose first picture is shown at `origin`, in seconds on the container's clock.
  init(
    file: MediaFile, size: FrameSize, first: FrameBuffer, origin: Double, orientation: Orientation
  ) {
    width = size.width
    height = size.height
    frameRate = file.frameRate
    let stated = file.stream.pointee.nb_frames
    let isStill = file.isPictureFormat && stated <= 1 && !file.isAnimated
    durationSeconds = isStill ? 0 : file.durationSeconds
    // The number a container states counts frames that its edit list hides.
    let estimate = (durationSeconds * file.frameRate.framesPerSecond).rounded()
    frameCount = durationSeconds > 0 ? max(1, Int(min(estimate, 1e9))) : max(1, Int(stated))
    codec = String(cString: avcodec_get_name(file.stream.pointee.codecpar.pointee.codec_id))
    pixelFormat = PixelTraits(first.format).name
    container = file.formatName
    rotationDegrees = orientation.degrees
    isMirrored = orientation.isMirrored
    colors = ColorTags(first.pointer.pointee, isStill: file.isPictureFormat)
    let heard = file.soundStream
    let others = file.streams.filter { $0 != heard && $0 != file.stream }
    soundTracks = ((heard.map { [$0] } ?? []) + others).compactMap {
      SoundTrack(stream: $0, file: file, origin: origin)
    }
    ignoredTracks = others.map(Self.describe)
    var texts = Self.texts(first.pointer.pointee.metadata)
    texts.merge(Self.texts(file.stream.pointee.metadata)) { $1 }
    texts.merge(Self.texts(file.context.pointee.metadata)) { $1 }
    if let comment = PictureComment.read(from: file.source) { texts["comment"] = comment }
    metadata = texts
  }

  private static func describe(_ stream: UnsafeMutablePointer<AVStream>) -> String {
    let parameters = stream.pointee.codecpar.pointee
    let kind = av_get_media_type_string(parameters.codec_type).map { String(cString: $0) } ?? "data"
    let isCover = stream.pointee.disposition & Int32(AV_DISPOSITION_ATTACHED_PIC) != 0
    let codec = String(cString: avcodec_get_name(parameters.codec_id))
    return "\(kind) \(codec)" + (isCover ? " (cover)" : "")
  }

  private static func texts(_ dictionary: OpaquePointer?) -> [String: String] {
    var result: [String: String] = [:]
    var entry: UnsafeMutablePointer<AVDictionaryEntry>?
    while let found = av_dict_get(dictionary, "", entry, Int32(AV_DICT_IGNORE_SUFFIX)) {
      if let key = found.pointee.key, let value = found.pointee.value {
        result[String(cString: key).lowercased()] = String(cString: value)
      }
      entry = found
    }
    return result
  }
}
