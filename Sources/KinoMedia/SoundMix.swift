/// Lays pieces of sound on one timeline and gives it in order, in bounded memory.
final class SoundMix {
  /// The rate of the first piece that has sound, and two channels unless all have one.
  let format: SoundFormat
  /// How long sound takes to come and go where it is cut, in samples.
  let fade: Int

  private struct Entry {
    var piece: SoundPiece
    var source: SoundSource
    /// Its place in the result, in samples.
    var range: Range<Int>
    var voice: (any SoundVoice)?
  }

  private var entries: [Entry]
  private var position = 0

  /// Opens the files; `nil` if none of them has sound.
  ///
  /// - Throws: ``MediaError`` if a file can't be read.
  init?(_ pieces: [SoundPiece]) throws {
    var sources: [String: SoundSource?] = [:]
    for piece in pieces where sources[piece.path] == nil {
      sources[piece.path] = .some(try SoundSource(path: piece.path))
    }
    let found = Self.joined(pieces).compactMap { piece in
      sources[piece.path].flatMap { $0 }.map { (piece, $0) }
    }
    guard let first = found.first?.1 else { return nil }
    let format = SoundFormat(
      sampleRate: SoundEncoder.rate(near: first.sampleRate),
      channelCount: found.allSatisfy { $0.1.channelCount == 1 } ? 1 : 2)
    self.format = format
    fade = format.sampleRate / 200
    entries = found.map { piece, source in
      func sample(_ seconds: Double) -> Int { Int((seconds * Double(format.sampleRate)).rounded()) }
      return Entry(
        piece: piece, source: source,
        range: sample(piece.at)..<max(sample(piece.at), sample(piece.at + piece.duration)))
    }
  }

  /// Returns the next `count` samples. The result ends at sample `end`, if that is known.
  func read(_ count: Int, end: Int = .max) throws -> SoundBlock {
    var result = SoundBlock(silence: count, channelCount: format.channelCount)
    let range = position..<position + count
    for index in entries.indices where entries[index].range.overlaps(range) {
      let shared = entries[index].range.clamped(to: range)
      let block = try voice(index).read(shared.count)
      let last = min(entries[index].range.upperBound, end)
      for sample in shared {
        let gain = gain(sample, from: entries[index].range.lowerBound, to: last)
        for channel in 0..<format.channelCount {
          result.planes[channel][sample - range.lowerBound] +=
            gain * block.planes[channel][sample - shared.lowerBound]
        }
      }
    }
    position = range.upperBound
    entries.removeAll { $0.range.upperBound <= position }
    return result
  }

  // MARK: Internal

  /// What goes on in the result as it does in its file is one piece: there is no cut to fade.
  private static func joined(_ pieces: [SoundPiece]) -> [SoundPiece] {
    pieces.reduce(into: []) { result, piece in
      if let joined = result.last?.joined(with: piece) {
        result[result.count - 1] = joined
      } else {
        result.append(piece)
      }
    }
  }

  private func voice(_ index: Int) throws -> any SoundVoice {
    if let voice = entries[index].voice { return voice }
    let (piece, source) = (entries[index].piece, entries[index].source)
    let made: any SoundVoice =
      piece.isReversed
      ? ReversedSoundReader(
        source, format: format, from: piece.start, count: entries[index].range.count)
      : try SoundReader(source, format: format, from: piece.start)
    entries[index].voice = made
    return made
  }

  /// A linear fade of `fade` samples at both ends, shorter in a piece that has no room for both.
  private func gain(_ sample: Int, from first: Int, to end: Int) -> Float {
    let length = min(fade, (end - first) / 2)
    let distance = min(sample - first, end - 1 - sample)
    return distance >= length ? 1 : (Float(distance) + 0.5) / Float(length)
  }
}
