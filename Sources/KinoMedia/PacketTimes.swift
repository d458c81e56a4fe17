internal import CFFmpeg

/// The place of a stored picture on the timeline, known without decoding it.
struct PacketPicture: TimedPicture {
  var time: Double
  var duration: Double
}

extension PacketPicture {
  /// Codecs whose decoders give one frame for every packet.
  private static let codecs: Set = [
    AV_CODEC_ID_H264.rawValue, AV_CODEC_ID_HEVC.rawValue, AV_CODEC_ID_VP9.rawValue,
    AV_CODEC_ID_AV1.rawValue, AV_CODEC_ID_MPEG4.rawValue, AV_CODEC_ID_PRORES.rawValue,
    AV_CODEC_ID_MJPEG.rawValue, AV_CODEC_ID_FFV1.rawValue,
  ]

  /// Reads the places of all pictures that a decoder would show, in order; `nil` where packets don't
  /// tell them for certain.
  static func all(of file: MediaFile) throws -> [PacketPicture]? {
    guard codecs.contains(file.stream.pointee.codecpar.pointee.codec_id.rawValue),
      !file.isPictureFormat
    else { return nil }
    file.read(only: file.stream)
    guard let packet = av_packet_alloc() else { throw MediaError.outOfMemory("reading") }
    defer {
      var owned: UnsafeMutablePointer<AVPacket>? = packet
      av_packet_free(&owned)
    }
    var shown: [(stamp: Int64, duration: Int64)] = []
    var firstKey: Int64?
    var status: Int32 = 0
    while true {
      status = av_read_frame(file.context, packet)
      guard status >= 0 else { break }
      defer { av_packet_unref(packet) }
      let (stamp, flags) = (packet.pointee.pts, packet.pointee.flags)
      guard packet.pointee.stream_index == file.stream.pointee.index else { continue }
      if firstKey == nil, flags & AV_PKT_FLAG_KEY != 0 { firstKey = stamp }
      // Pictures before the first key frame can't always be decoded.
      guard let firstKey, stamp != kino_no_timestamp(), stamp >= firstKey,
        flags & AV_PKT_FLAG_CORRUPT == 0
      else { return nil }
      if flags & AV_PKT_FLAG_DISCARD == 0 { shown.append((stamp, packet.pointee.duration)) }
    }
    guard status == kino_status_end() else { return nil }
    var clock = PictureClock(file)
    let timeBase = av_q2d(file.stream.pointee.time_base)
    let pictures = shown.sorted { $0.stamp < $1.stamp }.map { stamp, duration in
      let place = clock.place(
        stamp: Double(stamp) * timeBase, duration: Double(duration) * timeBase)
      return PacketPicture(time: place.time, duration: place.duration)
    }
    return clock.isRegular && !pictures.isEmpty ? pictures : nil
  }
}
