internal import CFFmpeg

/// How sound is sampled.
struct SoundFormat: Hashable {
  /// Samples per second in each channel.
  var sampleRate: Int
  /// One or two.
  var channelCount: Int
}

/// A stretch of sound: a plane of samples in -1...1 for each channel, all of one length.
struct SoundBlock {
  var planes: [[Float]]

  init(silence count: Int, channelCount: Int) {
    planes = Array(repeating: [Float](repeating: 0, count: count), count: channelCount)
  }

  init(planes: [[Float]]) { self.planes = planes }

  var count: Int { planes[0].count }

  func reversed() -> SoundBlock { SoundBlock(planes: planes.map { $0.reversed() }) }
}

/// Gives a stretch of sound in order.
protocol SoundVoice: AnyObject {
  /// Returns the next `count` samples; silence where there are none.
  func read(_ count: Int) throws -> SoundBlock
}

/// The facts of a file's sound that its readers share.
struct SoundSource {
  let path: String
  /// When the first picture is shown, in seconds on the container's clock.
  let origin: Double
  let sampleRate: Int
  let channelCount: Int

  /// Looks into a file; `nil` if it has no sound.
  init?(path: String) throws {
    let limit = ReadOptions().pixelLimit
    let file = try MediaFile(path: path, pixelLimit: limit)
    guard let parameters = file.soundStream?.pointee.codecpar?.pointee,
      parameters.sample_rate > 0, parameters.ch_layout.nb_channels > 0
    else { return nil }
    self.path = path
    sampleRate = Int(parameters.sample_rate)
    channelCount = Int(parameters.ch_layout.nb_channels)
    let decoder = try VideoDecoder(file: file, pixelLimit: limit)
    _ = try decoder.next()
    origin = decoder.origin ?? 0
  }
}

/// Decodes the sound of a file from a time on, in bounded memory. What the file's timestamps leave
/// out is silent, and so is damage.
final class SoundReader: SoundVoice {
  private struct Placed {
    var start: Int
    var block: SoundBlock
    var end: Int { start + block.count }
  }

  private let format: SoundFormat
  /// When sample 0 is heard, in seconds on the container's clock.
  private let start: Double
  private let decoder: StreamDecoder
  private var resampler: Resampler?
  /// Decoded and not returned, all but the last from before `position` on.
  private var waiting: [Placed] = []
  /// The next sample to return, and the next to be decoded.
  private var position = 0
  private var frontier = Int.min
  private var isAtEnd = false

  /// Opens a file to be read from a time on, which counts from the first picture.
  init(_ source: SoundSource, format: SoundFormat, from seconds: Double) throws {
    self.format = format
    start = source.origin + seconds
    let first: FrameBuffer?
    (decoder, first) = try Self.open(source.path, at: start, seeks: seconds > Self.preroll)
    if let first { try place(first) }
  }

  func read(_ count: Int) throws -> SoundBlock {
    let end = position + count
    while !isAtEnd && frontier < end { try advance() }
    var result = SoundBlock(silence: count, channelCount: format.channelCount)
    for piece in waiting {
      let shared = max(position, piece.start)..<max(position, piece.start, min(end, piece.end))
      guard !shared.isEmpty else { continue }
      for channel in 0..<format.channelCount {
        let samples = piece.block.planes[min(channel, piece.block.planes.count - 1)]
        result.planes[channel].replaceSubrange(
          shared.lowerBound - position..<shared.upperBound - position,
          with: samples[shared.lowerBound - piece.start..<shared.upperBound - piece.start])
      }
    }
    position = end
    waiting.removeAll { $0.end <= end }
    return result
  }

  // MARK: Internal

  /// Codecs need the frames before the first one asked for: so many seconds.
  private static let preroll = 0.5

  /// Opens the file and returns a frame from before a time on the container's clock, or the first.
  private static func open(
    _ path: String, at time: Double, seeks: Bool
  ) throws -> (StreamDecoder, FrameBuffer?) {
    let limit = ReadOptions().pixelLimit
    let file = try MediaFile(path: path, pixelLimit: limit)
    guard let stream = file.soundStream else {
      throw MediaError(
        .corrupt, path: path, details: "Its sound is gone; do not change a file while it is read.")
    }
    let decoder = try StreamDecoder(file: file, stream: stream, pixelLimit: limit)
    guard seeks else { return (decoder, try decoder.next()) }
    if decoder.seek(to: time - preroll), let first = try decoder.next(),
      let found = Self.time(of: first, decoder), found <= time
    {
      return (decoder, first)
    }
    // It went too far, or nowhere: read from the start instead.
    return try open(path, at: time, seeks: false)
  }

  private static func time(of frame: FrameBuffer, _ decoder: StreamDecoder) -> Double? {
    let stamp = frame.pointer.pointee.best_effort_timestamp
    guard stamp != kino_no_timestamp() else { return nil }
    let time = Double(stamp) * decoder.timeBase
    // Later ones are damage; as sample numbers they would overflow.
    return abs(time) < 1e9 ? time : nil
  }

  private func advance() throws {
    if let frame = try decoder.next() {
      try place(frame)
    } else {
      isAtEnd = true
      if let rest = try resampler?.convert(nil) { add(rest) }
    }
  }

  /// Puts a decoded frame where its timestamp says.
  private func place(_ frame: FrameBuffer) throws {
    let stated = Self.time(of: frame, decoder).map {
      Int((($0 - start) * Double(format.sampleRate)).rounded())
    }
    if let resampler, resampler.matches(frame) {
      let expected = frontier + resampler.delay
      // Containers round times to milliseconds; only more than that is a gap.
      if abs((stated ?? expected) - expected) > format.sampleRate / 50 {
        add(try resampler.convert(nil))
        self.resampler = nil
      }
    } else if let resampler {
      add(try resampler.convert(nil))
      self.resampler = nil
    }
    if resampler == nil {
      resampler = Resampler(frame, sampleRate: format.sampleRate)
      frontier = stated ?? (frontier == .min ? 0 : frontier)
    }
    if let resampler { add(try resampler.convert(frame)) }
  }

  private func add(_ block: SoundBlock) {
    let placed = Placed(start: frontier, block: block)
    frontier = placed.end
    if placed.end > position && block.count > 0 { waiting.append(placed) }
  }
}

/// Plays a stretch of a file backwards: in blocks, each of which is sought and decoded forwards.
final class ReversedSoundReader: SoundVoice {
  private let source: SoundSource
  private let format: SoundFormat
  private let start: Double
  /// Samples in front of what was decoded; the next block ends there.
  private var remaining: Int
  private var block: SoundBlock
  private var used = 0
  /// Half a minute: some megabytes.
  private var blockLength: Int { 30 * format.sampleRate }

  /// Takes the stretch of `count` samples that begins `seconds` after the first picture.
  init(_ source: SoundSource, format: SoundFormat, from seconds: Double, count: Int) {
    self.source = source
    self.format = format
    start = seconds
    remaining = count
    block = SoundBlock(silence: 0, channelCount: format.channelCount)
  }

  func read(_ count: Int) throws -> SoundBlock {
    var result = SoundBlock(silence: 0, channelCount: format.channelCount)
    while result.count < count {
      if used == block.count { try load() }
      let taken = min(count - result.count, block.count - used)
      for channel in 0..<format.channelCount {
        result.planes[channel] += block.planes[channel][used..<used + taken]
      }
      used += taken
    }
    return result
  }

  private func load() throws {
    let length = min(blockLength, remaining)
    used = 0
    guard length > 0 else {
      block = SoundBlock(silence: blockLength, channelCount: format.channelCount)
      return
    }
    remaining -= length
    let reader = try SoundReader(
      source, format: format, from: start + Double(remaining) / Double(format.sampleRate))
    block = try reader.read(length).reversed()
  }
}

/// Brings decoded sound to one rate and at most two channels.
private final class Resampler {
  private let pointer: UnsafeMutableRawPointer
  private let sampleRate: Int
  private let from: (rate: Int32, channels: Int32, format: Int32)
  private let channelCount: Int

  /// `nil` if the frame's layout can't be converted.
  init?(_ frame: FrameBuffer, sampleRate: Int) {
    guard let pointer = kino_resampler_create(frame.pointer, Int32(sampleRate)) else { return nil }
    self.pointer = pointer
    self.sampleRate = sampleRate
    from = Self.layout(frame)
    channelCount = min(2, Int(from.channels))
  }

  deinit { kino_resampler_free(pointer) }

  /// How many samples of the result it holds back.
  var delay: Int { Int(kino_resampler_delay(pointer, Int32(sampleRate))) }

  func matches(_ frame: FrameBuffer) -> Bool { Self.layout(frame) == from }

  /// Converts a frame; with `nil` gives what was held back.
  func convert(_ frame: FrameBuffer?) throws -> SoundBlock {
    let capacity = Int(
      kino_resampler_capacity(pointer, frame.map { $0.pointer.pointee.nb_samples } ?? 0))
    var block = SoundBlock(silence: max(0, capacity), channelCount: channelCount)
    guard capacity > 0 else { return block }
    var left = block.planes[0]
    var right = channelCount > 1 ? block.planes[1] : []
    let count = left.withUnsafeMutableBufferPointer { left in
      right.withUnsafeMutableBufferPointer { right in
        kino_resampler_convert(
          pointer, frame?.pointer, left.baseAddress, right.baseAddress, Int32(capacity))
      }
    }
    let filled = max(0, min(capacity, Int(count)))
    block.planes = (channelCount > 1 ? [left, right] : [left]).map { Array($0.prefix(filled)) }
    return block
  }

  private static func layout(
    _ frame: FrameBuffer
  ) -> (rate: Int32, channels: Int32, format: Int32) {
    let frame = frame.pointer.pointee
    return (frame.sample_rate, frame.ch_layout.nb_channels, frame.format)
  }
}
