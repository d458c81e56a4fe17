internal import Foundation
internal import Kino
internal import KinoMedia

/// Makes clips and pictures of one source after the other.
struct SourceMaker {
  let output: URL
  let settings: PreparationSettings
  let describer: ClipDescriber?
  /// Questions in a row that were not answered.
  private var failures = 0

  /// After so many, the endpoint is given up.
  private static let failureLimit = 3

  init(output: URL, settings: PreparationSettings, describer: ClipDescriber?) {
    (self.output, self.settings, self.describer) = (output, settings, describer)
  }

  /// Makes what there is to make of a source.
  ///
  /// - Returns: What became of it, and whether that stays: captions that an endpoint did not give are
  ///   asked for again by the next run.
  mutating func make(
    _ source: FootageScan.Source, identity: String, _ doubles: DoubleFinder,
    wrote: (String) -> Void
  ) async throws -> (PreparedSource, isFinal: Bool) {
    var made = PreparedSource(path: source.name, identity: identity)
    made.notes = source.captionNotes
    var isFinal = true
    do {
      let footage = try FootageAnalysis(source.path, settings)
      made.notes += footage.notes
      for part in footage.parts {
        let frames = part.frames
        if let why = part.omission {
          made.omitted.append(footage.omitted(frames, why))
          continue
        }
        let looks = footage.looks(frames)
        if let double = doubles.double(of: looks, frames: frames.count) {
          made.omitted.append(footage.omitted(frames, .double, details: double))
          continue
        }
        var (caption, failure) = (source.caption?.text, String?.none)
        if caption == nil, describer != nil {
          (caption, failure) = try await describe(source, frames, footage)
          if failure != nil { isFinal = false }
        }
        guard caption != nil || settings.keepsUncaptioned else {
          made.omitted.append(footage.omitted(frames, .uncaptioned, details: failure))
          continue
        }
        let number = made.items.count + 1
        let name = source.stem + "-" + String(format: "%03d", number)
        let item = try write(source, name, frames, footage, caption: caption, looks)
        made.items.append(item)
        wrote(item.file)
      }
      if made.items.count > 1, source.caption != nil {
        made.notes.append("one caption for \(made.items.count) clips")
      }
    } catch let error as MediaError where error.path == source.path {
      made.omitted.append(
        .init(start: 0, seconds: 0, why: .unreadable, details: error.details))
    }
    return (made, isFinal)
  }

  /// Asks what a part shows.
  private mutating func describe(
    _ source: FootageScan.Source, _ frames: Range<Int>, _ footage: FootageAnalysis
  ) async throws -> (caption: String?, failure: String?) {
    guard let describer else { return (nil, nil) }
    let result = try await describer.caption(of: try footage.highlights(frames, count: 4))
    guard let failure = result.failure else {
      failures = 0
      return result
    }
    try Task.checkCancellation()
    failures += 1
    if failures >= Self.failureLimit {
      throw TrainingError(
        .dataNotFound,
        """
        \(source.name): no caption, and it is the third in a row: \(failure). What was \
        made stays; run the command again when the endpoint answers.
        """)
    }
    return result
  }

  private func write(
    _ source: FootageScan.Source, _ name: String, _ frames: Range<Int>,
    _ footage: FootageAnalysis, caption: String?, _ looks: Data
  ) throws -> PreparedSource.Item {
    let ending = footage.ending(ofPictureAt: source.path)
    let file = name + "." + (frames.count == 1 ? ending : "mp4")
    let url = output.appendingPathComponent(file)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    let size = try MediaFormat(path: file).size(for: footage.write(frames, to: url.path))
    let text = url.deletingPathExtension().appendingPathExtension("txt")
    if let caption { try Data((caption + "\n").utf8).write(to: text, options: .atomic) }
    return PreparedSource.Item(
      file: file, start: footage.seconds(frames.lowerBound),
      seconds: frames.count == 1 ? 0 : footage.seconds(frames.count), frames: frames.count,
      width: size.width, height: size.height,
      framesPerSecond: frames.count == 1 ? nil : footage.rate, caption: caption, looks: looks)
  }
}
