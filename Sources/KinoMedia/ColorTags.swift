internal import CFFmpeg

/// How the numbers of stored pictures are taken for colours, and whether the file says so.
public struct ColorTags: Hashable, Sendable, CustomStringConvertible {
  /// How brightness and colour were told apart: `BT.601`, `BT.709`, `BT.2020`, `SMPTE 240M` or
  /// `FCC`; `RGB` and `gray` where they were not.
  public let matrix: String
  /// Whether black and white are 0 and 255, not 16 and 235.
  public let isFullRange: Bool
  /// Whether the file states the matrix. If not, stills and small pictures are taken as BT.601, video
  /// from 720 lines or 1280 columns on as BT.709.
  public let statesMatrix: Bool
  /// Whether the file states the range. If not, video is taken as limited.
  public let statesRange: Bool

  init(_ frame: AVFrame, isStill: Bool) {
    let layout = kino_picture_layout(of: frame, isStill: isStill)
    let traits = PixelTraits(layout.format)
    isFullRange = layout.full_range != 0
    statesRange =
      traits.isRGB || traits.isFullRangeByName || frame.color_range != AVCOL_RANGE_UNSPECIFIED
    statesMatrix = traits.isRGB || traits.isGray || frame.colorspace != AVCOL_SPC_UNSPECIFIED
    switch layout.matrix {
    case _ where traits.isRGB: matrix = "RGB"
    case _ where traits.isGray: matrix = "gray"
    case SWS_CS_ITU709: matrix = "BT.709"
    case SWS_CS_BT2020: matrix = "BT.2020"
    case SWS_CS_SMPTE240M: matrix = "SMPTE 240M"
    case SWS_CS_FCC: matrix = "FCC"
    default: matrix = "BT.601"
    }
  }

  /// Such as `BT.709, limited range` or `untagged, taken as BT.601, limited range`.
  public var description: String {
    guard matrix != "RGB" else { return matrix }
    let range = isFullRange ? "full range" : "limited range"
    switch (statesMatrix, statesRange) {
    case (true, true): return "\(matrix), \(range)"
    case (false, false): return "untagged, taken as \(matrix), \(range)"
    case (false, true): return "matrix untagged, taken as \(matrix); \(range)"
    case (true, false): return "\(matrix); range untagged, taken as \(range)"
    }
  }
}
