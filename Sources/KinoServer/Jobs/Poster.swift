import Kino
import KinoMedia

/// The small pictures that stand for a clip: a thumbnail, and a sheet of its frames.
enum Poster {
  /// The longer side of a thumbnail, and of a frame on a sheet.
  private static let longest = 320
  private static let sheetColumns = 5

  /// Makes both for a file, reading it once.
  static func make(of path: String, thumbnail: String, sheet: String) throws {
    let reader = try ClipReader(path: path)
    let size = reader.size
    let scale = min(1, Double(longest) / Double(max(size.width, size.height)))
    // WebP and the sheet take any size, so nothing but the scale is rounded.
    let small = FrameSize(
      max(1, Int((Double(size.width) * scale).rounded())),
      max(1, Int((Double(size.height) * scale).rounded())))
    let count = try reader.info.isStill ? 1 : ClipReader.presentedFrameCount(path)
    let columns = min(sheetColumns, count)
    let shown = (0..<columns).map { columns == 1 ? 0 : $0 * (count - 1) / (columns - 1) }
    var frames: [Frame] = []
    var index = 0
    while frames.count < shown.count, let frame = try reader.next() {
      if shown[frames.count] == index { frames.append(try frame.resized(to: small)) }
      index += 1
    }
    guard let middle = frames.dropFirst(frames.count / 2).first else { return }
    let options = WriteOptions(overwrite: true)
    try middle.write(to: thumbnail, options)
    let row = ContactSheet.Row(Clip(frames: frames, framesPerSecond: 1))
    try ContactSheet(rows: [row], columnCount: frames.count, spacing: 0).render()
      .write(to: sheet, options)
  }
}
