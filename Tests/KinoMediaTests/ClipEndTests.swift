import Foundation
import KinoMedia
import Testing

@Suite struct ClipEndTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  @Test(arguments: [
    "upright.mp4", "vfr.mp4", "sound.mp4", "ntsc.mkv", "sweep.ts", "sweep-early.mp4", "edit.mp4",
    "rotated90.mp4", "changing.h264", "uneven.gif", "animated.png", "alpha.png", "cover.mp3",
    "film.mpg", "ten-bit.mp4",
  ])
  func `The end is the end of the whole, bit for bit, and the count is exact`(name: String) throws {
    let path = try Samples.fixture(name)
    for options in [
      ReadOptions(), ReadOptions(framesPerSecond: 7), ReadOptions(framesPerSecond: 25),
      ReadOptions(startSeconds: 0.15), ReadOptions(durationSeconds: 0.35),
      ReadOptions(size: FrameSize(width: 20, height: 12), frameLimit: 5),
    ] {
      guard let whole = try? Clip.read(path, options) else { continue }
      #expect(try ClipReader.presentedFrameCount(path, options) == whole.frameCount)
      for count in [1, 2, 3, 100] {
        let end = try Clip.readEnd(path, frames: count, options)
        #expect(end == whole[max(0, whole.frameCount - count)...], "\(count), \(options)")
      }
    }
  }

  @Test func `The end of a long clip with B frames is sought`() throws {
    let path = folder.file("long.mp4")
    let frames = (0..<700).map { Samples.frame(width: 32, height: 32, phase: $0) }
    try Clip(frames: frames, framesPerSecond: 29.97).write(to: path)
    let whole = try Clip.read(path)
    #expect(whole.frameCount == 700)
    for count in [1, 17, 199, 200, 201, 449, 450, 451, 700, 900] {
      #expect(try Clip.readEnd(path, frames: count) == whole[max(0, 700 - count)...], "\(count)")
    }
    let clock = ContinuousClock()
    let (end, all) = (
      try clock.measure { _ = try Clip.readEnd(path, frames: 9) },
      try clock.measure { _ = try Clip.read(path) }
    )
    #expect(end < all)
  }

  @Test func `The end of a clip whose groups are open does not depend on where it was sought`()
    throws
  {
    let path = try Samples.fixture("open.ts")
    let whole = try Clip.read(path)
    #expect(whole.frameCount == 60)
    for count in 1...60 {
      #expect(try Clip.readEnd(path, frames: count) == whole[(60 - count)...], "\(count)")
    }
    for first in stride(from: 1, to: 60, by: 7) {
      let part = ReadOptions(startSeconds: Double(first) / 12)
      #expect(try Clip.read(path, part) == whole[first...], "\(first)")
    }
  }

  @Test(arguments: ["sound.mp4", "vfr.mp4", "sweep.ts", "ntsc.mkv", "edit.mp4"])
  func `The end of a damaged clip is still the end of the whole`(name: String) throws {
    let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Samples.fixture(name))))
    for seed in 0..<40 {
      var random = SplitMix(state: UInt64(seed))
      var bytes = original
      for _ in 0...(seed % 12) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if seed % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      let path = try folder.write(bytes, as: name)
      let options = ReadOptions(frameLimit: 200, pixelLimit: 1 << 20, byteLimit: 1 << 28)
      guard let whole = try? Clip.read(path, options), whole.frameCount < 200 else { continue }
      let end = try Clip.readEnd(path, frames: 3, options)
      #expect(end == whole[max(0, whole.frameCount - 3)...], "\(seed)")
    }
  }

  @Test func `No frames and no picture are errors`() throws {
    let path = try Samples.fixture("sound.mp4")
    #expect(throws: MediaError.self) { try Clip.readEnd(path, frames: 0) }
    let late = ReadOptions(startSeconds: 60)
    #expect(try ClipReader.presentedFrameCount(path, late) == 0)
    let error = #expect(throws: MediaError.self) { try Clip.readEnd(path, frames: 3, late) }
    #expect(error?.code == .noVideo)
  }
}
