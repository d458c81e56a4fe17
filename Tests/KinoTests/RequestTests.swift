import Foundation
import KinoTestSupport
import Testing

@testable import Kino

@Suite struct RequestTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  struct Fault: Sendable, CustomTestStringConvertible {
    let name: String
    let code: StudioError.Code
    let verb: Verb
    let change: @Sendable (inout ClipRequest) -> Void

    init(
      _ name: String, _ code: StudioError.Code, _ verb: Verb = .generate,
      change: @escaping @Sendable (inout ClipRequest) -> Void
    ) {
      (self.name, self.code, self.verb, self.change) = (name, code, verb, change)
    }

    var testDescription: String { name }
  }

  static let faults = [
    Fault("an empty prompt", .invalidPrompt) { $0.prompt = "" },
    Fault("a blank prompt", .invalidPrompt) { $0.prompt = " \n\t " },
    Fault("a huge prompt", .invalidPrompt) { $0.prompt = String(repeating: "x", count: 100_000) },
    Fault("NUL in a prompt", .invalidPrompt) { $0.prompt = "a\0b" },
    Fault("a huge negative prompt", .invalidPrompt) {
      $0.negativePrompt = String(repeating: "y", count: Limits.promptLength + 1)
    },
    Fault("a tiny size", .invalidSize) { $0.size = FrameSize(15, 64) },
    Fault("a wide clip", .invalidSize) { $0.size = FrameSize(1921, 64) },
    Fault("a large square clip", .invalidSize) { $0.size = FrameSize(1920, 1920) },
    Fault("a huge picture", .invalidSize, .image) { $0.size = FrameSize(2049, 2048) },
    Fault("no frames", .invalidLength) { $0.frameCount = 0 },
    Fault("negative frames", .invalidLength) { $0.frameCount = -5 },
    Fault("too many frames", .invalidLength) { $0.frameCount = 481 },
    Fault("frames that overflow", .invalidLength) { $0.frameCount = .max },
    Fault("no seconds", .invalidLength) { $0.durationSeconds = 0 },
    Fault("NaN seconds", .invalidLength) { $0.durationSeconds = .nan },
    Fault("infinite seconds", .invalidLength) { $0.durationSeconds = .infinity },
    Fault("more than a minute", .invalidLength) { $0.durationSeconds = 60.1 },
    Fault("seconds and frames", .invalidLength) { ($0.durationSeconds, $0.frameCount) = (1, 8) },
    Fault("no rate", .invalidLength) { $0.framesPerSecond = 0 },
    Fault("a NaN rate", .invalidLength) { $0.framesPerSecond = .nan },
    Fault("a high rate", .invalidLength) { $0.framesPerSecond = 121 },
    Fault("no steps", .invalidSetting) { $0.settings.stepCount = 0 },
    Fault("too many steps", .invalidSetting) { $0.settings.stepCount = 1001 },
    Fault("negative guidance", .invalidSetting) { $0.settings.guidanceScale = -1 },
    Fault("NaN guidance", .invalidSetting) { $0.settings.guidanceScale = .nan },
    Fault("guidance beyond all noise", .invalidSetting) { $0.settings.guidanceRange = 0...1.5 },
    Fault("guidance below no noise", .invalidSetting) { $0.settings.guidanceRange = -1...0.5 },
    Fault("a negative cache", .invalidSetting) { $0.settings.cacheThreshold = -0.1 },
    Fault("a NaN cache", .invalidSetting) { $0.settings.cacheThreshold = .nan },
  ]

  @Test(arguments: faults)
  func `A request that can't be done is refused`(fault: Fault) throws {
    let model = try Model(at: folder.model)
    var request = request()
    fault.change(&request)
    let error = #expect(throws: StudioError.self) {
      try request.validated(for: model, as: fault.verb)
    }
    #expect(error?.code == fault.code)
    #expect(error?.details.isEmpty == false)
  }

  @Test func `Sizes are rounded up and lengths to 4n + 1`() throws {
    let model = try Model(at: folder.model)
    var request = request()
    request.size = FrameSize(1920, 1080)
    request.durationSeconds = 1.3
    let resolved = try request.validated(for: model)
    #expect(resolved.size == FrameSize(1920, 1080))
    #expect(resolved.canvasSize == FrameSize(1920, 1088))
    #expect(resolved.frameCount == 10)
    #expect(resolved.shots.first?.canvasFrameCount == 13)
    #expect(resolved.warnings.count == 1)
  }

  @Test func `Without kino.json, published defaults hold`() throws {
    let plain = try TinyFolder(profile: nil)
    let resolved = try ClipRequest("x").validated(for: Model(at: plain.model))
    #expect(resolved.size == FrameSize(1280, 704))
    #expect(resolved.frameCount == 121 && resolved.framesPerSecond == 24)
    #expect(resolved.sampling.stepCount == 50 && resolved.sampling.guidanceScale == 5)
  }

  @Test(arguments: [
    (FrameSize(4000, 3000), Verb.generate), (FrameSize(1, 5000), .generate),
    (FrameSize(9, 9), .generate), (FrameSize(99_999, 16), .image), (FrameSize(3000, 3000), .image),
  ])
  func `The size that an error proposes is allowed`(size: FrameSize, verb: Verb) throws {
    let model = try Model(at: folder.model)
    var request = request()
    request.size = size
    let error = #expect(throws: StudioError.self) { try request.validated(for: model, as: verb) }
    let proposal = error?.details.split(separator: " ").last?.dropLast()
    let proposed = try #require(proposal.flatMap { FrameSize(parsing: String($0)) })
    request.size = proposed
    #expect(try request.validated(for: model, as: verb).canvasSize == proposed)
  }

  @Test(arguments: [
    ("256x256", FrameSize(256, 256)), ("1280X720", FrameSize(1280, 720)), ("0x5", nil),
    ("-1x5", nil), ("12", nil), ("1x2x3", nil), ("axb", nil), ("", nil),
    ("99999999999999999999x1", nil),
    ("+5x5", nil), ("5x", nil), ("1e3x5", nil), ("５x５", nil),
  ])
  func `Sizes are read strictly`(text: String, size: FrameSize?) {
    #expect(FrameSize(parsing: text) == size)
  }

  @Test(arguments: [
    ("A red ball, bounces!", "a-red-ball-bounces"), ("../../etc/passwd", "etc-passwd"),
    ("", "kino"),
    ("!!!", "kino"), ("красный шар", "красный-шар"),
  ])
  func `File names are made of words`(prompt: String, name: String) {
    #expect(FileNames.slug(of: prompt) == name)
    #expect(FileNames.slug(of: String(repeating: prompt + " ", count: 50)).utf8.count < 100)
  }
}
