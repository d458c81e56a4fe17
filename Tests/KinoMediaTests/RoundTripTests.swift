import Foundation
import KinoMedia
import Testing

@Suite struct RoundTripTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  @Test func `H.264 keeps a moving gradient`() throws {
    let clip = Samples.clip()
    let path = folder.file("a.mp4")
    try clip.write(to: path, WriteOptions(crf: 12))
    let read = try Clip.read(path)
    #expect(read.frameCount == 12)
    #expect(read.framesPerSecond == 16)
    #expect(read.size == clip.size)
    let comparison = ClipComparison(clip, read)
    #expect(comparison.psnr > 40)
    #expect(comparison.ssim > 0.98)
  }

  @Test func `Footage without noise stays above 40 dB when it is read and written again`() throws {
    // Quality 10 stands for footage, the standard quality for Kino's own.
    try Samples.clip(width: 128, height: 96).write(
      to: folder.file("source.mp4"), WriteOptions(crf: 10))
    let source = try Clip.read(folder.file("source.mp4"))
    try source.write(to: folder.file("kept.mp4"))
    let kept = ClipComparison(source, try Clip.read(folder.file("kept.mp4")))
    #expect(kept.framePSNRs.allSatisfy { $0 > 40 }, "\(kept.psnr)")
  }

  @Test func `PNG is exact`() throws {
    let frame = Samples.frame(width: 37, height: 23)
    try frame.write(to: folder.file("a.png"))
    #expect(try Frame.read(folder.file("a.png")) == frame)
  }

  @Test func `Lossless WebP is exact`() throws {
    let frame = Samples.frame(width: 37, height: 23)
    try frame.write(to: folder.file("a.webp"), WriteOptions(quality: 100))
    #expect(try Frame.read(folder.file("a.webp")) == frame)
  }

  @Test(arguments: [("a.jpg", 38.0), ("a.webp", 32.0), ("a.gif", 28.0)])
  func `lossy pictures stay close`(name: String, decibels: Double) throws {
    let frame = Samples.frame(width: 64, height: 48)
    try frame.write(to: folder.file(name))
    let read = try Frame.read(folder.file(name))
    #expect(ClipComparison(frame, read).psnr > decibels)
  }

  @Test func `JPEG quality trades size for likeness`() throws {
    let frame = Samples.frame(width: 128, height: 96)
    var sizes: [Int] = []
    var psnrs: [Double] = []
    for quality in [10, 50, 89, 100] {
      let name = "\(quality).jpg"
      try frame.write(to: folder.file(name), WriteOptions(quality: quality))
      sizes.append(try folder.bytes(name).count)
      psnrs.append(ClipComparison(frame, try Frame.read(folder.file(name))).psnr)
    }
    #expect(sizes == sizes.sorted())
    #expect(psnrs == psnrs.sorted())
  }

  @Test func `GIF keeps frames and rate`() throws {
    let clip = Samples.clip(frameCount: 20, framesPerSecond: 16)
    try clip.write(to: folder.file("a.gif"))
    let read = try Clip.read(folder.file("a.gif"), ReadOptions(framesPerSecond: 16))
    #expect(read.frameCount == 20)
    #expect(ClipComparison(clip, read).psnr > 26)
  }

  @Test func `an animated WebP is a WebP with as many frames`() throws {
    try Samples.clip(frameCount: 5).write(to: folder.file("a.webp"))
    let bytes = try folder.bytes("a.webp")
    let frames = bytes.indices.dropLast(4).filter { bytes[$0..<$0 + 4].elementsEqual("ANMF".utf8) }
    #expect(frames.count == 5)
  }

  @Test(arguments: [1.0, 12.5, 16, 23.976, 24000.0 / 1001, 25, 29.97, 30, 60, 120])
  func `rates survive`(rate: Double) throws {
    let clip = Samples.clip(width: 32, height: 32, frameCount: 7, framesPerSecond: rate)
    try clip.write(to: folder.file("a.mp4"))
    let read = try Clip.read(folder.file("a.mp4"))
    #expect(read.frameCount == 7)
    #expect(abs(read.framesPerSecond - rate) < 0.002)
  }

  @Test func `odd sizes grow by the repeated last column and row`() throws {
    let clip = Samples.clip(width: 35, height: 21, frameCount: 3)
    try clip.write(to: folder.file("a.mp4"), WriteOptions(crf: 5))
    let read = try Clip.read(folder.file("a.mp4"))
    #expect(read.size == FrameSize(width: 36, height: 22))
    let cut = Frame(
      width: 35, height: 21,
      pixels: (0..<21).flatMap { y in read[0].pixels[y * 108..<y * 108 + 105] })
    #expect(ClipComparison(clip[0], cut).psnr > 36)
  }

  @Test(arguments: ["a.mp4", "a.mov", "a.png", "a.jpg", "a.webp", "a.gif"])
  func `the recipe survives in every format`(name: String) throws {
    let long = String(repeating: "длинный <prompt> & \\\"quotes\\\" 🎬 ", count: 4000)
    for recipe in [#"{"seed":1}"#, #"{"prompt":"\#(long)","n":[1,2]}"#] {
      try Samples.frame().write(
        to: folder.file(name), WriteOptions(overwrite: true, recipe: recipe))
      #expect(try MediaInfo.probe(folder.file(name)).recipe == recipe)
      #expect(try Frame.read(folder.file(name)).size == FrameSize(width: 64, height: 48))
    }
  }

  @Test func `animations carry recipes too`() throws {
    let recipe = #"{"seed":2}"#
    try Samples.clip(frameCount: 3).write(to: folder.file("a.gif"), WriteOptions(recipe: recipe))
    #expect(try MediaInfo.probe(folder.file("a.gif")).recipe == recipe)
    try Samples.clip(frameCount: 3).write(to: folder.file("a.webp"), WriteOptions(recipe: recipe))
    let text = String(decoding: try folder.bytes("a.webp"), as: UTF8.self)
    #expect(text.contains("{&quot;seed&quot;:2}"))
  }

  @Test func `a title is stored, and a plain comment is no recipe`() throws {
    try Samples.clip(frameCount: 2).write(to: folder.file("a.mp4"), WriteOptions(title: "A tide"))
    let info = try MediaInfo.probe(folder.file("a.mp4"))
    #expect(info.title == "A tide")
    #expect(info.recipe == nil)
    #expect(info.codec == "h264")
    #expect(info.pixelFormat == "yuv420p")
    #expect(info.frameCount == 2)
    #expect(!info.hasAudio)
    #expect(abs(info.durationSeconds - 2.0 / 16) < 1e-3)
  }

  @Test(arguments: ["a.mp4", "a.gif", "a.webp", "a.png", "a.jpg"])
  func `the same frames give the same bytes`(name: String) throws {
    for (width, height) in [(96, 160), (65, 33)] {
      let clip = Samples.clip(
        width: width, height: height, frameCount: name.hasSuffix("g") ? 1 : 20)
      let options = WriteOptions(overwrite: true, recipe: "{}")
      try clip.write(to: folder.file("1" + name), options)
      try clip.write(to: folder.file("2" + name), options)
      #expect(try folder.bytes("1" + name) == folder.bytes("2" + name))
    }
  }

  @Test func `reading twice gives the same clip`() throws {
    try Samples.clip().write(to: folder.file("a.mp4"))
    #expect(try Clip.read(folder.file("a.mp4")) == Clip.read(folder.file("a.mp4")))
  }

  @Test func `the index of an MP4 comes before its frames`() throws {
    try Samples.clip().write(to: folder.file("a.mp4"))
    let bytes = try folder.bytes("a.mp4")
    func place(_ name: String) -> Int? {
      bytes.indices.dropLast(4).first { bytes[$0..<$0 + 4].elementsEqual(name.utf8) }
    }
    let (index, data) = (try #require(place("moov")), try #require(place("mdat")))
    #expect(index < data)
  }
}
