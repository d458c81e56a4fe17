import Foundation
import KinoMedia
import Testing

@Suite struct ReadingTests {
  /// Which frame of a gray-level fixture (20 levels a frame) is shown.
  private func shown(_ clip: Clip) -> [Int] {
    clip.frames.map { Int((Double($0[x: 16, y: 16].green) / 20).rounded()) }
  }

  // MARK: Time

  @Test func `a variable rate is sampled by timestamps`() throws {
    let clip = try Clip.read(
      Samples.fixture("vfr.mp4"), ReadOptions(framesPerSecond: 10))
    #expect(shown(clip) == [0, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9])
  }

  @Test func `a lower rate skips frames and a higher one repeats them`() throws {
    let path = try Samples.fixture("sound.mp4")
    #expect(try shown(Clip.read(path, ReadOptions(framesPerSecond: 5))) == [0, 2, 4, 6, 8])
    #expect(
      try shown(Clip.read(path, ReadOptions(framesPerSecond: 20)))
        == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9])
    #expect(try shown(Clip.read(path, ReadOptions(framesPerSecond: 4))) == [0, 2, 5, 7])
  }

  @Test func `the own rate keeps every frame once, with sound or rounded times`() throws {
    #expect(try shown(Clip.read(Samples.fixture("sound.mp4"))) == Array(0..<10))
    let clip = try Clip.read(Samples.fixture("ntsc.mkv"))
    #expect(shown(clip) == Array(0..<10))
    #expect(abs(clip.framesPerSecond - 30000.0 / 1001) < 1e-3)
  }

  @Test(arguments: [0.0, 0.1, 0.3, 0.5, 0.9])
  func `a part begins and ends where asked`(start: Double) throws {
    let clip = try Clip.read(
      Samples.fixture("sound.mp4"), ReadOptions(startSeconds: start, durationSeconds: 0.3))
    let first = Int((start * 10).rounded())
    #expect(shown(clip) == Array(first..<min(10, first + 3)))
  }

  @Test func `a part of a long clip equals that part of the whole`() throws {
    let folder = try Folder()
    let path = folder.file("long.mp4")
    let frames = (0..<320).map { Samples.frame(width: 32, height: 32, phase: $0) }
    // Key frames are at most 250 apart, so the later parts are sought.
    try Clip(frames: frames, framesPerSecond: 16).write(to: path)
    let whole = try Clip.read(path)
    #expect(whole.frameCount == 320)
    for first in [1, 100, 249, 250, 251, 300] {
      let part = try Clip.read(
        path, ReadOptions(startSeconds: Double(first) / 16, durationSeconds: 0.5))
      #expect(part == whole[first..<first + 8], "\(first)")
    }
  }

  @Test func `a clip of uneven rate is read at the rate that shows every frame`() throws {
    let clip = try Clip.read(Samples.fixture("slowing.mp4"))
    #expect(clip.frameRate == FrameRate(12))
    #expect(
      clip.frames.map { Int((Double($0[x: 16, y: 16].green) / 20).rounded()) }
        == [0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11])
  }

  @Test func `an edit list hides what it hides, and a clock may begin anywhere`() throws {
    #expect(try shown(Clip.read(Samples.fixture("edit.mp4"))) == Array(3..<10))
    #expect(try shown(Clip.read(Samples.fixture("sweep.ts"))) == Array(0..<10))
    #expect(try shown(Clip.read(Samples.fixture("sweep-early.mp4"))) == Array(0..<10))
    #expect(
      try shown(Clip.read(Samples.fixture("sweep.ts"), ReadOptions(startSeconds: 0.4)))
        == Array(4..<10))
  }

  @Test func `a clip beside its cover is the clip`() throws {
    let info = try MediaInfo.probe(Samples.fixture("tracks.mp4"))
    #expect(info.width == 32 && info.codec == "h264" && info.soundTracks.count == 2)
    #expect(try shown(Clip.read(Samples.fixture("tracks.mp4"))) == Array(0..<10))
  }

  @Test func `a start after the end is an error`() throws {
    let path = try Samples.fixture("sound.mp4")
    let error = #expect(throws: MediaError.self) {
      try Clip.read(path, ReadOptions(startSeconds: 60))
    }
    #expect(error?.code == .noVideo)
  }

  @Test func `the frame limit holds`() throws {
    let path = try Samples.fixture("sound.mp4")
    #expect(try Clip.read(path, ReadOptions(frameLimit: 3)).frameCount == 3)
  }

  @Test func `a GIF with uneven delays is sampled by its delays`() throws {
    let clip = try Clip.read(Samples.fixture("uneven.gif"))
    let levels = clip.frames.map { Int((Double($0[x: 8, y: 8].red) / 60).rounded()) }
    #expect(clip.framesPerSecond == 10)
    #expect(levels.prefix(8) == [0, 1, 2, 2, 2, 2, 2, 3])
  }

  @Test func `an animated PNG has its frames`() throws {
    let clip = try Clip.read(Samples.fixture("animated.png"))
    #expect(clip.frames.map { $0[x: 8, y: 8].red } == [0, 60, 120, 180])
  }

  // MARK: Geometry

  /// The colours near the corners: top left, top right, bottom left, bottom right.
  private func corners(_ frame: Frame, inset: Int = 3) -> [String] {
    let (right, bottom) = (frame.width - 1 - inset, frame.height - 1 - inset)
    return [(inset, inset), (right, inset), (inset, bottom), (right, bottom)].map { place in
      let color = frame[x: place.0, y: place.1]
      switch (color.red > 240, color.green > 240, color.blue > 240) {
      case (true, false, false) where color.green < 12 && color.blue < 12: return "red"
      case (false, true, false) where color.red < 12 && color.blue < 12: return "green"
      case (false, false, true) where color.red < 12 && color.green < 12: return "blue"
      case (true, true, true): return "white"
      default: return "\(color)"
      }
    }
  }

  @Test(arguments: [
    ("upright.mp4", 48, 32, ["red", "green", "blue", "white"]),
    ("rotated90.mp4", 32, 48, ["blue", "red", "white", "green"]),
    ("rotated180.mp4", 48, 32, ["white", "blue", "green", "red"]),
    ("rotated270.mp4", 32, 48, ["green", "white", "red", "blue"]),
    ("exif6.jpg", 32, 48, ["blue", "red", "white", "green"]),
  ])
  func `rotation tags are applied`(
    name: String, width: Int, height: Int, colors: [String]
  ) throws {
    let frame = try Frame.read(Samples.fixture(name))
    #expect(frame.size == FrameSize(width: width, height: height))
    #expect(corners(frame) == colors)
    let info = try MediaInfo.probe(Samples.fixture(name))
    #expect(info.width == width && info.height == height)
  }

  @Test func `rotated clips fit a target as they are shown`() throws {
    let size = FrameSize(width: 20, height: 40)
    let frame = try Frame.read(Samples.fixture("rotated90.mp4"), ReadOptions(size: size))
    #expect(frame.size == size)
    #expect(corners(frame) == ["blue", "red", "white", "green"])
  }

  @Test func `pixels that are not square become square`() throws {
    let path = try Samples.fixture("wide-pixels.mp4")
    #expect(try Frame.read(path).size == FrameSize(width: 96, height: 32))
    let frame = try Frame.read(
      path, ReadOptions(size: FrameSize(width: 60, height: 60), fit: .pad))
    #expect(frame[x: 30, y: 19] == .black)
    #expect(corners(try Frame.read(path)) == ["red", "green", "blue", "white"])
    #expect(frame[x: 5, y: 24].red > 200)
  }

  @Test func `odd sizes are read as they are`() throws {
    let frame = try Frame.read(Samples.fixture("odd.mp4"))
    #expect(frame.size == FrameSize(width: 33, height: 21))
    #expect(corners(frame, inset: 2) == ["red", "green", "blue", "white"])
  }

  @Test func `a size that changes within the stream is brought to the first one`() throws {
    let clip = try Clip.read(Samples.fixture("changing.h264"))
    #expect(clip.size == FrameSize(width: 48, height: 32))
    #expect(clip.frameCount == 4)
    for frame in clip.frames { #expect(corners(frame) == ["red", "green", "blue", "white"]) }
  }

  @Test func `fit modes lay out what they say`() throws {
    var frame = Frame(width: 40, height: 20, color: .white)
    frame.draw(Frame(width: 10, height: 20, color: Color(red: 255, green: 0, blue: 0)), x: 0, y: 0)
    let square = FrameSize(width: 20, height: 20)
    let stretched = try frame.resized(to: square, fit: .stretch)
    #expect(stretched[x: 1, y: 10] == Color(red: 255, green: 0, blue: 0))
    #expect(stretched[x: 18, y: 10] == .white)
    let cropped = try frame.resized(to: square, fit: .crop)
    #expect(cropped == Frame(width: 20, height: 20, color: .white))
    let padded = try frame.resized(
      to: square, fit: .pad, background: Color(red: 1, green: 2, blue: 3))
    #expect(padded[x: 10, y: 4] == Color(red: 1, green: 2, blue: 3))
    #expect(padded[x: 1, y: 10] == Color(red: 255, green: 0, blue: 0))
    #expect(padded[x: 15, y: 5] == .white)
    #expect(padded[x: 15, y: 15] == Color(red: 1, green: 2, blue: 3))
  }

  @Test(arguments: [(1, 1), (2, 3), (17, 5), (640, 480), (20000, 10), (10, 20000)])
  func `a flat colour stays what it is at any size`(width: Int, height: Int) throws {
    let color = Color(red: 200, green: 50, blue: 10)
    for source in [(1, 1), (3, 5), (64, 48), (5000, 30), (30, 3000)] {
      let frame = try Frame(width: source.0, height: source.1, color: color)
        .resized(to: FrameSize(width: width, height: height), fit: .stretch)
      let places = [(0, 0), (width - 1, height - 1), (width / 2, height / 2), (0, height - 1)]
      #expect(places.allSatisfy { distance(frame[x: $0.0, y: $0.1], color) <= 1 }, "\(source)")
    }
  }

  @Test func `shrinking averages`() throws {
    let pixels = (0..<64 * 64).flatMap { index -> [UInt8] in
      (index + index / 64) % 2 == 0 ? [255, 255, 255] : [0, 0, 0]
    }
    let small = try Frame(width: 64, height: 64, pixels: pixels)
      .resized(to: FrameSize(width: 16, height: 16))
    #expect(small.pixels.allSatisfy { (125...130).contains($0) })
  }

  // MARK: Colour

  @Test(arguments: ["bt709", "bt601", "bt2020"], ["tv", "pc"])
  func `matrices and ranges come out as the same colours`(matrix: String, range: String) throws {
    let frame = try Frame.read(Samples.fixture("\(matrix)-\(range).mp4"))
    let expected: [(Int, Int, Color)] = [
      (5, 5, Color(red: 255, green: 0, blue: 0)), (40, 5, Color(red: 0, green: 255, blue: 0)),
      (5, 26, Color(red: 0, green: 0, blue: 255)), (40, 26, .white),
    ]
    for (x, y, color) in expected {
      #expect(distance(frame[x: x, y: y], color) <= 5, "\(frame[x: x, y: y]) for \(color)")
    }
  }

  @Test(arguments: [
    "quarters.bmp", "quarters.tiff", "deep.png", "ten-bit.mp4", "upright.jpg", "hevc-ten-bit.mp4",
    "full601.mp4", "full601-untagged.mp4", "palette.png", "cmyk.jpg",
  ])
  func `depths and formats come out as the same colours`(name: String) throws {
    #expect(corners(try Frame.read(Samples.fixture(name))) == ["red", "green", "blue", "white"])
  }

  @Test(arguments: ["gray.png", "gray16.png", "gray.mp4"])
  func `gray pictures keep their range`(name: String) throws {
    let frame = try Frame.read(Samples.fixture(name))
    #expect(distance(frame[x: 40, y: 26], .white) <= 2)
    #expect(distance(frame[x: 5, y: 5], Color(red: 76, green: 76, blue: 76)) <= 4)
    #expect(distance(frame[x: 5, y: 26], Color(red: 29, green: 29, blue: 29)) <= 4)
  }

  @Test(arguments: ["alpha.png", "alpha.webp"])
  func `transparent pixels show the background`(name: String) throws {
    let path = try Samples.fixture(name)
    let black = try Frame.read(path)
    #expect(black[x: 3, y: 4] == Color(red: 255, green: 0, blue: 0))
    #expect(black[x: 12, y: 4] == .black)
    #expect(distance(black[x: 20, y: 4], Color(red: 0, green: 0, blue: 128)) <= 2)
    let white = try Frame.read(path, ReadOptions(background: .white))
    #expect(white[x: 12, y: 4] == .white)
    #expect(distance(white[x: 20, y: 4], Color(red: 128, green: 128, blue: 255)) <= 2)
  }

  @Test func `clear pixels hide their colour at any size`() throws {
    let path = try Samples.fixture("disc.png")
    for side in [32, 31, 16, 8, 64, 200] {
      for fit in FitMode.allCases {
        let size = FrameSize(width: side, height: side * 3 / 4)
        let frame = try Frame.read(path, ReadOptions(size: size, fit: fit))
        for y in 0..<frame.height {
          for x in 0..<frame.width {
            let color = frame[x: x, y: y]
            #expect(
              abs(Int(color.red) - Int(color.green)) <= 2
                && abs(Int(color.blue) - Int(color.green)) <= 2, "\(color) at \(x), \(y)")
          }
        }
      }
    }
    let white = try Frame.read(path, ReadOptions(background: .white))
    #expect(white == Frame(width: 32, height: 32, color: .white))
  }

  @Test(arguments: ["clear.webm", "clear8.webm"])
  func `transparent video shows the background`(name: String) throws {
    let clip = try Clip.read(Samples.fixture(name))
    #expect(clip.frameCount == 5)
    for frame in clip.frames {
      #expect(distance(frame[x: 4, y: 16], .white) <= 6)
      #expect(distance(frame[x: 26, y: 16], .black) <= 6)
    }
    #expect(try ClipReader.presentedFrameCount(Samples.fixture(name)) == 5)
    #expect(try Clip.readEnd(Samples.fixture(name), frames: 2) == clip[3...])
  }

  @Test func `footage that is read and written again and again keeps its colours`() throws {
    let folder = try Folder()
    let color = Color(red: 180, green: 120, blue: 60)
    try Clip(
      frames: Array(repeating: Frame(width: 96, height: 64, color: color), count: 4),
      framesPerSecond: 12
    ).write(to: folder.file("0.mp4"))
    for index in 0..<10 {
      try Clip.read(folder.file("\(index).mp4")).write(to: folder.file("\(index + 1).mp4"))
    }
    let first = try Frame.read(folder.file("1.mp4"))
    #expect(distance(first[x: 40, y: 30], color) <= 2)
    #expect(try Frame.read(folder.file("10.mp4")) == first)
  }

  @Test(arguments: [
    Color(red: 255, green: 0, blue: 0), Color(red: 0, green: 255, blue: 0),
    Color(red: 0, green: 0, blue: 255), Color(red: 128, green: 128, blue: 128), .black, .white,
    Color(red: 10, green: 200, blue: 90),
  ])
  func `pure colours survive H.264, and other readers agree`(color: Color) throws {
    let folder = try Folder()
    // One below and one above the size at which readers guess BT.709.
    for (width, height) in [(64, 48), (64, 720)] {
      let path = folder.file("\(width)x\(height).mp4")
      try Frame(width: width, height: height, color: color).write(to: path, WriteOptions(crf: 10))
      let read = try Frame.read(path)
      #expect(distance(read[x: 20, y: 20], color) <= 3)
    }
  }

  @Test func `a cover is a picture, and sound is noticed`() throws {
    let info = try MediaInfo.probe(Samples.fixture("cover.mp3"))
    #expect(info.hasAudio)
    #expect(info.width == 24 && info.height == 8 && info.frameCount == 1)
    #expect(try Clip.read(Samples.fixture("cover.mp3")).frameCount == 1)
    #expect(try MediaInfo.probe(Samples.fixture("sound.mp4")).hasAudio)
    #expect(try !MediaInfo.probe(Samples.fixture("upright.mp4")).hasAudio)
  }

  @Test(arguments: [
    ("upright.mp4", 0, "BT.709, limited range"), ("rotated90.mp4", 90, "BT.709, limited range"),
    ("rotated180.mp4", 180, "BT.709, limited range"),
    ("rotated270.mp4", 270, "BT.709, limited range"), ("full601.mp4", 0, "BT.601, full range"),
    ("full601-untagged.mp4", 0, "matrix untagged, taken as BT.601; full range"),
    ("exif6.jpg", 90, "BT.601, full range"), ("alpha.png", 0, "RGB"),
    ("sound.mp4", 0, "untagged, taken as BT.601, limited range"),
    ("changing.h264", 0, "BT.709, limited range"), ("gray16.png", 0, "gray, full range"),
  ])
  func `how pictures are turned and coloured is told`(
    name: String, degrees: Int, colors: String
  ) throws {
    let info = try MediaInfo.probe(Samples.fixture(name))
    #expect(info.rotationDegrees == degrees && !info.isMirrored)
    #expect(info.colors.description == colors)
  }

  @Test func `tracks that are neither shown nor heard are told`() throws {
    let info = try MediaInfo.probe(Samples.fixture("tracks.mp4"))
    #expect(info.ignoredTracks == ["audio aac", "subtitle mov_text", "video mjpeg (cover)"])
    #expect(try MediaInfo.probe(Samples.fixture("sound.mp4")).ignoredTracks.isEmpty)
  }

  @Test func `a still picture is one frame at any rate`() throws {
    for rate in [1.0, 16, 120] {
      let clip = try Clip.read(
        Samples.fixture("alpha.png"), ReadOptions(framesPerSecond: rate, durationSeconds: 2))
      #expect(clip.frameCount == 1)
      #expect(clip.framesPerSecond == rate)
    }
  }

  private func distance(_ a: Color, _ b: Color) -> Int {
    max(
      abs(Int(a.red) - Int(b.red)), abs(Int(a.green) - Int(b.green)),
      abs(Int(a.blue) - Int(b.blue)))
  }
}
