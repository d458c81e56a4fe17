import Foundation
import Testing

@testable import KinoMedia

/// Pictures that go from file to file as they are stored.
@Suite struct StoredPicturesTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  private func file(_ name: String, _ clip: Clip, crf: Double = 18) throws -> String {
    try clip.write(to: folder.file(name), WriteOptions(crf: crf))
    return folder.file(name)
  }

  private func writer(_ name: String = "joined.mp4", rate: Double = 16) throws -> ClipWriter {
    try ClipWriter(
      path: folder.file(name), size: FrameSize(width: 64, height: 48), framesPerSecond: rate,
      options: WriteOptions(overwrite: true))
  }

  @Test(arguments: [(0, 5), (1, 0), (2, 1), (3, 3), (7, 12), (0, 0)])
  func `Stored pictures stand between encoded ones, bit for bit`(before: Int, after: Int) throws {
    let source = try file("source.mp4", Samples.clip())
    let others = Samples.clip(frameCount: 12)
    let writer = try writer()
    for frame in others.frames.prefix(before) { try writer.append(frame) }
    try writer.append(#require(try writer.stored(source)))
    for frame in others.frames.prefix(after) { try writer.append(frame) }
    #expect(writer.frameCount == before + 12 + after)
    try writer.finish()
    let joined = try Clip.read(writer.path)
    #expect(joined.frameCount == before + 12 + after)
    #expect(try joined[before..<before + 12] == Clip.read(source))
    for index in 0..<before { #expect(ClipComparison(others[index], joined[index]).psnr > 30) }
    for index in 0..<after {
      #expect(ClipComparison(others[index], joined[before + 12 + index]).psnr > 30)
    }
    #expect(try ClipReader.presentedFrameCount(writer.path) == joined.frameCount)
    // From every place in it.
    for index in [1, before, before + 11] where index < joined.frameCount {
      var options = ReadOptions(startSeconds: Double(index) / 16)
      options.frameLimit = 1
      #expect(try Clip.read(writer.path, options)[0] == joined[index])
    }
  }

  @Test(arguments: [1, 2, 3, 30]) func `Short clips can be joined, and joined again`(
    count: Int
  ) throws {
    let source = try file("source.mp4", Samples.clip(frameCount: count), crf: 30)
    var path = source
    for round in 1...3 {
      let writer = try writer("\(round).mp4")
      try writer.append(#require(try writer.stored(path)))
      try writer.append(#require(try writer.stored(source)))
      try writer.finish()
      path = writer.path
    }
    let (joined, once) = (try Clip.read(path), try Clip.read(source))
    #expect(joined.frameCount == 4 * count)
    for part in 0..<4 { #expect(joined[part * count..<(part + 1) * count] == once) }
  }

  @Test func `Pictures of another size, rate, codec or place are not taken`() throws {
    let writer = try writer()
    let stored = try writer.stored(file("a.mp4", Samples.clip()))
    #expect(stored?.frameCount == 12)
    #expect(try writer.stored(file("a.mov", Samples.clip())) != nil)
    #expect(try writer.stored(file("size.mp4", Samples.clip(height: 64))) == nil)
    #expect(try writer.stored(file("rate.mp4", Samples.clip(framesPerSecond: 17))) == nil)
    #expect(try writer.stored(file("lossless.mp4", Samples.clip(), crf: 0)) == nil)
    #expect(try writer.stored(file("a.gif", Samples.clip())) == nil)
    for name in ["rotated90.mp4", "edit.mp4", "hevc-ten-bit.mp4", "bt709-tv.mp4", "alpha.png"] {
      #expect(try writer.stored(Samples.fixture(name)) == nil)
    }
    // Its file is a pixel larger than its frames.
    let odd = try ClipWriter(
      path: folder.file("odd.mp4"), size: FrameSize(width: 63, height: 48), framesPerSecond: 16)
    #expect(try odd.stored(folder.file("a.mp4")) == nil)
    let picture = try ClipWriter(
      path: folder.file("b.gif"), size: FrameSize(width: 64, height: 48), framesPerSecond: 16)
    #expect(try picture.stored(folder.file("a.mp4")) == nil)
  }

  @Test func `Damaged files are not taken, or do no harm`() throws {
    let whole = try folder.bytes((file("a.mp4", Samples.clip()) as NSString).lastPathComponent)
    var random = SplitMix(state: 5)
    for round in 0..<40 {
      var bytes = whole
      for _ in 0..<(1 + round / 4) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if round % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count / 2))) }
      let path = try folder.write(bytes, as: "damaged.mp4")
      let writer = try writer()
      do {
        guard let stored = try writer.stored(path) else { continue }
        try writer.append(stored)
        try writer.append(Samples.frame())
        try writer.finish()
        #expect(try ClipReader.presentedFrameCount(writer.path) == stored.frameCount + 1)
      } catch is MediaError {
      }
    }
  }
}
