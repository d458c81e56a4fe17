internal import CFFmpeg

extension kino_picture_layout {
  static func rgb(_ size: FrameSize, format: AVPixelFormat = AV_PIX_FMT_RGB24) -> Self {
    Self(
      width: Int32(size.width), height: Int32(size.height), format: format,
      matrix: SWS_CS_DEFAULT, full_range: 1, chroma_x: -513, chroma_y: -513)
  }

  /// 4:2:0 as HDTV and the web expect it: BT.709, limited range, chroma at the left.
  static func video709(_ size: FrameSize) -> Self {
    Self(
      width: Int32(size.width), height: Int32(size.height), format: AV_PIX_FMT_YUV420P,
      matrix: SWS_CS_ITU709, full_range: 0, chroma_x: 0, chroma_y: 128)
  }

  /// JPEG's own colours: BT.601, full range, chroma in the middle.
  static func jpeg(_ size: FrameSize, format: AVPixelFormat) -> Self {
    let traits = PixelTraits(format)
    return Self(
      width: Int32(size.width), height: Int32(size.height), format: format,
      matrix: SWS_CS_ITU601, full_range: 1, chroma_x: traits.chromaShiftX > 0 ? 128 : -513,
      chroma_y: traits.chromaShiftY > 0 ? 128 : -513)
  }

  /// What a decoded frame says of its colours, and where it says nothing, the custom: stills are
  /// BT.601, video is BT.709 from 720 lines or 1280 columns on and BT.601 below.
  init(of frame: AVFrame, isStill: Bool) {
    let format = AVPixelFormat(rawValue: frame.format)
    let traits = PixelTraits(format)
    self.init(
      width: frame.width, height: frame.height, format: format,
      matrix: traits.isRGB ? SWS_CS_DEFAULT : Self.matrix(of: frame, isStill: isStill),
      full_range: 0, chroma_x: -513, chroma_y: -513)
    let saysLimited = frame.color_range == AVCOL_RANGE_MPEG
    let isFull =
      traits.isRGB || traits.isFullRangeByName || frame.color_range == AVCOL_RANGE_JPEG
      || (traits.isGray && isStill && !saysLimited)
    full_range = isFull ? 1 : 0
    if traits.chromaShiftX > 0 || traits.chromaShiftY > 0 {
      setChromaPosition(frame.chroma_location, isCentred: traits.isFullRangeByName || isStill)
    }
  }

  private mutating func setChromaPosition(_ location: AVChromaLocation, isCentred: Bool) {
    switch location {
    case AVCHROMA_LOC_LEFT: (chroma_x, chroma_y) = (0, 128)
    case AVCHROMA_LOC_CENTER: (chroma_x, chroma_y) = (128, 128)
    case AVCHROMA_LOC_TOPLEFT: (chroma_x, chroma_y) = (0, 0)
    case AVCHROMA_LOC_TOP: (chroma_x, chroma_y) = (128, 0)
    case AVCHROMA_LOC_BOTTOMLEFT: (chroma_x, chroma_y) = (0, 256)
    case AVCHROMA_LOC_BOTTOM: (chroma_x, chroma_y) = (128, 256)
    default: (chroma_x, chroma_y) = (isCentred ? 128 : 0, 128)
    }
    let traits = PixelTraits(format)
    if traits.chromaShiftX == 0 { chroma_x = -513 }
    if traits.chromaShiftY == 0 { chroma_y = -513 }
  }

  private static func matrix(of frame: AVFrame, isStill: Bool) -> Int32 {
    switch frame.colorspace {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709
    case AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M
    case AVCOL_SPC_FCC: return SWS_CS_FCC
    case AVCOL_SPC_BT2020_NCL, AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020
    default:
      let isHighDefinition = frame.height >= 720 || frame.width >= 1280
      return isHighDefinition && !isStill ? SWS_CS_ITU709 : SWS_CS_ITU601
    }
  }
}

/// The facts of a pixel format that reading depends on.
struct PixelTraits {
  var isRGB = false
  var isGray = false
  var hasAlpha = false
  var isFullRangeByName = false
  var chromaShiftX = 0
  var chromaShiftY = 0
  var name = "unknown"

  init(_ format: AVPixelFormat) {
    guard let descriptor = av_pix_fmt_desc_get(format) else { return }
    let flags = descriptor.pointee.flags
    let isPalette = flags & UInt64(AV_PIX_FMT_FLAG_PAL) != 0
    isRGB = flags & UInt64(AV_PIX_FMT_FLAG_RGB) != 0 || isPalette
    hasAlpha = flags & UInt64(AV_PIX_FMT_FLAG_ALPHA) != 0 || isPalette
    isGray = !isRGB && descriptor.pointee.nb_components <= 2
    chromaShiftX = Int(descriptor.pointee.log2_chroma_w)
    chromaShiftY = Int(descriptor.pointee.log2_chroma_h)
    if let text = descriptor.pointee.name { name = String(cString: text) }
    isFullRangeByName = name.hasPrefix("yuvj")
  }
}
