internal import CFFmpeg

/// Turns decoded frames of any size and format into RGB frames of one size.
///
/// Shrinking averages areas; everything else is bicubic. Work is done on gamma-coded values, as
/// players do. Scalers are kept from frame to frame.
final class FrameConverter {
  let fit: FitMode
  let background: Color
  private var scalers: [Scaler] = []

  init(fit: FitMode = .stretch, background: Color = .black) {
    self.fit = fit
    self.background = background
  }

  /// Converts to a frame of `size`, which is counted after `orientation` has been applied.
  func convert(
    _ source: FrameBuffer, pixelAspect: Double = 1, orientation: Orientation = .identity,
    isStill: Bool = false, to size: FrameSize
  ) throws -> Frame {
    let storedSize = orientation.transposes ? size.transposed : size
    let traits = PixelTraits(source.format)
    let geometry = FitGeometry(
      source: source.size, pixelAspect: pixelAspect, target: storedSize, mode: fit,
      alignment: (1 << traits.chromaShiftX, 1 << traits.chromaShiftY))
    var picture = try cropped(source, to: geometry.source)
    var layout = kino_picture_layout(of: picture.pointer.pointee, isStill: isStill)
    // Where the frame is silent, the matrix goes by the size of the whole picture.
    layout.matrix = kino_picture_layout(of: source.pointer.pointee, isStill: isStill).matrix
    if traits.hasAlpha {
      let straight = try scale(
        picture, from: layout, to: .rgb(picture.size, format: AV_PIX_FMT_RGBA))
      picture = try composite(straight)
      layout = .rgb(picture.size)
    }
    let target = FrameSize(width: geometry.target.width, height: geometry.target.height)
    let scaled = try scale(picture, from: layout, to: .rgb(target))
    return orientation.apply(to: try canvas(scaled, size: storedSize, at: geometry.target))
  }

  /// Converts between layouts, in steps of at most 1/16 and 64 times the size: the filters of the
  /// scaler have a greatest length.
  func scale(
    _ source: FrameBuffer, from layout: kino_picture_layout, to target: kino_picture_layout
  ) throws -> FrameBuffer {
    func step(_ from: Int32, _ to: Int32) -> Int32 { min(max(to, (from + 15) / 16), from * 64) }
    var (picture, from) = (source, layout)
    while true {
      let (width, height) = (step(from.width, target.width), step(from.height, target.height))
      if width == target.width && height == target.height {
        return try run(picture, from, target)
      }
      let size = FrameSize(width: Int(width), height: Int(height))
      picture = try run(picture, from, .rgb(size, format: target.format))
      from = .rgb(size, format: target.format)
    }
  }

  private func run(
    _ source: FrameBuffer, _ from: kino_picture_layout, _ to: kino_picture_layout
  ) throws -> FrameBuffer {
    let result = try FrameBuffer(
      size: FrameSize(width: Int(to.width), height: Int(to.height)), format: to.format)
    let scaler = try scaler(from, to)
    guard kino_scaler_convert(scaler.pointer, source.pointer, result.pointer) == to.height else {
      throw Scaler.failure(from, to)
    }
    return result
  }

  private func scaler(_ from: kino_picture_layout, _ to: kino_picture_layout) throws -> Scaler {
    if let known = scalers.first(where: { $0.matches(from, to) }) { return known }
    // A stream that keeps changing its size must not fill the memory.
    if scalers.count >= 8 { scalers.removeFirst() }
    let made = try Scaler(from, to)
    scalers.append(made)
    return made
  }

  private func cropped(_ source: FrameBuffer, to part: PixelRectangle) throws -> FrameBuffer {
    let size = source.size
    guard part.width != size.width || part.height != size.height else { return source }
    let result = try source.sharing()
    let status = kino_frame_crop(
      result.pointer, part.x, part.y, size.width - part.x - part.width,
      size.height - part.y - part.height)
    guard status >= 0 else {
      throw MediaError(
        .unsupported, details: "Pixel format \(PixelTraits(source.format).name) can't be cropped.")
    }
    return result
  }

  /// Lays straight RGBA over the background.
  private func composite(_ source: FrameBuffer) throws -> FrameBuffer {
    let result = try FrameBuffer(size: source.size, format: AV_PIX_FMT_RGB24)
    guard let from = source.firstPlane, let to = result.firstPlane else {
      throw MediaError.outOfMemory("a frame")
    }
    let under = (Int(background.red), Int(background.green), Int(background.blue))
    func mix(_ over: UInt8, _ under: Int, _ alpha: Int) -> UInt8 {
      UInt8((Int(over) * alpha + under * (255 - alpha) + 127) / 255)
    }
    for y in 0..<source.size.height {
      let (row, out) = (from.start + y * from.stride, to.start + y * to.stride)
      for x in 0..<source.size.width {
        let alpha = Int(row[4 * x + 3])
        out[3 * x] = mix(row[4 * x], under.0, alpha)
        out[3 * x + 1] = mix(row[4 * x + 1], under.1, alpha)
        out[3 * x + 2] = mix(row[4 * x + 2], under.2, alpha)
      }
    }
    return result
  }

  private func canvas(
    _ scaled: FrameBuffer, size: FrameSize, at place: PixelRectangle
  ) throws -> Frame {
    guard let plane = scaled.firstPlane else { throw MediaError.outOfMemory("a frame") }
    let rowBytes = place.width * 3
    let isWhole = place.width == size.width && place.height == size.height
    let total = size.pixelCount * 3
    let pixels = [UInt8](unsafeUninitializedCapacity: total) { result, count in
      if !isWhole {
        for index in 0..<size.pixelCount {
          result[3 * index] = background.red
          result[3 * index + 1] = background.green
          result[3 * index + 2] = background.blue
        }
      }
      guard let base = result.baseAddress else { return }
      for row in 0..<place.height {
        let to = base + ((place.y + row) * size.width + place.x) * 3
        to.update(from: plane.start + row * plane.stride, count: rowBytes)
      }
      count = total
    }
    return Frame(width: size.width, height: size.height, pixels: pixels)
  }
}

/// Owns one swscale context.
private final class Scaler {
  let pointer: UnsafeMutableRawPointer
  private let from, to: kino_picture_layout

  init(_ from: kino_picture_layout, _ to: kino_picture_layout) throws {
    let shrinks =
      to.width <= from.width && to.height <= from.height
      && (to.width < from.width || to.height < from.height)
    guard let pointer = kino_scaler_create(from, to, shrinks ? 1 : 0) else {
      throw Scaler.failure(from, to)
    }
    self.pointer = pointer
    self.from = from
    self.to = to
  }

  deinit { kino_scaler_free(pointer) }

  func matches(_ from: kino_picture_layout, _ to: kino_picture_layout) -> Bool {
    Self.isSame(self.from, from) && Self.isSame(self.to, to)
  }

  private static func isSame(_ a: kino_picture_layout, _ b: kino_picture_layout) -> Bool {
    a.width == b.width && a.height == b.height && a.format == b.format && a.matrix == b.matrix
      && a.full_range == b.full_range && a.chroma_x == b.chroma_x && a.chroma_y == b.chroma_y
  }

  static func failure(_ from: kino_picture_layout, _ to: kino_picture_layout) -> MediaError {
    MediaError(
      .unsupported,
      details: """
        FFmpeg can't turn \(from.width)x\(from.height) \(PixelTraits(from.format).name) into \
        \(to.width)x\(to.height) \(PixelTraits(to.format).name); choose a nearer size.
        """)
  }
}

extension Frame {
  /// Returns the frame at another size.
  ///
  /// Shrinking averages areas, growing is bicubic.
  ///
  /// - Parameters:
  ///   - size: The size of the result.
  ///   - fit: What happens if the shapes differ.
  ///   - background: What fills the rest with ``FitMode/pad``.
  /// - Returns: A frame of exactly `size`.
  /// - Throws: ``MediaError`` if memory runs out.
  public func resized(
    to size: FrameSize, fit: FitMode = .crop, background: Color = .black
  ) throws -> Frame {
    guard size != self.size else { return self }
    return try FrameConverter(fit: fit, background: background)
      .convert(FrameBuffer(self), to: size)
  }
}

extension Clip {
  /// Returns the clip with every frame at another size; see ``Frame/resized(to:fit:background:)``.
  public func resized(
    to size: FrameSize, fit: FitMode = .crop, background: Color = .black
  ) throws -> Clip {
    guard size != self.size else { return self }
    let converter = FrameConverter(fit: fit, background: background)
    var result = Clip(
      width: size.width, height: size.height, framesPerSecond: framesPerSecond, pixels: [])
    for frame in frames {
      result.append(try converter.convert(FrameBuffer(frame), to: size))
    }
    return result
  }
}
