internal import Foundation
internal import KinoMedia
internal import KinoSystem

/// A look at every frame of a file, and its parts cut out.
struct FootageAnalysis {
  private let path: String
  private let info: MediaInfo
  private let settings: PreparationSettings
  private let facts: [FrameFacts]
  /// How the frames look, one after another.
  private let looks: Data
  /// The parts, in order, without gaps.
  let parts: [ScenePart]
  /// Frames a second of what is written.
  let rate: Double
  /// What is unusual about the file, in words.
  let notes: [String]

  /// Reads a file once, and keeps some 200 bytes of every frame.
  ///
  /// - Throws: `MediaError` if it can't be read.
  init(_ path: String, _ settings: PreparationSettings) throws {
    self.path = path
    self.settings = settings
    let side = FrameSignature.side
    let reader = try ClipReader(
      path: path,
      options: ReadOptions(
        size: FrameSize(width: side, height: side), fit: .stretch,
        framesPerSecond: settings.framesPerSecond))
    info = reader.info
    rate = reader.framesPerSecond
    var facts: [FrameFacts] = []
    var looks = Data()
    var (last, secondLast) = (FrameSignature?.none, FrameSignature?.none)
    while let frame = try reader.next() {
      if facts.count % 64 == 0 { try Task.checkCancellation() }
      let signature = FrameSignature(frame)
      facts.append(signature.facts(after: last, secondLast))
      looks += signature.look
      (last, secondLast) = (signature, last)
      if info.isStill { break }
    }
    (self.facts, self.looks) = (facts, looks)
    if facts.count == 1 {
      parts = [ScenePart(frames: 0..<1, omission: nil)]
    } else {
      let cutter = SceneCutter(
        rate: rate, seconds: settings.minimumSeconds...settings.maximumSeconds,
        keepsStill: settings.keepsStill)
      parts = cutter.parts(facts)
    }
    let kept = parts.filter { $0.omission == nil }.flatMap { facts[$0.frames].dropFirst() }
    notes =
      Self.notes(info, frames: facts.count, seconds: Double(facts.count) / rate)
      + Self.notes(damage: reader.decodeErrorCount, repeated: kept.map { $0.greatestChange == 0 })
  }

  private static func notes(_ info: MediaInfo, frames: Int, seconds: Double) -> [String] {
    var notes: [String] = []
    if info.rotationDegrees != 0 { notes.append("turned by \(info.rotationDegrees) degrees") }
    if info.isMirrored { notes.append("mirrored") }
    if !info.isStill && frames == 1 { notes.append("a clip of one frame: taken as a picture") }
    if info.hasAudio { notes.append("its sound is left out") }
    if seconds < info.durationSeconds * 0.9 {
      notes.append(
        String(format: "ends after %.1f of %.1f s: damaged", seconds, info.durationSeconds))
    }
    return notes
  }

  private static func notes(damage: Int, repeated: [Bool]) -> [String] {
    var notes: [String] = []
    if damage > 0 { notes.append("damaged: \(damage) frames or packets could not be decoded") }
    let count = repeated.count { $0 }
    if count * 3 > repeated.count, repeated.count > 8 {
      notes.append(
        "\(count) of \(repeated.count) frames repeat the one before: try a lower --fps")
    }
    return notes
  }

  /// The time of a frame, or of so many, in seconds.
  func seconds(_ frames: Int) -> Double { Double(frames) / rate }

  /// How the first, the middle and the last frame of a part look.
  func looks(_ frames: Range<Int>) -> Data {
    (0..<3).reduce(into: Data()) { looks, place in
      let frame = frames.lowerBound + ContactSheet.index(place, of: 3, in: frames.count)
      looks += self.looks[frame * FrameSignature.lookBytes..<(frame + 1) * FrameSignature.lookBytes]
    }
  }

  /// A part that is left out.
  func omitted(
    _ frames: Range<Int>, _ why: Omission, details: String? = nil
  ) -> PreparedSource.Part {
    .init(
      start: seconds(frames.lowerBound), seconds: seconds(frames.count), why: why,
      details: details)
  }

  /// A few frames of a part, spread over it.
  func highlights(_ frames: Range<Int>, count: Int) throws -> Clip {
    try Clip.highlights(
      of: path, count: count, frameCount: frames.count, options(frames, size: nil))
  }

  /// The ending of a picture's name: that of the file if it is copied.
  func ending(ofPictureAt path: String) -> String {
    isCopied ? (path as NSString).pathExtension.lowercased() : "png"
  }

  /// Whether the file is a picture that any program shows as it is.
  private var isCopied: Bool {
    let ending = (path as NSString).pathExtension.lowercased()
    let isCommon = ["png": "png", "jpg": "mjpeg", "jpeg": "mjpeg", "webp": "webp"][ending]
    return info.isStill && isCommon == info.codec && info.rotationDegrees == 0
      && !info.isMirrored && size == nil
  }

  /// The size that is written; `nil` for the file's own.
  private var size: FrameSize? {
    guard let side = settings.maximumSide, min(info.width, info.height) > side else { return nil }
    let scale = Double(side) / Double(min(info.width, info.height))
    // H.264 has even sizes.
    func even(_ length: Int) -> Int { max(2, Int((Double(length) * scale / 2).rounded()) * 2) }
    return FrameSize(width: even(info.width), height: even(info.height))
  }

  /// Writes a part as a clip or picture; returns its size.
  func write(_ frames: Range<Int>, to target: String) throws -> FrameSize {
    if isCopied {
      let file = try AtomicFile(path: target, overwrite: true)
      try Data(contentsOf: URL(fileURLWithPath: path))
        .write(to: URL(fileURLWithPath: file.temporaryPath))
      try file.publish()
      return FrameSize(width: info.width, height: info.height)
    }
    let reader = try ClipReader(path: path, options: options(frames, size: size))
    let writer = try ClipWriter(
      path: target, size: reader.size, framesPerSecond: rate,
      options: WriteOptions(crf: 12, overwrite: true))
    while let frame = try reader.next() {
      if writer.frameCount % 16 == 0 { try Task.checkCancellation() }
      try writer.append(frame)
    }
    try writer.finish()
    return reader.size
  }

  private func options(_ frames: Range<Int>, size: FrameSize?) -> ReadOptions {
    ReadOptions(
      size: size, fit: .stretch, framesPerSecond: settings.framesPerSecond,
      startSeconds: seconds(frames.lowerBound), frameLimit: frames.count)
  }
}
