import Foundation
import KinoMedia
import Testing

@Suite struct FailureTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  private func code(_ body: () throws -> Void) -> MediaError.Code? {
    #expect(throws: MediaError.self, performing: body)?.code
  }

  // MARK: Reading

  @Test func `each way a file can be wrong has its own error`() throws {
    let empty = try folder.write([], as: "empty.mp4")
    let noise = try folder.write((0..<4096).map { UInt8(truncatingIfNeeded: $0 * 97) }, as: "n.mp4")
    #expect(mkfifo(folder.file("pipe.mp4"), 0o600) == 0)
    let cases: [(String, MediaError.Code)] = [
      (folder.file("missing.mp4"), .fileNotFound), ("", .fileNotFound), (folder.path, .notAFile),
      (empty, .emptyFile), (noise, .notMedia), (folder.file("pipe.mp4"), .notAFile),
      ("/dev/zero", .notAFile), ("http://127.0.0.1:1/a.mp4", .fileNotFound),
      ("file:" + empty, .fileNotFound), (try Samples.fixture("text.txt"), .notMedia),
      (try Samples.fixture("sound.mp3"), .noVideo),
      (try Samples.fixture("huge.png"), .tooLarge),
    ]
    for (path, expected) in cases {
      #expect(code { _ = try Clip.read(path) } == expected, "\(path)")
      #expect(code { _ = try MediaInfo.probe(path) } == expected, "\(path)")
    }
  }

  @Test func `an unreadable file is an error`() throws {
    let path = try folder.write([1, 2, 3], as: "a.png")
    chmod(path, 0)
    // Root may read everything.
    if geteuid() != 0 { #expect(code { _ = try Clip.read(path) } == .unreadable) }
  }

  @Test(arguments: ["playlist.m3u8", "list.ffconcat"])
  func `playlists reach no other file`(name: String) throws {
    #expect(code { _ = try Clip.read(Samples.fixture(name)) } == .unsupported)
  }

  @Test func `what a killed program left half written is removed, what others write is not`() throws
  {
    let names = [".kino-old.partial", ".kino-new.partial", ".kino-busy.partial", ".other.partial"]
    for name in names {
      let path = try folder.write([1], as: name)
      if name == ".kino-new.partial" { continue }
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: path)
    }
    let busy = open(folder.file(".kino-busy.partial"), O_RDONLY | O_CLOEXEC)
    defer { close(busy) }
    #expect(flock(busy, LOCK_EX | LOCK_NB) == 0)
    try Samples.frame(phase: 1).write(to: folder.file("a.png"))
    #expect(
      try folder.names == [".kino-busy.partial", ".kino-new.partial", ".other.partial", "a.png"])
  }

  @Test func `names that look like patterns or protocols are plain names`() throws {
    for name in ["a%03d.png", "concat:b.png", "data:c.png", "*.png", "-i.png", "ключ 🎬.png"] {
      let frame = Samples.frame(phase: name.count)
      try frame.write(to: folder.file(name))
      #expect(try Frame.read(folder.file(name)) == frame, "\(name)")
      let clip = folder.file(name + ".mp4")
      try Samples.clip(frameCount: 2).write(to: clip)
      #expect(try Clip.read(clip).frameCount == 2, "\(name)")
    }
  }

  @Test func `limits are refused before decoding`() throws {
    let path = try Samples.fixture("upright.mp4")
    #expect(code { _ = try Clip.read(path, ReadOptions(pixelLimit: 48 * 32 - 1)) } == .tooLarge)
    #expect(code { _ = try Clip.read(path, ReadOptions(byteLimit: 48 * 32 * 3)) } == .tooLarge)
    #expect(try Clip.read(path, ReadOptions(pixelLimit: 48 * 32)).frameCount == 2)
  }

  @Test func `options out of range are refused`() throws {
    let path = try Samples.fixture("upright.mp4")
    let bad = [
      ReadOptions(framesPerSecond: 0), ReadOptions(framesPerSecond: .nan),
      ReadOptions(startSeconds: -1), ReadOptions(startSeconds: .infinity),
      ReadOptions(durationSeconds: 0), ReadOptions(frameLimit: 0),
      ReadOptions(size: FrameSize(width: 100_000, height: 100_000)),
    ]
    for options in bad {
      #expect(code { _ = try Clip.read(path, options) } == .invalidOption, "\(options)")
    }
  }

  @Test func `a truncated clip keeps what is there`() throws {
    try Samples.clip(width: 160, height: 120, frameCount: 40)
      .write(to: folder.file("a.mp4"), WriteOptions(crf: 5))
    let bytes = try folder.bytes("a.mp4")
    let path = try folder.write(Array(bytes.prefix(bytes.count * 2 / 3)), as: "cut.mp4")
    let clip = try Clip.read(path)
    #expect((5..<40).contains(clip.frameCount))
    let reader = try ClipReader(path: path)
    while try reader.next() != nil {}
    #expect(reader.decodeErrorCount > 0)
    let header = try folder.write(Array(bytes.prefix(100)), as: "header.mp4")
    #expect(throws: MediaError.self) { try Clip.read(header) }
  }

  // MARK: Damage

  @Test(arguments: [
    "sound.mp4", "vfr.mp4", "ten-bit.mp4", "ntsc.mkv", "uneven.gif", "animated.png", "alpha.png",
    "alpha.webp", "exif6.jpg", "quarters.tiff", "quarters.bmp", "cover.mp3",
  ])
  func `damaged files give frames or a MediaError`(name: String) throws {
    let original = [UInt8](
      try Data(contentsOf: URL(fileURLWithPath: try Samples.fixture(name))))
    for seed in 0..<60 {
      var random = SplitMix(state: UInt64(seed))
      var bytes = original
      for _ in 0...(seed % 12) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if seed % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      let path = try folder.write(bytes, as: name)
      let options = ReadOptions(frameLimit: 200, pixelLimit: 1 << 20, byteLimit: 1 << 28)
      do {
        let clip = try Clip.read(path, options)
        #expect(clip.frameCount > 0)
        #expect(try Clip.read(path, options) == clip, "\(name) \(seed)")
      } catch is MediaError {
      }
    }
  }

  // MARK: Writing

  @Test func `an existing file is kept unless overwriting is allowed`() throws {
    let path = try folder.write([1, 2, 3], as: "a.png")
    #expect(code { try Samples.frame().write(to: path) } == .outputExists)
    #expect(try folder.bytes("a.png") == [1, 2, 3])
    try Samples.frame().write(to: path, WriteOptions(overwrite: true))
    #expect(try Frame.read(path) == Samples.frame())
    #expect(try folder.names == ["a.png"])
  }

  @Test func `a file that appears meanwhile is kept`() throws {
    let clip = Samples.clip(frameCount: 2)
    let writer = try ClipWriter(
      path: folder.file("a.mp4"), size: clip.size, framesPerSecond: 16)
    try writer.append(clip)
    _ = try folder.write([7], as: "a.mp4")
    #expect(code { try writer.finish() } == .outputExists)
    #expect(try folder.bytes("a.mp4") == [7])
    #expect(try folder.names == ["a.mp4"])
  }

  @Test(arguments: ["a.mp4", "a.gif", "a.webp", "a.png"])
  func `the target appears only when finished`(name: String) throws {
    let frame = Samples.frame()
    do {
      let writer = try ClipWriter(
        path: folder.file(name), size: frame.size, framesPerSecond: 16)
      try writer.append(frame)
      #expect(try !folder.names.contains(name))
      #expect(try folder.names.allSatisfy { $0.hasPrefix(".") })
    }
    #expect(try folder.names.isEmpty, "dropped")
    let cancelled = try ClipWriter(path: folder.file(name), size: frame.size, framesPerSecond: 16)
    try cancelled.append(frame)
    cancelled.cancel()
    #expect(try folder.names.isEmpty, "cancelled")
    #expect(code { try cancelled.append(frame) } == .writerClosed)
    #expect(code { try cancelled.finish() } == .writerClosed)
    let empty = try ClipWriter(path: folder.file(name), size: frame.size, framesPerSecond: 16)
    #expect(code { try empty.finish() } == .invalidFrame)
    #expect(try folder.names.isEmpty, "empty")
    let wrong = try ClipWriter(path: folder.file(name), size: frame.size, framesPerSecond: 16)
    #expect(code { try wrong.append(Samples.frame(width: 10, height: 10)) } == .invalidFrame)
    #expect(try folder.names.isEmpty, "wrong size")
    try frame.write(to: folder.file(name))
    #expect(try folder.names == [name])
  }

  @Test func `cancel after finish keeps the file`() throws {
    let writer = try ClipWriter(
      path: folder.file("a.png"), size: Samples.frame().size, framesPerSecond: 1)
    try writer.append(Samples.frame())
    try writer.finish()
    writer.cancel()
    #expect(try folder.names == ["a.png"])
  }

  @Test func `targets that can't be written are refused at once`() throws {
    try FileManager.default.createDirectory(
      atPath: folder.file("folder.mp4"), withIntermediateDirectories: false)
    let cases: [(String, MediaError.Code)] = [
      (folder.file("no/such/a.mp4"), .folderMissing), (folder.file("folder.mp4"), .notAFile),
      (folder.file("a.avi"), .unsupported), (folder.file("a"), .unsupported),
      (folder.file("text.txt"), .unsupported),
    ]
    for (path, expected) in cases {
      #expect(
        code {
          _ = try ClipWriter(
            path: path, size: FrameSize(width: 8, height: 8), framesPerSecond: 16)
        } == expected, "\(path)")
    }
    for options in [
      WriteOptions(crf: 99), WriteOptions(quality: 0), WriteOptions(recipe: "no JSON"),
    ] {
      let found = code { try Samples.frame().write(to: folder.file("a.png"), options) }
      #expect(found == .invalidOption)
    }
    #expect(
      code {
        _ = try ClipWriter(
          path: folder.file("a.gif"), size: FrameSize(width: 8, height: 8), framesPerSecond: 120)
      } == .invalidOption)
    #expect(try folder.names == ["folder.mp4"])
  }

  @Test func `a second picture in a PNG is refused and leaves nothing`() throws {
    #expect(
      code { try Samples.clip(frameCount: 2).write(to: folder.file("a.png")) } == .unsupported)
    #expect(try folder.names.isEmpty)
  }

  @Test func `errors name the file and a next step`() throws {
    let error = #expect(throws: MediaError.self) { try Clip.read(folder.file("missing.mp4")) }
    #expect(error?.path == folder.file("missing.mp4"))
    #expect(error?.description.contains("check the path") == true)
  }
}
