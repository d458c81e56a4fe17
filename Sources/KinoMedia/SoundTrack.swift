internal import CFFmpeg

/// Describes one sound track of a file.
public struct SoundTrack: Hashable, Sendable {
  /// FFmpeg's short name of the codec, such as `aac`.
  public let codec: String
  /// Samples per second in each channel.
  public let sampleRate: Int
  /// The number of channels: 1 is mono, 2 stereo.
  public let channelCount: Int
  /// When the sound begins, in seconds from the first picture; below 0 if it begins earlier.
  public let startSeconds: Double
  /// How long the sound lasts in seconds, as the file states; 0 if it doesn't.
  public let durationSeconds: Double

  /// Describes a stream; `nil` if it is no sound. The first picture is shown at `origin`, in seconds
  /// on the container's clock.
  init?(stream: UnsafeMutablePointer<AVStream>, file: MediaFile, origin: Double) {
    guard let parameters = stream.pointee.codecpar?.pointee,
      parameters.codec_type == AVMEDIA_TYPE_AUDIO
    else { return nil }
    codec = String(cString: avcodec_get_name(parameters.codec_id))
    sampleRate = Int(parameters.sample_rate)
    channelCount = Int(parameters.ch_layout.nb_channels)
    let timeBase = av_q2d(stream.pointee.time_base)
    let start = stream.pointee.start_time
    startSeconds = start == kino_no_timestamp() ? 0 : Double(start) * timeBase - origin
    let own = stream.pointee.duration
    let whole = file.context.pointee.duration
    durationSeconds =
      own > 0 ? Double(own) * timeBase : whole > 0 ? Double(whole) / Double(AV_TIME_BASE) : 0
  }
}
