import Foundation
import KinoMedia
import Testing

/// Animated pictures, above all WebP, which FFmpeg 5 writes and can't read.
@Suite struct AnimationTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  @Test(arguments: [1.0, 5, 12, 12.5, 16, 23.976, 25, 29.97, 30, 60])
  func `A lossless animated WebP is exact, at its rate`(rate: Double) throws {
    let clip = Samples.clip(width: 37, height: 23, frameCount: 9, framesPerSecond: rate)
    let path = folder.file("a.webp")
    try clip.write(to: path, WriteOptions(quality: 100, recipe: #"{"seed":1}"#))
    let read = try Clip.read(path)
    #expect(read.frames.elementsEqual(clip.frames))
    #expect(read.frameRate == clip.frameRate)
    let info = try MediaInfo.probe(path)
    #expect(info.frameCount == 9 && info.width == 37 && info.height == 23 && info.codec == "webp")
    #expect(abs(info.durationSeconds - clip.durationSeconds) < 0.01)
    #expect(info.recipe == #"{"seed":1}"#)
    #expect(try ClipReader.presentedFrameCount(path) == 9)
    #expect(try Clip.readEnd(path, frames: 2) == read[7...])
  }

  @Test func `Frames that stand still are not lost in an animated WebP`() throws {
    let shown = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]
    for rate in [12, 16, 24, 29.97] {
      let clip = Clip(frames: shown.map { Samples.frame(phase: $0) }, framesPerSecond: rate)
      let path = folder.file("\(rate).webp")
      try clip.write(to: path, WriteOptions(quality: 100))
      let read = try Clip.read(path, ReadOptions(framesPerSecond: rate))
      #expect(read.frames.elementsEqual(clip.frames), "\(rate)")
      // Ten frames in milliseconds do not tell 29.97 from 30.
      #expect(abs(try MediaInfo.probe(path).framesPerSecond - rate) < 0.05, "\(rate)")
    }
  }

  @Test func `A lossy animated WebP stays close, also in parts and at other sizes`() throws {
    let clip = Samples.clip(frameCount: 12)
    try clip.write(to: folder.file("a.webp"))
    let read = try Clip.read(folder.file("a.webp"))
    #expect(ClipComparison(clip, read).psnr > 30)
    let part = try Clip.read(
      folder.file("a.webp"), ReadOptions(startSeconds: 0.25, durationSeconds: 0.25))
    #expect(part == read[4..<8])
    let small = try Clip.read(
      folder.file("a.webp"), ReadOptions(size: FrameSize(width: 32, height: 24)))
    #expect(small.frameCount == 12 && small.size == FrameSize(width: 32, height: 24))
  }

  @Test func `Uneven delays are sampled by the delays, and clear pixels show the background`()
    throws
  {
    let path = try Samples.fixture("uneven.webp")
    let clip = try Clip.read(path)
    #expect(clip.frameRate == FrameRate(10))
    let levels = clip.frames.map { Int((Double($0[x: 4, y: 8].red) / 60).rounded()) }
    #expect(levels == [1, 2, 2, 2, 2, 3, 4, 4])
    #expect(clip.frames.allSatisfy { $0[x: 12, y: 8] == .black }, "no colour of clear pixels")
    let white = try Clip.read(path, ReadOptions(background: .white))
    #expect(white.frames.allSatisfy { $0[x: 12, y: 8] == .white })
  }

  @Test func `Limits hold before memory is taken`() throws {
    try Samples.clip(frameCount: 3).write(to: folder.file("a.webp"))
    let error = #expect(throws: MediaError.self) {
      try Clip.read(folder.file("a.webp"), ReadOptions(pixelLimit: 64 * 48 - 1))
    }
    #expect(error?.code == .tooLarge)
    var bytes = try folder.bytes("a.webp")
    bytes.replaceSubrange(24..<30, with: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    let huge = try folder.write(bytes, as: "huge.webp")
    #expect(throws: MediaError.self) { try Clip.read(huge) }
  }

  @Test func `A damaged animation gives frames or a MediaError`() throws {
    try Samples.clip(frameCount: 6).write(to: folder.file("a.webp"))
    let original = try folder.bytes("a.webp")
    for seed in 0..<80 {
      var random = SplitMix(state: UInt64(seed))
      var bytes = original
      for _ in 0...(seed % 12) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if seed % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      let path = try folder.write(bytes, as: "b.webp")
      do {
        let options = ReadOptions(frameLimit: 200, pixelLimit: 1 << 20, byteLimit: 1 << 28)
        #expect(try Clip.read(path, options).frameCount > 0)
      } catch is MediaError {
      }
    }
  }

  @Test(arguments: [8, 10, 12, 12.5, 15, 16, 24, 30, 48, 50])
  func `An animated GIF keeps its frames and their rate`(rate: Double) throws {
    for count in [2, 9, 40] {
      let clip = Samples.clip(
        width: 24, height: 16, frameCount: count, framesPerSecond: rate)
      let path = folder.file("\(count).gif")
      try clip.write(to: path, WriteOptions(overwrite: true))
      let read = try Clip.read(path)
      #expect(read.frameCount == count)
      // Two frames tell no more than the delay between them.
      #expect(read.frameRate == clip.frameRate || count == 2, "\(count): \(read.frameRate)")
      #expect(try ClipReader.presentedFrameCount(path) == count)
    }
  }

  @Test func `A GIF faster than players show is refused`() throws {
    let clip = Samples.clip(frameCount: 2, framesPerSecond: 60)
    let error = #expect(throws: MediaError.self) { try clip.write(to: folder.file("a.gif")) }
    #expect(error?.code == .invalidOption)
  }
}
