internal import CFFmpeg

/// Encodes a mix as AAC, step by step, as the pictures grow.
final class SoundEncoder {
  let encoder: FrameEncoder
  private let mix: SoundMix
  /// The number of samples encoded so far.
  private var position = 0

  init(_ mix: SoundMix) throws {
    self.mix = mix
    let format = mix.format
    encoder = try FrameEncoder("aac", describedAs: "sound") { context in
      context.sample_fmt = AV_SAMPLE_FMT_FLTP
      context.sample_rate = Int32(format.sampleRate)
      context.time_base = AVRational(num: 1, den: Int32(format.sampleRate))
      av_channel_layout_default(&context.ch_layout, Int32(format.channelCount))
      // Two bits a sample are transparent; low rates allow no more.
      context.bit_rate = Int64(min(96_000, 2 * format.sampleRate) * format.channelCount)
      context.flags |= Int32(AV_CODEC_FLAG_GLOBAL_HEADER)
    }
  }

  /// The rate of AAC that loses nothing of another, if there is one.
  static func rate(near rate: Int) -> Int {
    let rates = [
      7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200,
      96_000,
    ]
    return rates.first { $0 >= rate } ?? 48_000
  }

  /// Encodes whole blocks up to where the pictures end so far, a time in units of `timeBase`.
  func advance(
    to time: Int64, timeBase: AVRational,
    _ consume: (UnsafeMutablePointer<AVPacket>) throws -> Void
  ) throws {
    // The end, which may be here, is faded.
    let end = samples(time, timeBase) - mix.fade
    while position + blockLength <= end { try encode(blockLength, .max, consume) }
  }

  /// Encodes the rest, so that the sound ends at a time.
  func finish(
    at time: Int64, timeBase: AVRational,
    _ consume: (UnsafeMutablePointer<AVPacket>) throws -> Void
  ) throws {
    let end = samples(time, timeBase)
    while position < end { try encode(min(blockLength, end - position), end, consume) }
    try encoder.encode(nil, consume)
  }

  // MARK: Internal

  private var blockLength: Int { Int(encoder.context.pointee.frame_size) }

  private func samples(_ time: Int64, _ timeBase: AVRational) -> Int {
    Int(av_rescale_q(time, timeBase, encoder.context.pointee.time_base))
  }

  private func encode(
    _ count: Int, _ end: Int, _ consume: (UnsafeMutablePointer<AVPacket>) throws -> Void
  ) throws {
    let frame = try FrameBuffer(mix.read(count, end: end), format: mix.format)
    frame.pointer.pointee.pts = Int64(position)
    position += count
    try encoder.encode(frame, consume)
  }
}

extension FrameBuffer {
  /// Creates a frame of sound; what is out of -1...1 is cut off.
  fileprivate convenience init(_ block: SoundBlock, format: SoundFormat) throws {
    try self.init()
    pointer.pointee.nb_samples = Int32(block.count)
    pointer.pointee.format = AV_SAMPLE_FMT_FLTP.rawValue
    pointer.pointee.sample_rate = Int32(format.sampleRate)
    av_channel_layout_default(&pointer.pointee.ch_layout, Int32(format.channelCount))
    guard av_frame_get_buffer(pointer, 0) >= 0 else { throw MediaError.outOfMemory("sound") }
    let planes = [pointer.pointee.data.0, pointer.pointee.data.1]
    for (plane, samples) in zip(planes, block.planes) {
      guard let plane else { continue }
      plane.withMemoryRebound(to: Float.self, capacity: samples.count) { plane in
        for (index, sample) in samples.enumerated() { plane[index] = min(1, max(-1, sample)) }
      }
    }
  }
}
