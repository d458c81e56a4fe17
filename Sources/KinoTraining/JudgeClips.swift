internal import Foundation
internal import Kino
internal import KinoMedia
internal import KinoSystem
internal import KinoTensor
internal import KinoWorld

/// Rendered clips in files of equal records, with where each object is seen, appended as they are made; some also
/// as an autoencoder restores them.
struct JudgeClips {
  /// Object maps have a number for every 4x4 pixels.
  static let mapCell = 4

  let side: Int
  let frames: Int
  /// The share of clips that are also kept restored.
  let restoredShare: Double
  /// Pixels of a side at which those are drawn to be restored.
  let restoredSide: Int
  private let seconds: [Double]
  private let seed: UInt64
  private let split: Split
  private let clips, maps, restored: RecordFile
  /// What is true of each clip: drawing a scene takes longer than reading its pixels.
  private var attributes: [SceneAttributes] = []
  /// Clips in the store.
  var count: Int { attributes.count }

  /// Opens a store in a folder; what a kill cut short is dropped.
  init(
    folder: URL, settings: TrainingConfiguration.JudgeSettings, seed: UInt64, split: Split,
    restoredShare: Double, restoredSide: Int
  ) throws {
    (side, frames, seconds) = (settings.side, settings.frames, settings.seconds)
    self.seed = seed
    self.split = split
    self.restoredShare = restoredShare
    self.restoredSide = restoredSide
    try TrainingError.makeFolder(folder)
    let clipBytes = side * side * 3 * frames
    let mapSide = side / Self.mapCell
    clips = try RecordFile(folder.appendingPathComponent("clips.u8"), recordBytes: clipBytes)
    maps = try RecordFile(
      folder.appendingPathComponent("objects.u8"), recordBytes: mapSide * mapSide * frames)
    restored = try RecordFile(folder.appendingPathComponent("restored.u8"), recordBytes: clipBytes)
    var count = min(try clips.count, try maps.count)
    let restoredCount = try restored.count
    while Int(Double(count) * restoredShare) > restoredCount { count -= 1 }
    try clips.cut(to: count)
    try maps.cut(to: count)
    try restored.cut(to: Int(Double(count) * restoredShare))
    attributes = onAllCores(0..<count) { [self] in SceneAttributes(recipe(of: $0).scene) }
  }

  /// Whether a clip is also kept restored.
  func isRestored(_ index: Int) -> Bool {
    Int(Double(index + 1) * restoredShare) > Int(Double(index) * restoredShare)
  }

  /// The scene of a clip, when it starts and the seconds between its frames.
  func recipe(of index: Int) -> (scene: Scene, start: Double, interval: Double) {
    var random = WorldRandom(seed: seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
    func uniform() -> Double { Double(random.next() >> 11) * 0x1p-53 }
    let sceneSeed = random.next() >> 11
    // Most clips that models make start with the action.
    let start = uniform() < 0.6 ? 0 : uniform() * 0.4
    let length = seconds[0] + (seconds[1] - seconds[0]) * uniform()
    return (.random(seed: sceneSeed, split: split), start, length / Double(frames - 1))
  }

  /// Renders clips until there are `target`, on all cores.
  ///
  /// - Parameters:
  ///   - target: How many are wanted.
  ///   - restore: Sends a clip through the autoencoder, and makes it as small as the others.
  ///   - shouldStop: Asked between groups of clips.
  /// - Returns: Whether there are as many.
  /// - Throws: An error of the files.
  mutating func fill(to target: Int, restore: (Clip) -> Clip, shouldStop: () -> Bool) throws -> Bool
  {
    while count < target {
      if shouldStop() { return false }
      let range = count..<min(target, count + 16)
      let results = onAllCores(range) { [self] in render($0) }
      for large in results.compactMap(\.large) { try restored.append(restore(large).pixels) }
      try maps.append(results.flatMap(\.objects))
      try clips.append(results.flatMap(\.clip.pixels))
      attributes += results.map(\.attributes)
    }
    return true
  }

  private func render(_ index: Int) -> (
    clip: Clip, large: Clip?, objects: [UInt8], attributes: SceneAttributes
  ) {
    let (scene, start, interval) = recipe(of: index)
    func drawn(_ renderer: SceneRenderer) -> Clip {
      Clip(
        renderer.render(
          scene, frameCount: frames, framesPerSecond: 1 / interval, startTime: start))
    }
    let renderer = SceneRenderer(width: side, height: side)
    let cells = side / Self.mapCell
    let map = (0..<frames).flatMap {
      renderer.objectMap(scene, time: start + Double($0) * interval, columns: cells, rows: cells)
    }
    let clip = drawn(renderer)
    var large: Clip?
    if isRestored(index) {
      large =
        restoredSide == side
        ? clip : drawn(SceneRenderer(width: restoredSide, height: restoredSide))
    }
    return (clip, large, map, SceneAttributes(scene))
  }

  /// Reads a clip, or one of its frames, as it was rendered or as it was restored.
  func sample(_ index: Int, frame: Int?, restored wantsRestored: Bool) throws -> JudgeSample {
    let isRestored = wantsRestored && isRestored(index)
    let (file, place) =
      isRestored ? (restored, Int(Double(index) * restoredShare)) : (clips, index)
    let parts = frame.map { $0..<$0 + 1 } ?? 0..<frames
    return JudgeSample(
      side: side, frames: parts.count,
      pixels: try file.read(place, part: parts, of: frames),
      objects: try maps.read(index, part: parts, of: frames),
      attributes: attributes[index])
  }
}

/// A file of equal records.
private struct RecordFile {
  let url: URL
  let recordBytes: Int

  init(_ url: URL, recordBytes: Int) throws {
    self.url = url
    self.recordBytes = recordBytes
    if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
  }

  var count: Int {
    get throws {
      let handle = try FileHandle(forReadingFrom: url)
      defer { try? handle.close() }
      return Int(try handle.seekToEnd()) / recordBytes
    }
  }

  func cut(to count: Int) throws {
    let handle = try FileHandle(forWritingTo: url)
    defer { try? handle.close() }
    try handle.truncate(atOffset: UInt64(count * recordBytes))
  }

  func append(_ bytes: [UInt8]) throws {
    let handle = try FileHandle(forWritingTo: url)
    defer { try? handle.close() }
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(bytes))
  }

  /// Reads some of the equal parts of a record.
  func read(_ index: Int, part: Range<Int>, of parts: Int) throws -> [UInt8] {
    let handle = try FileHandle(forReadingFrom: url)
    defer { try? handle.close() }
    let bytes = recordBytes / parts
    try handle.seek(toOffset: UInt64(index * recordBytes + part.lowerBound * bytes))
    let count = part.count * bytes
    guard let data = try handle.read(upToCount: count), data.count == count else {
      throw TrainingError(
        .dataNotFound,
        "\(url.path): record \(index) is missing. Remove the folder to render the clips anew.")
    }
    return [UInt8](data)
  }
}
