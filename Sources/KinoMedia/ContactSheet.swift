/// Lays frames of one or several clips into one picture: a row a clip, a column a time.
public struct ContactSheet: Sendable {
  /// One row: a clip and the text above it.
  public struct Row: Sendable {
    /// Where the frames come from.
    public var clip: Clip
    /// The text above the frames; `nil` for none.
    public var label: String?

    /// Creates a row. The label is drawn in a small font with Latin and Cyrillic letters.
    public init(_ clip: Clip, label: String? = nil) {
      self.clip = clip
      self.label = label
    }
  }

  /// The rows from the top; clips may differ in size, length and rate.
  public var rows: [Row]
  /// The number of columns. Frames are spread evenly from a clip's first to its last.
  public var columnCount: Int
  /// The size of a tile; `nil` takes the first clip's. Clips of another shape are padded.
  public var tileSize: FrameSize?
  /// The space between tiles and around them, in pixels.
  public var spacing: Int
  /// The colour between tiles.
  public var background: Color
  /// The colour of labels.
  public var textColor: Color

  /// Creates a sheet.
  public init(
    rows: [Row], columnCount: Int = 6, tileSize: FrameSize? = nil, spacing: Int = 4,
    background: Color = Color(red: 24, green: 24, blue: 24), textColor: Color = .white
  ) {
    self.rows = rows
    self.columnCount = columnCount
    self.tileSize = tileSize
    self.spacing = spacing
    self.background = background
    self.textColor = textColor
  }

  /// Draws the sheet.
  ///
  /// The result is `columnCount` tiles and `columnCount + 1` spaces wide; each row is a tile and a
  /// space high, with a line of text more where it has a label.
  ///
  /// - Throws: ``MediaError`` with code `invalidOption` if there are no rows or columns, or a clip
  ///   has no frames.
  public func render() throws -> Frame {
    guard let first = rows.first, columnCount > 0, spacing >= 0,
      rows.allSatisfy({ $0.clip.frameCount > 0 })
    else {
      throw MediaError(
        .invalidOption,
        details: "A contact sheet needs a row, a column, and a frame in each clip.")
    }
    let tile = tileSize ?? first.clip.size
    let scale = max(1, tile.height / 160)
    let lineHeight = PixelFont.cell.height * scale + spacing
    let labelCount = rows.filter { $0.label != nil }.count
    var sheet = Frame(
      width: columnCount * (tile.width + spacing) + spacing,
      height: rows.count * (tile.height + spacing) + spacing + labelCount * lineHeight,
      color: background)
    var top = spacing
    for row in rows {
      if let label = row.label {
        PixelFont.draw(label, on: &sheet, x: spacing, y: top, scale: scale, color: textColor)
        top += lineHeight
      }
      for column in 0..<columnCount {
        let frame = row.clip[Self.index(column, of: columnCount, in: row.clip.frameCount)]
        let picture = try frame.resized(to: tile, fit: .pad, background: background)
        sheet.draw(picture, x: spacing + column * (tile.width + spacing), y: top)
      }
      top += tile.height + spacing
    }
    return sheet
  }

  /// The frame shown in a column: the first in the first, the last in the last.
  package static func index(_ column: Int, of columnCount: Int, in frameCount: Int) -> Int {
    guard columnCount > 1 else { return 0 }
    return (column * (frameCount - 1) * 2 + columnCount - 1) / (2 * (columnCount - 1))
  }
}

extension Clip {
  /// Reads a few frames of a file, spread evenly from the first to the last, and holds no others.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - count: How many; fewer if the file has fewer.
  ///   - frameCount: Frames of the file, or of the part that is read.
  ///   - options: Which part, and at what size and rate.
  /// - Returns: The frames, at the file's rate.
  /// - Throws: ``MediaError`` as ``ClipReader`` does.
  package static func highlights(
    of path: String, count: Int, frameCount: Int, _ options: ReadOptions = ReadOptions()
  ) throws -> Clip {
    let reader = try ClipReader(path: path, options: options)
    let wanted = Set((0..<count).map { ContactSheet.index($0, of: count, in: frameCount) })
    var frames: [Frame] = []
    var index = 0
    while frames.count < wanted.count, let frame = try reader.next() {
      if wanted.contains(index) { frames.append(frame) }
      index += 1
    }
    guard !frames.isEmpty else {
      throw MediaError(.noVideo, path: path, details: "The file has no frames.")
    }
    return Clip(frames: frames, framesPerSecond: reader.framesPerSecond)
  }
}
