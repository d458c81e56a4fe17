import Kino
import KinoMedia

/// The small pictures that stand for a clip: a thumbnail, and a sheet of its frames.
enum Poster {
  /// The longer side of a thumbnail, and of a frame on a sheet.
  private static let longest = 320
  private static let sheetColumns = 5

  /// Makes both for a file.
  static func make(
    of path: String, info: MediaInfo, thumbnail: String, sheet: String
  ) throws {
    // WebP and the sheet take any size, so nothing but the scale is rounded.
    let small = FrameSize(info.width, info.height).reduced(toLongerSide: longest)
    let count = try info.isStill ? 1 : ClipReader.presentedFrameCount(path)
    let clip = try Clip.highlights(
      of: path, count: min(sheetColumns, count), frameCount: count, ReadOptions(size: small))
    let options = WriteOptions(overwrite: true)
    try clip[clip.frameCount / 2].write(to: thumbnail, options)
    try ContactSheet(rows: [.init(clip)], columnCount: clip.frameCount, spacing: 0).render()
      .write(to: sheet, options)
  }
}
