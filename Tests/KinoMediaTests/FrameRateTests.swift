import Foundation
import KinoMedia
import Testing

@Suite struct FrameRateTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  @Test(
    arguments: [
      (24, 24, 1), (23.976, 24_000, 1001), (23.98, 24_000, 1001), (29.97, 30_000, 1001),
      (59.94, 60_000, 1001), (119.88, 120_000, 1001), (24_000.0 / 1001, 24_000, 1001),
      (11.988, 12_000, 1001), (12.5, 25, 2), (0.5, 1, 2), (16.66, 833, 50), (1000, 1000, 1),
      (9.6, 48, 5), (59.9999, 60, 1),
    ] as [(Double, Int, Int)])
  func `Numbers mean fractions`(number: Double, numerator: Int, denominator: Int) throws {
    let rate = try #require(FrameRate(number))
    #expect(rate == FrameRate(numerator, denominator))
    #expect(FrameRate(rate.framesPerSecond) == rate)
    #expect(FrameRate(rate.description) == rate)
    #expect(FrameRate("\(number)") == rate)
  }

  @Test func `Fractions are in lowest terms, and text is parsed strictly`() {
    #expect(FrameRate(60_000, 2002) == FrameRate(30_000, 1001))
    #expect(
      FrameRate(30, 1).description == "30" && FrameRate(30_000, 1001).description == "30000/1001")
    for text in ["", "0", "-1", "24/0", "/", "1/2/3", "nan", "inf", "24 fps", "1e9", "1/100000"] {
      #expect(FrameRate(text) == nil, "\(text)")
    }
    for number in [0, -1, .nan, .infinity, 1e9] { #expect(FrameRate(number) == nil) }
  }

  @Test func `Rates survive JSON, as numbers where these are exact`() throws {
    let rates = [FrameRate(24), FrameRate(30_000, 1001), FrameRate(25, 2)]
    let data = try JSONEncoder().encode(rates)
    #expect(try JSONDecoder().decode([FrameRate].self, from: data) == rates)
    #expect(String(decoding: data, as: UTF8.self).hasPrefix("[24,"))
    let typed = Data(#"[29.97, "23.976", 12.5]"#.utf8)
    #expect(
      try JSONDecoder().decode([FrameRate].self, from: typed)
        == [FrameRate(30_000, 1001), FrameRate(24_000, 1001), FrameRate(25, 2)])
    for text in ["[0]", #"["fast"]"#, "[null]", "[-1]"] {
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode([FrameRate].self, from: Data(text.utf8))
      }
    }
  }

  @Test(arguments: [23.976, 29.97, 30_000.0 / 1001, 59.94, 119.88, 12.5])
  func `A fraction is kept by writing and reading, and times do not drift in a minute`(
    number: Double
  ) throws {
    let rate = try #require(FrameRate(number))
    let count = Int(60 * number)
    let writer = try ClipWriter(
      path: folder.file("a.mp4"), size: FrameSize(width: 16, height: 16), framesPerSecond: number,
      options: WriteOptions(crf: 40))
    for index in 0..<count {
      let level = UInt8(40 * (index % 6))
      try writer.append(
        Frame(width: 16, height: 16, color: Color(red: level, green: level, blue: level)))
    }
    try writer.finish()
    let info = try MediaInfo.probe(folder.file("a.mp4"))
    #expect(info.frameRate == rate && info.frameCount == count)
    #expect(abs(info.durationSeconds - rate.seconds(ofFrame: count)) < 1e-3)
    #expect(try ClipReader.presentedFrameCount(folder.file("a.mp4")) == count)
    // The rate as a number, rounded or not, asks for the same frames.
    let reader = try ClipReader(
      path: folder.file("a.mp4"), options: ReadOptions(framesPerSecond: number))
    #expect(reader.frameRate == rate)
    var index = 0
    while let frame = try reader.next() {
      #expect(Int((Double(frame[x: 8, y: 8].green) / 40).rounded()) == index % 6, "\(index)")
      index += 1
    }
    #expect(index == count)
  }
}
