internal import CFFmpeg

/// The pictures of a whole H.264 file as they are stored, to be written into another file without loss.
///
/// Only files whose pictures follow each other at exactly the rate of the result, and whose parameter
/// sets are those of its encoder, can be: such as clips that Kino wrote at the same size and rate.
package struct StoredPictures {
  /// The file.
  package let path: String
  /// The number of pictures.
  package let frameCount: Int

  /// Reads the packets of a file; `nil` if a stream with these parameter sets, one of whose frames is
  /// shown for `timeBase`, can't hold them.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - sets: The parameter sets of the stream that is written.
  ///   - timeBase: The length of its frames.
  ///   - delay: How many frames a picture may be stored late.
  /// - Throws: ``MediaError`` if the file can't be opened.
  init?(path: String, sets: ParameterSets, timeBase: AVRational, delay: Int) throws {
    let file = try MediaFile(path: path, pixelLimit: ReadOptions().pixelLimit)
    guard Self.isPlain(file), let stored = ParameterSets(of: file.stream.pointee.codecpar),
      stored == sets
    else { return nil }
    var places: [Int64] = []
    var isPlain = true
    let isRead = try Self.read(file) { packet in
      let place = Self.place(of: packet, in: file, timeBase: timeBase)
      // The first picture, and none after it, may refer to nothing before it.
      isPlain =
        packet.flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD) == 0
        && packet.side_data_elems == 0
        && (places.isEmpty ? packet.flags & AV_PKT_FLAG_KEY != 0 && place == 0 : place != nil)
        && NALUnits.areSlices(packet, lengthSize: stored.lengthSize)
      places.append(place ?? -1)
      return isPlain
    }
    let areAll = places.sorted().elementsEqual(0..<Int64(places.count))
    let areInTime = places.enumerated().allSatisfy { $1 >= Int64($0 - delay) }
    guard isRead, isPlain, !places.isEmpty, areAll, areInTime else { return nil }
    self.path = path
    frameCount = places.count
    lengthSize = stored.lengthSize
    self.timeBase = timeBase
  }

  /// Hands over the packets in the order of the file, their times in frames, with start codes.
  func forEach(_ body: (UnsafeMutablePointer<AVPacket>) throws -> Void) throws {
    let file = try MediaFile(path: path, pixelLimit: ReadOptions().pixelLimit)
    let isRead = try Self.read(file) { packet in
      guard let place = Self.place(of: packet, in: file, timeBase: timeBase),
        av_packet_make_writable(&packet) >= 0,
        NALUnits.setStartCodes(packet, lengthSize: lengthSize)
      else { return false }
      packet.pts = place
      packet.duration = 1
      try withUnsafeMutablePointer(to: &packet) { try body($0) }
      return true
    }
    guard isRead else {
      throw MediaError(.corrupt, path: path, details: "It changed while it was read; try again.")
    }
  }

  private let lengthSize: Int
  private let timeBase: AVRational

  /// Whether the pictures are shown as they are stored.
  private static func isPlain(_ file: MediaFile) -> Bool {
    let stream = file.stream.pointee
    let turned = kino_stream_display_matrix(file.stream).map { Orientation(matrix: $0) }
    return stream.codecpar.pointee.codec_id == AV_CODEC_ID_H264 && file.pixelAspect == 1
      && (turned ?? .identity) == .identity && stream.start_time == 0
  }

  /// The frame that a packet shows; `nil` if it is between two.
  private static func place(
    of packet: AVPacket, in file: MediaFile, timeBase: AVRational
  ) -> Int64? {
    guard packet.pts != kino_no_timestamp() else { return nil }
    let own = file.stream.pointee.time_base
    let place = av_rescale_q(packet.pts, own, timeBase)
    return av_compare_ts(packet.pts, own, place, timeBase) == 0 ? place : nil
  }

  /// Reads the pictures' packets until the end, or until the body returns `false`; whether the end came.
  private static func read(
    _ file: MediaFile, _ body: (inout AVPacket) throws -> Bool
  ) throws -> Bool {
    file.read(only: file.stream)
    guard let packet = av_packet_alloc() else { throw MediaError.outOfMemory("reading") }
    defer {
      var owned: UnsafeMutablePointer<AVPacket>? = packet
      av_packet_free(&owned)
    }
    while true {
      let status = av_read_frame(file.context, packet)
      guard status >= 0 else { return status == kino_status_end() }
      defer { av_packet_unref(packet) }
      guard packet.pointee.stream_index == file.stream.pointee.index else { continue }
      guard try body(&packet.pointee) else { return false }
    }
  }
}

/// The sequence and picture parameter sets of an H.264 stream (ITU-T H.264, 7.3.2).
struct ParameterSets: Equatable {
  private let units: [[UInt8]]
  /// Bytes of the length before each unit of a packet; 0 where start codes divide them.
  let lengthSize: Int

  static func == (first: Self, second: Self) -> Bool { first.units == second.units }

  /// Reads them from the extra data of a stream: the box `avcC` (ISO/IEC 14496-15, 5.3.3.1) or units
  /// behind start codes (ITU-T H.264, annex B).
  init?(of parameters: UnsafePointer<AVCodecParameters>?) {
    guard let data = parameters?.pointee.extradata, let size = parameters?.pointee.extradata_size
    else { return nil }
    self.init(Array(UnsafeBufferPointer(start: data, count: Int(size))))
  }

  init?(_ bytes: [UInt8]) {
    guard bytes.count > 6 else { return nil }
    if bytes[0] == 1 {
      guard let units = Self.boxed(bytes) else { return nil }
      self.units = units
      lengthSize = Int(bytes[4] & 3) + 1
    } else {
      units = Self.divided(bytes).filter { NALUnits.isParameterSet($0[0]) }
      lengthSize = 0
    }
    if units.isEmpty { return nil }
  }

  private static func boxed(_ bytes: [UInt8]) -> [[UInt8]]? {
    var units: [[UInt8]] = []
    var offset = 5
    for mask: UInt8 in [0x1F, 0xFF] {
      guard offset < bytes.count else { return nil }
      let count = bytes[offset] & mask
      offset += 1
      for _ in 0..<count {
        guard offset + 2 < bytes.count else { return nil }
        let end = offset + 2 + Int(bytes[offset]) << 8 + Int(bytes[offset + 1])
        guard end > offset + 2, end <= bytes.count else { return nil }
        units.append(Array(bytes[offset + 2..<end]))
        offset = end
      }
    }
    return units
  }

  private static func divided(_ bytes: [UInt8]) -> [[UInt8]] {
    let starts = bytes.indices.dropLast(3).filter {
      bytes[$0] == 0 && bytes[$0 + 1] == 0 && bytes[$0 + 2] == 1
    }
    return starts.enumerated().map { number, start in
      var end = number + 1 < starts.count ? starts[number + 1] : bytes.count
      while end > start + 4, bytes[end - 1] == 0 { end -= 1 }
      return Array(bytes[start + 3..<end])
    }
  }
}

/// The units of an H.264 packet, each behind its length.
enum NALUnits {
  static func isParameterSet(_ header: UInt8) -> Bool { [7, 8].contains(header & 0x1F) }

  /// Whether a packet holds pictures and no parameter sets of its own.
  static func areSlices(_ packet: AVPacket, lengthSize: Int) -> Bool {
    guard lengthSize == 4 else { return false }
    return forEach(packet) { unit in
      // Slices, supplemental information, delimiters and filling.
      [1, 2, 3, 4, 5, 6, 9, 12].contains(unit[4] & 0x1F)
    }
  }

  /// Puts start codes where the lengths are, which take as many bytes.
  static func setStartCodes(_ packet: AVPacket, lengthSize: Int) -> Bool {
    guard lengthSize == 4 else { return false }
    return forEach(packet) { unit in
      (unit[0], unit[1], unit[2], unit[3]) = (0, 0, 0, 1)
      return true
    }
  }

  /// Hands over each unit with its length; whether all are whole and the body liked them.
  private static func forEach(
    _ packet: AVPacket, _ body: (UnsafeMutablePointer<UInt8>) -> Bool
  ) -> Bool {
    guard let data = packet.data else { return false }
    let count = Int(packet.size)
    var offset = 0
    while offset < count {
      guard offset + 4 < count else { return false }
      let length = (0..<4).reduce(0) { $0 << 8 + Int(data[offset + $1]) }
      guard length > 0, offset + 4 + length <= count, body(data + offset) else { return false }
      offset += 4 + length
    }
    return offset > 0
  }
}
