import Foundation
import Testing

@testable import KinoMedia

@Suite struct SoundTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  /// The sound of the fixtures `sweep*` at a time of their own: from 300 to 900 Hz within a second.
  private func sweep(_ time: Double) -> Double {
    (0...1).contains(time) ? 0.5 * sin(2 * .pi * (300 * time + 300 * time * time)) : 0
  }

  /// A black clip of 10 frames a second.
  private func write(
    _ name: String, seconds: Double = 1, sound: [SoundPiece], rate: Double = 10
  ) throws -> String {
    let frame = Frame(width: 32, height: 32, color: .black)
    let count = Int((seconds * rate).rounded())
    let clip = Clip(frames: Array(repeating: frame, count: count), framesPerSecond: rate)
    try clip.write(to: folder.file(name), WriteOptions(overwrite: true, sound: sound))
    return folder.file(name)
  }

  /// The left channel of a file, from its first picture on.
  private func samples(_ path: String, seconds: Double = 1, channel: Int = 0) throws -> [Double] {
    let source = try #require(try SoundSource(path: path))
    let format = SoundFormat(sampleRate: source.sampleRate, channelCount: source.channelCount)
    let reader = try SoundReader(source, format: format, from: 0)
    return try reader.read(Int(seconds * Double(source.sampleRate))).planes[channel].map(
      Double.init)
  }

  /// How much later than expected the sound is, in milliseconds, and how like it is, at most 1.
  private func lag(
    _ samples: [Double], _ range: ClosedRange<Double>, rate: Int = 16_000,
    expected: (Double) -> Double
  ) -> (milliseconds: Double, likeness: Double) {
    let indices = Int(range.lowerBound * Double(rate))..<Int(range.upperBound * Double(rate))
    let found = stride(from: -20.0, through: 20, by: 0.125).map { shift in
      var (product, first, second) = (0.0, 1e-9, 1e-9)
      for index in indices {
        let (a, b) = (samples[index], expected(Double(index) / Double(rate) - shift / 1000))
        product += a * b
        first += a * a
        second += b * b
      }
      return (shift, product / (first * second).squareRoot())
    }
    return found.max { $0.1 < $1.1 } ?? (0, 0)
  }

  private func loudness(_ samples: ArraySlice<Double>) -> Double {
    (samples.reduce(0) { $0 + $1 * $1 } / Double(max(1, samples.count))).squareRoot()
  }

  // MARK: Reading

  @Test(arguments: [
    ("sweep.mp4", "aac", 16_000, 1, 0, 1), ("sweep-late.mp4", "aac", 16_000, 1, 0.3, 1),
    ("sweep-early.mp4", "aac", 16_000, 1, -0.3, 1), ("sweep.ts", "aac", 16_000, 1, 0, 1),
    ("sweep-stereo.mkv", "flac", 22_050, 2, 0, 1),
  ])
  func `Sound tracks tell their codec and their place`(
    name: String, codec: String, rate: Int, channels: Int, start: Double, seconds: Double
  ) throws {
    let info = try MediaInfo.probe(Samples.fixture(name))
    let track = try #require(info.soundTracks.first)
    #expect(info.soundTracks.count == 1 && info.hasAudio)
    #expect(track.codec == codec && track.sampleRate == rate && track.channelCount == channels)
    // AAC has a block in front of it, which only some containers can leave out.
    #expect(abs(track.startSeconds - start) <= 0.065)
    #expect(abs(track.durationSeconds - seconds) <= 0.2)
  }

  // MARK: Place

  @Test(arguments: [
    ("sweep.mp4", 0.0), ("sweep-late.mp4", 0.3), ("sweep-early.mp4", -0.3), ("sweep.ts", 0),
    ("sweep-stereo.mkv", 0),
    // The edit begins within a frame, which FFmpeg leaves out: sound is late by what was left of it.
    ("sweep-edit.mp4", -0.25),
  ])
  func `Sound keeps its distance from the pictures`(name: String, offset: Double) throws {
    let piece = SoundPiece(path: try Samples.fixture(name), duration: 1)
    let path = try write("a.mp4", sound: [piece])
    let info = try MediaInfo.probe(path)
    let track = try #require(info.soundTracks.first)
    #expect(info.frameCount == 10)
    #expect(track.codec == "aac" && track.startSeconds == 0)
    #expect(abs(track.durationSeconds - 1) <= 1 / Double(track.sampleRate))
    let found = lag(
      try samples(path), max(0.02, offset + 0.02)...min(0.95, 0.95 + offset),
      rate: track.sampleRate
    ) { sweep($0 - offset) }
    #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(found)")
  }

  @Test func `A part goes to its place, and all else is silent`() throws {
    let piece = SoundPiece(
      path: try Samples.fixture("sweep.mp4"), start: 0.6, duration: 0.3, at: 0.4)
    let sound = try samples(write("a.mov", sound: [piece]))
    let found = lag(sound, 0.42...0.68) { sweep($0 + 0.2) }
    #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(found)")
    // AAC spreads a little noise over a block.
    #expect(loudness(sound[..<5200]) < 1e-3 && loudness(sound[12_400...]) < 1e-3)
  }

  @Test func `A part can be played backwards`() throws {
    let piece = SoundPiece(
      path: try Samples.fixture("sweep.mp4"), start: 0.2, duration: 0.5, at: 0.3, isReversed: true)
    let sound = try samples(write("a.mp4", sound: [piece]))
    let found = lag(sound, 0.32...0.78) { sweep(0.7 - ($0 - 0.3)) }
    #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(found)")
  }

  @Test func `Long sound is sought, also backwards, and does not drift`() throws {
    let second = SoundPiece(path: try Samples.fixture("sweep.mp4"), duration: 1)
    let pieces = (0..<70).map { index in
      var piece = second
      piece.at = Double(index)
      return piece
    }
    let rate = 30_000.0 / 1001
    let long = try write("long.mp4", seconds: 70, sound: pieces, rate: rate)
    let parts = [
      SoundPiece(path: long, start: 62, duration: 3, at: 0),
      SoundPiece(path: long, start: 0, duration: 65, at: 3, isReversed: true),
    ]
    let path = try write("a.mp4", seconds: 68, sound: parts, rate: rate)
    let sound = try samples(path, seconds: 68)
    for first in [0.0, 1, 2] {
      let found = lag(sound, first + 0.05...first + 0.9) { sweep($0 - first) }
      #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(first): \(found)")
    }
    for first in [3.0, 32, 33, 34, 62, 63, 67] {
      let found = lag(sound, first + 0.1...first + 0.95) { sweep(1 - ($0 - first)) }
      #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(first): \(found)")
    }
  }

  @Test func `Pieces that go on where the last one ends are not cut`() throws {
    let path = try Samples.fixture("sweep.mp4")
    let whole = try write("whole.mp4", sound: [SoundPiece(path: path, duration: 1)])
    for isReversed in [false, true] {
      let pieces = (0..<5).map { index in
        SoundPiece(
          path: path, start: 0.2 * Double(isReversed ? 4 - index : index), duration: 0.2,
          at: 0.2 * Double(index), isReversed: isReversed)
      }
      let one = SoundPiece(path: path, duration: 1, isReversed: isReversed)
      _ = try write("parts.mp4", sound: pieces)
      _ = try write("one.mp4", sound: [one])
      #expect(try folder.bytes("parts.mp4") == folder.bytes("one.mp4"))
    }
    #expect(try SoundSource(path: whole) != nil)
  }

  @Test func `Cuts fade, and overlaps add up`() throws {
    let path = try Samples.fixture("sweep.mp4")
    let mix = try #require(
      try SoundMix([
        SoundPiece(path: path, start: 0.5, duration: 0.2, at: 0.1),
        SoundPiece(path: path, start: 0.5, duration: 0.2, at: 0.1),
      ]))
    let block = try mix.read(16_000).planes[0].map(Double.init)
    #expect(abs(block[1600]) < 0.02 && abs(block[4799]) < 0.02 && block[1599] == 0)
    let found = lag(block, 0.11...0.29) { 2 * sweep($0 + 0.4) }
    #expect(found.likeness > 0.98)
    #expect(abs(loudness(block[2400..<4000]) - 0.707) < 0.05)
    // The rate at which 5 ms rise to the full height.
    #expect(abs(block[1600..<1610].map(abs).max() ?? 1) < 0.15)
  }

  @Test func `Mono stays mono, and one stereo piece makes the result stereo`() throws {
    let mono = SoundPiece(path: try Samples.fixture("sweep.mp4"), duration: 0.5)
    let stereo = SoundPiece(path: try Samples.fixture("sweep-stereo.mkv"), duration: 0.5, at: 0.5)
    let one = try #require(try MediaInfo.probe(write("1.mp4", sound: [mono])).soundTracks.first)
    #expect(one.channelCount == 1 && one.sampleRate == 16_000)
    let path = try write("2.mp4", sound: [mono, stereo])
    let both = try #require(try MediaInfo.probe(path).soundTracks.first)
    #expect(both.channelCount == 2 && both.sampleRate == 16_000)
    let right = try samples(path, channel: 1)
    #expect(abs(loudness(right[1600..<6400]) - 0.354) < 0.03, "mono is on both sides, as loud")
    #expect(loudness(right[9600...]) < 2e-3)
    let found = lag(try samples(path), 0.52...0.95) { sweep($0 - 0.5) }
    #expect(abs(found.milliseconds) <= 0.25 && found.likeness > 0.95, "\(found)")
  }

  // MARK: None

  @Test func `Without sound no track is written, and the bytes stay what they are`() throws {
    let silent = SoundPiece(path: try Samples.fixture("upright.mp4"), duration: 0.4)
    let still = SoundPiece(path: try Samples.fixture("alpha.png"), duration: 0.4)
    #expect(try MediaInfo.probe(write("a.mp4", sound: [silent, still])).soundTracks.isEmpty)
    _ = try write("b.mp4", sound: [])
    #expect(try folder.bytes("a.mp4") == folder.bytes("b.mp4"))
  }

  @Test func `A piece without sound is silent beside one that has it`() throws {
    let silent = SoundPiece(path: try Samples.fixture("upright.mp4"), duration: 0.4)
    let piece = SoundPiece(path: try Samples.fixture("sweep.mp4"), duration: 5, at: 0.4)
    let path = try write("a.mp4", sound: [silent, piece])
    let track = try #require(try MediaInfo.probe(path).soundTracks.first)
    #expect(abs(track.durationSeconds - 1) < 1e-3, "no longer than the pictures")
    let sound = try samples(path)
    #expect(loudness(sound[..<5200]) < 1e-3)
    #expect(abs(lag(sound, 0.42...0.98) { sweep($0 - 0.4) }.milliseconds) <= 0.25)
  }

  @Test(arguments: [(1, 24.0), (1, 1000), (2, 30_000.0 / 1001), (1, 0.2)])
  func `The shortest and the slowest clips have sound as long as they are`(
    count: Int, rate: Double
  ) throws {
    let piece = SoundPiece(path: try Samples.fixture("sweep.mp4"), duration: 1)
    let seconds = Double(count) / rate
    let info = try MediaInfo.probe(write("a.mp4", seconds: seconds, sound: [piece], rate: rate))
    let track = try #require(info.soundTracks.first)
    #expect(info.frameCount == count)
    #expect(abs(track.durationSeconds - seconds) < 1.1e-3 && abs(track.startSeconds) < 1e-3)
  }

  @Test(arguments: ["a.gif", "a.webp"])
  func `Formats that hold no sound are written without it`(name: String) throws {
    let piece = SoundPiece(path: try Samples.fixture("sweep.mp4"), duration: 1)
    #expect(try !MediaFormat(path: name).holdsSound)
    _ = try write(name, sound: [piece])
    _ = try write("b" + name, sound: [])
    #expect(try folder.bytes(name) == folder.bytes("b" + name))
    #expect(MediaFormat.mp4.holdsSound && MediaFormat.mov.holdsSound)
  }

  @Test func `The same pieces give the same bytes`() throws {
    let piece = SoundPiece(
      path: try Samples.fixture("sweep-stereo.mkv"), start: 0.1, duration: 0.7, at: 0.1)
    for rate in [10, 24_000.0 / 1001] {
      _ = try write("1.mp4", sound: [piece], rate: rate)
      _ = try write("2.mp4", sound: [piece], rate: rate)
      #expect(try folder.bytes("1.mp4") == folder.bytes("2.mp4"))
    }
  }

  // MARK: Failure

  @Test func `Pieces out of range and files that can't be read leave nothing`() throws {
    let path = try Samples.fixture("sweep.mp4")
    let bad: [(SoundPiece, MediaError.Code)] = [
      (SoundPiece(path: path, start: -1, duration: 1), .invalidOption),
      (SoundPiece(path: path, duration: 0), .invalidOption),
      (SoundPiece(path: path, duration: .nan), .invalidOption),
      (SoundPiece(path: path, duration: 1, at: .infinity), .invalidOption),
      (SoundPiece(path: folder.file("missing.mp4"), duration: 1), .fileNotFound),
      (SoundPiece(path: try Samples.fixture("text.txt"), duration: 1), .notMedia),
    ]
    for (piece, code) in bad {
      let error = #expect(throws: MediaError.self) { try write("a.mp4", sound: [piece]) }
      #expect(error?.code == code)
      #expect(try folder.names.isEmpty)
    }
  }

  @Test(arguments: ["sweep.mp4", "sweep.ts", "sweep-stereo.mkv"])
  func `Damaged sound is silent or a MediaError`(name: String) throws {
    let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Samples.fixture(name))))
    for seed in 0..<30 {
      var random = SplitMix(state: UInt64(seed))
      var bytes = original
      for _ in 0...(seed % 12) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if seed % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      let damaged = try folder.write(bytes, as: name)
      do {
        let piece = SoundPiece(path: damaged, start: 0.1, duration: 2, isReversed: seed % 2 == 0)
        let info = try MediaInfo.probe(write("out.mp4", sound: [piece]))
        #expect(info.frameCount == 10)
      } catch is MediaError {
      }
    }
  }
}
