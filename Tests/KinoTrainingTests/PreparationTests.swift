import Foundation
import Kino
import KinoTestSupport
import Testing

@testable import KinoTraining

@Suite struct SceneCutterTests {
  let cutter = SceneCutter(rate: 10, seconds: 1...5, keepsStill: false)

  /// Frames that change by so much from one to the next.
  func frames(_ changes: [Float], brightness: UInt8 = 100, contrast: UInt8 = 90) -> [FrameFacts] {
    changes.enumerated().map { index, change in
      FrameFacts(
        change: index == 0 ? 0 : change, greatestChange: UInt8(min(255, change * 4)),
        changeOverTwo: index < 2 ? change : change + changes[index - 1], brightness: brightness,
        contrast: contrast)
    }
  }

  func scene(_ count: Int, change: Float = 2) -> [Float] { Array(repeating: change, count: count) }

  @Test func `A frame unlike all around it begins a scene`() {
    var changes = scene(60)
    changes[20] = 40
    #expect(cutter.parts(frames(changes)).map(\.frames) == [0..<20, 20..<60])
  }

  @Test func `Where everything moves fast there is no cut`() {
    #expect(cutter.parts(frames(scene(40, change: 30))).map(\.frames) == [0..<40])
  }

  @Test func `A flash is no cut`() {
    var facts = frames(scene(40))
    for index in [20, 21] { facts[index].change = 60 }
    (facts[20].changeOverTwo, facts[21].changeOverTwo) = (60, 4)
    facts[22].changeOverTwo = 60
    #expect(cutter.parts(facts).map(\.frames) == [0..<40])
    // Two cuts a frame apart do not look the same again.
    facts[21].changeOverTwo = 70
    facts[22].changeOverTwo = 60
    #expect(
      cutter.parts(facts) == [
        ScenePart(frames: 0..<20), ScenePart(frames: 20..<21, omission: .short),
        ScenePart(frames: 21..<40),
      ])
  }

  @Test func `Black, blank and still parts are left out, unless they are flashes or wanted`() {
    var facts = frames(scene(90))
    for index in 20..<30 { (facts[index].brightness, facts[index].contrast) = (2, 1) }
    for index in 40..<50 { facts[index].contrast = 0 }
    facts[35].contrast = 0
    for index in 61..<75 { facts[index].greatestChange = 1 }
    #expect(
      cutter.parts(facts) == [
        ScenePart(frames: 0..<20), ScenePart(frames: 20..<30, omission: .black),
        ScenePart(frames: 30..<40), ScenePart(frames: 40..<50, omission: .blank),
        ScenePart(frames: 50..<60), ScenePart(frames: 60..<75, omission: .still),
        ScenePart(frames: 75..<90),
      ])
    var keeping = cutter
    keeping.keepsStill = true
    #expect(keeping.parts(facts).last == ScenePart(frames: 50..<90))
  }

  @Test func `Long scenes become equal pieces, short ones are left out`() {
    #expect(
      cutter.parts(frames(scene(120))).map(\.frames) == [0..<40, 40..<80, 80..<120])
    #expect(cutter.parts(frames(scene(9))) == [ScenePart(frames: 0..<9, omission: .short)])
    #expect(cutter.parts([]).isEmpty)
  }

  @Test(arguments: 0..<40) func `Parts follow each other and miss nothing`(seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    func next(_ limit: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % limit
    }
    let facts = (0..<Int(next(300) + 1)).map { _ in
      FrameFacts(
        change: Float(next(40)), greatestChange: UInt8(next(5)), changeOverTwo: Float(next(40)),
        brightness: UInt8(next(60)), contrast: UInt8(next(30)))
    }
    var end = 0
    for part in cutter.parts(facts) {
      #expect(part.frames.lowerBound == end && !part.frames.isEmpty)
      #expect(part.omission != nil || 10...50 ~= part.frames.count)
      end = part.frames.upperBound
    }
    #expect(end == facts.count)
  }
}

@Suite struct CaptionTextTests {
  static let texts: [([UInt8], String)] = [
    ([0xEF, 0xBB, 0xBF] + Array("a ball\r\nrolls\r\n".utf8), "a ball rolls"),
    ([0xFF, 0xFE, 0x61, 0, 0x20, 0, 0x62, 0], "a b"), ([0xFE, 0xFF, 0, 0x61], "a"),
    (Array("  шар \u{2028} катится\n\n".utf8), "шар катится"), ([], ""),
  ]

  @Test(arguments: texts) func `Text comes as one line, whatever marks and ends it has`(
    bytes: [UInt8], text: String
  ) {
    #expect(CaptionText(Data(bytes))?.text == text)
  }

  @Test(arguments: [[0x63, 0x61, 0x72, 0x72, 0xE9], [0x61, 0, 0x62], [0x89, 0x50, 0x4E, 0x47]])
  func `Bytes that are not text are none`(bytes: [UInt8]) {
    #expect(CaptionText(Data(bytes)) == nil)
  }
}

@Suite struct BucketProposalTests {
  static let shapes: [(Double, Int, Int, Int)] = [
    (1, 16384, 128, 128), (1.778, 16384, 160, 96), (0.5625, 16384, 96, 160),
    (1.778, 399_360, 832, 480), (1, 1, 32, 32), (100, 16384, 512, 32),
  ]

  @Test(arguments: shapes)
  func `A shape is near in ratio and uses the pixels`(
    ratio: Double, pixels: Int, width: Int, height: Int
  ) {
    let shape = BucketProposal.shape(ratio: ratio, pixels: pixels)
    #expect(shape.width == width && shape.height == height)
  }
}

@Suite struct FootagePreparationTests {
  let temporary: TemporaryFolder
  var footage: URL { temporary.url.appendingPathComponent("footage") }
  var output: URL { temporary.url.appendingPathComponent("data") }

  init() throws {
    temporary = try TemporaryFolder()
    try FileManager.default.createDirectory(at: footage, withIntermediateDirectories: true)
    try write("a.mp4", Self.scene(24, 40) + Self.scene(24, 200), caption: "two scenes")
    try write("b.mp4", Self.scene(36, 120), caption: "one scene")
    try write("c.mp4", Self.scene(36, 120, side: 32), caption: "the same, smaller")
    try write("d.mp4", Self.scene(24, 90), caption: nil)
    try write("e.mp4", Self.scene(3, 60), caption: "too short")
    try Self.scene(1, 150)[0].write(to: footage.appendingPathComponent("f.jpg").path)
    try "a picture".write(
      to: footage.appendingPathComponent("f.txt"), atomically: true, encoding: .utf8)
    try Data(repeating: 7, count: 999).write(to: footage.appendingPathComponent("g.mp4"))
    try "x".write(to: footage.appendingPathComponent("h.txt"), atomically: true, encoding: .utf8)
  }

  /// A square that moves over grey.
  static func scene(_ count: Int, _ level: UInt8, side: Int = 64) -> Clip {
    Clip(
      frames: (0..<count).map { index in
        let grey = Color(red: level, green: level, blue: 255 - level)
        var frame = Frame(width: side, height: side, color: grey)
        let square = Frame(width: side / 4, height: side / 4, color: .white)
        frame.draw(square, x: index * side / 64, y: Int(level) % 40 * side / 64)
        return frame
      }, framesPerSecond: 12)
  }

  func write(_ name: String, _ clip: Clip, caption: String?) throws {
    let url = footage.appendingPathComponent(name)
    try clip.write(to: url.path, WriteOptions(overwrite: true))
    let text = url.deletingPathExtension().appendingPathExtension("txt")
    try caption?.write(to: text, atomically: true, encoding: .utf8)
  }

  func prepare(
    _ settings: PreparationSettings = PreparationSettings(), to folder: URL? = nil,
    report: @escaping @Sendable (FootagePreparation.Event) -> Void = { _ in }
  ) async throws -> PreparationReport {
    try await FootagePreparation(folder: footage, output: folder ?? output, settings: settings)
      .run(report: report)
  }

  /// The files of a folder with their bytes, without what names the folder.
  func files(_ folder: URL) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
    where !name.hasPrefix(".") && name != "data.yaml" {
      files[name] = try Data(contentsOf: folder.appendingPathComponent(name))
    }
    return files
  }

  @Test func `Every file is told of, and what is written is what was shown`() async throws {
    let report = try await prepare()
    #expect(
      report.items.map(\.file) == ["a-001.mp4", "a-002.mp4", "b-001.mp4", "f-001.jpg"])
    #expect(report.items.map(\.frames) == [24, 24, 36, 1])
    let omissions = report.sources.flatMap { source in
      source.omitted.map { "\(source.path) \($0.why)" }
    }
    #expect(
      omissions == ["c.mp4 double", "d.mp4 uncaptioned", "e.mp4 short", "g.mp4 unreadable"])
    #expect(report.others.map(\.path) == ["h.txt"])
    let second = try Clip.read(output.appendingPathComponent("a-002.mp4").path)
    #expect(second.frameCount == 24)
    let quality = ClipComparison(second, Self.scene(24, 200)).psnr
    #expect(quality > 34)
    let caption = try String(
      contentsOf: output.appendingPathComponent("a-002.txt"), encoding: .utf8)
    #expect(caption == "two scenes\n")
    #expect(
      try Data(contentsOf: output.appendingPathComponent("f-001.jpg"))
        == Data(contentsOf: footage.appendingPathComponent("f.jpg")))
    let folder = try CaptionedFolder(path: output.path)
    let bucket = try #require(
      JSONDecoder().decode(
        [TrainingConfiguration.Bucket].self,
        from: Data(#"[{"width": 64, "height": 64, "frames": 5, "batch": 1, "weight": 1}]"#.utf8)
      ).first)
    #expect(
      folder.items(fitting: bucket).map(\.caption).sorted() == [
        "one scene", "two scenes", "two scenes",
      ])
  }

  @Test func `A run that is stopped anywhere goes on to the same files`() async throws {
    let whole = temporary.url.appendingPathComponent("whole")
    _ = try await prepare(to: whole)
    // Stopped after every file that it writes.
    for _ in 0..<12 {
      let task = Task {
        try await prepare { event in
          if case .wrote = event { withUnsafeCurrentTask { $0?.cancel() } }
        }
      }
      if (try? await task.value) != nil { break }
    }
    _ = try await prepare()
    #expect(try files(output) == files(whole))
  }

  @Test func `A changed or removed source changes what was made of it, and nothing else`()
    async throws
  {
    _ = try await prepare()
    let untouched = output.appendingPathComponent("f-001.txt")
    let marked = "touched by nobody"
    try marked.write(to: untouched, atomically: true, encoding: .utf8)
    try write("a.mp4", Self.scene(24, 70), caption: "another scene")
    try FileManager.default.removeItem(at: footage.appendingPathComponent("b.mp4"))
    let report = try await prepare()
    // Without b, c is no double.
    #expect(report.items.map(\.file) == ["a-001.mp4", "c-001.mp4", "f-001.jpg"])
    #expect(report.items.first?.caption == "another scene")
    #expect(try String(contentsOf: untouched, encoding: .utf8) == marked)
    let names = try FileManager.default.contentsOfDirectory(atPath: output.path)
    #expect(!names.contains("a-002.mp4") && !names.contains("b-001.mp4"))
    #expect(!names.contains("a-002.txt"))
  }

  @Test func `Other settings make all of it anew`() async throws {
    _ = try await prepare()
    var settings = PreparationSettings()
    (settings.maximumSeconds, settings.maximumSide) = (1.5, 32)
    settings.keepsUncaptioned = true
    let report = try await prepare(settings)
    #expect(report.items.allSatisfy { $0.width == 32 && $0.height == 32 })
    #expect(report.items.map(\.file).contains("d-001.mp4"))
    #expect(report.items.count { $0.file.hasPrefix("a-") } == 4)
  }

  @Test func `A folder of somebody else's files is not written to`() async throws {
    try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
    try "mine".write(
      to: output.appendingPathComponent("x.txt"), atomically: true, encoding: .utf8)
    let error = await #expect(throws: TrainingError.self) { try await prepare() }
    #expect(error?.description.contains("expected an empty folder") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: output.path) == ["x.txt"])
    let missing = footage.appendingPathComponent("none")
    await #expect(throws: TrainingError.self) {
      try await FootagePreparation(folder: missing, output: output).run()
    }
  }

  @Test(arguments: [(0.0, 5.0), (2, 1), (1, 601), (.nan, 5)])
  func `Lengths out of range are refused`(shortest: Double, longest: Double) {
    var settings = PreparationSettings()
    (settings.minimumSeconds, settings.maximumSeconds) = (shortest, longest)
    #expect(throws: TrainingError.self) {
      try FootagePreparation(folder: footage, output: output, settings: settings)
    }
  }

  @Test func `A damaged list of captions names its line`() async throws {
    try "{\"file\": \"a.mp4\", \"caption\": \"x\"}\n\n{\"file\": 3}\n".write(
      to: footage.appendingPathComponent("manifest.jsonl"), atomically: true, encoding: .utf8)
    let error = await #expect(throws: TrainingError.self) { try await prepare() }
    #expect(error?.description.contains("line 2") == true)
  }
}
