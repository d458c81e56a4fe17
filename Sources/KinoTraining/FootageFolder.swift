internal import Foundation
internal import KinoMedia
internal import KinoTensor

/// A folder of real pictures and clips, held in memory at a moderate size, cut at random places.
struct FootageFolder: Sendable {
  private let clips: [Clip]

  /// The shorter side at which footage is kept.
  private static let keptSide = 480
  private static let kinds: Set<String> = [
    "jpg", "jpeg", "png", "webp", "mp4", "avi", "mov", "mkv", "webm", "gif",
  ]
  private static let byteLimit = 3 << 30

  /// Reads every picture and clip directly inside a folder, by name; others are left alone.
  init(path: String) throws {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
    var clips: [Clip] = []
    var bytes = 0
    for name in names where Self.kinds.contains((name as NSString).pathExtension.lowercased()) {
      guard let clip = try? Self.read(path + "/" + name) else { continue }
      bytes += clip.pixels.count
      clips.append(clip)
      if bytes > Self.byteLimit { break }
    }
    guard !clips.isEmpty else {
      throw TrainingError(
        .dataNotFound,
        "\(path): expected a folder with pictures or clips, found none. `scripts/fetch-footage` fetches some."
      )
    }
    self.clips = clips
  }

  private static func read(_ path: String) throws -> Clip {
    let info = try MediaInfo.probe(path)
    let scale = min(1, Double(keptSide) / Double(min(info.width, info.height)))
    let size = FrameSize(
      width: Int((Double(info.width) * scale).rounded()),
      height: Int((Double(info.height) * scale).rounded()))
    return try Clip.read(path, ReadOptions(size: size, fit: .stretch, frameLimit: 600))
  }

  /// A piece of the bucket's shape. A picture gives frames only by a slow drift of the window.
  func piece(_ bucket: TrainingConfiguration.Bucket, _ random: inout RandomSource) throws -> Clip {
    let clip = clips[random.integer(below: clips.count)]
    // The window is the bucket's size times a scale, at most the whole picture.
    let most = min(
      Double(clip.width) / Double(bucket.width), Double(clip.height) / Double(bucket.height))
    let scale = most <= 1 ? most : 1 + random.uniform() * (min(most, 3) - 1)
    let (width, height) = (Int(Double(bucket.width) * scale), Int(Double(bucket.height) * scale))
    let (roomX, roomY) = (clip.width - width, clip.height - height)
    let start = (x: random.uniform() * Double(roomX), y: random.uniform() * Double(roomY))
    let drift = (x: (random.uniform() - 0.5) * 0.02, y: (random.uniform() - 0.5) * 0.02)
    let isStill = clip.frameCount < bucket.frames
    let first = isStill ? 0 : random.integer(below: clip.frameCount - bucket.frames + 1)
    var piece = Clip(
      width: width, height: height, framesPerSecond: clip.framesPerSecond, pixels: [])
    for index in 0..<bucket.frames {
      let along = Double(isStill ? index : 0)
      let x = min(max(0, start.x + drift.x * along * Double(width)), Double(roomX))
      let y = min(max(0, start.y + drift.y * along * Double(height)), Double(roomY))
      let frame = isStill ? 0 : first + index
      piece.append(
        clip.cut(frames: frame..<frame + 1, x: Int(x), y: Int(y), width: width, height: height))
    }
    return try piece.resized(to: FrameSize(width: bucket.width, height: bucket.height))
  }
}
