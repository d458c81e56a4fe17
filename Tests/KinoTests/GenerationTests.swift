import Foundation
import Kino
import KinoTestSupport
import Testing

@Suite struct GenerationTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  @Test func `Events come in order and end with the clip`() async throws {
    let studio = try await folder.studio()
    var request = request()
    request.settings.previewInterval = 1
    var names: [String] = []
    var previews = 0
    for try await event in studio.events(of: request) {
      names.append(EventRecord(event).event)
      if case .step(let step) = event, let preview = step.preview {
        previews += 1
        #expect(preview.size == FrameSize(4, 4))
        #expect(preview.frameCount == 3)
      }
      if case .finished(let result) = event {
        #expect(result.clip.size == FrameSize(64, 64))
        #expect(result.clip.frameCount == 9)
        #expect(result.clip.framesPerSecond == 8)
      }
    }
    #expect(names == ["planned", "step", "step", "decoding", "finished"])
    #expect(previews == 2)
  }

  @Test func `The same seed gives the same frames, another seed others`() async throws {
    let studio = try await folder.studio()
    let first = try await studio.clip(request(seed: 1))
    let again = try await studio.clip(request(seed: 1))
    let other = try await studio.clip(request(seed: 2))
    let isSame = first != nil && first == again
    #expect(isSame)
    #expect(first != other)
  }

  @Test(arguments: Precision.allCases)
  func `The thread count does not change a bit`(precision: Precision) async throws {
    var request = request()
    request.settings.precision = precision
    request.size = FrameSize(160, 96)
    let one = try await folder.studio(threads: 1).clip(request)
    let two = try await folder.studio(threads: 2).clip(request)
    let three = try await folder.studio(threads: 3).clip(request)
    let isSame = one != nil && one == two && one == three
    #expect(isSame)
  }

  @Test func `8-bit weights change a clip a little`() async throws {
    let studio = try await folder.studio()
    var request = request(seed: 4)
    request.settings.precision = .f32
    let exact = try #require(await studio.clip(request))
    request.settings.precision = .int8
    let rounded = try #require(await studio.clip(request))
    #expect(exact != rounded)
    #expect(ClipComparison(exact, rounded).psnr > 30)
  }

  @Test func `Guidance over no noise at all is no guidance`() async throws {
    let studio = try await folder.studio()
    var ranged = request()
    // Sigmas start at 1 and steps are taken from above 0.
    ranged.settings.guidanceRange = 0...0
    var unguided = request()
    unguided.settings.guidanceScale = 1
    let plain = try await studio.clip(request())
    let (first, second) = try await (studio.clip(ranged), studio.clip(unguided))
    #expect(first != nil && first == second)
    #expect(first != plain)
  }

  @Test func `A step cache changes a clip a little, and its recipe says so`() async throws {
    let studio = try await folder.studio()
    var request = request(seed: 4)
    request.settings.stepCount = 12
    let exact = try #require(await studio.clip(request))
    request.settings.cacheThreshold = 0.2
    request.settings.guidanceRange = 0.1...1
    var made: Recipe?
    for try await event in studio.events(of: request, writingTo: folder.path("cached.mp4")) {
      if case .wrote(let file) = event { made = file.recipe }
    }
    let recipe = try #require(made)
    #expect(recipe.settings.cacheThreshold == 0.2 && recipe.settings.guidanceRange == 0.1...1)
    #expect(Recipe(json: recipe.json) == recipe)
    #expect(recipe.command.contains("--guidance-range 0.1:1 --cache 0.2"))
    request.settings.guidanceRange = 0...1
    let cached = try #require(await studio.clip(request))
    #expect(cached != exact)
    #expect(ClipComparison(exact, cached).psnr > 20)
  }

  @Test func `The prompt, the negative prompt and guidance all matter`() async throws {
    let studio = try await folder.studio()
    let plain = try await studio.clip(request("a red ball"))
    let prompted = try await studio.clip(request("seven green cones at night"))
    var negative = request("a red ball")
    negative.negativePrompt = "blue"
    var unguided = request("a red ball")
    unguided.settings.guidanceScale = 1
    #expect(try await studio.clip(negative) != plain)
    #expect(try await studio.clip(unguided) != plain)
    #expect(prompted != plain)
  }

  @Test func `White space in a prompt does not matter`() async throws {
    let studio = try await folder.studio()
    #expect(
      try await studio.clip(request("  a\tred \n ball ")) == studio.clip(request("a red ball")))
  }

  @Test(arguments: [
    (FrameSize(100, 70), 3), (FrameSize(63, 65), 1), (FrameSize(16, 16), 2),
    (FrameSize(64, 250), 6),
  ])
  func `Odd sizes and lengths come out exactly`(size: FrameSize, frames: Int) async throws {
    var request = request()
    request.size = size
    request.frameCount = frames
    let clip = try await folder.studio().clip(request)
    #expect(clip?.size == size)
    #expect(clip?.frameCount == frames)
  }

  @Test func `Every sampler goes its own way to a clip, the same for the same seed`() async throws {
    let studio = try await folder.studio()
    var clips: [Clip] = []
    for kind in SamplerKind.allCases {
      var request = request()
      request.settings.stepCount = 3
      request.settings.sampler = kind
      let clip = try #require(await studio.clip(request))
      let again = try await studio.clip(request)
      #expect(clip.frameCount == 9 && clip == again, "\(kind)")
      #expect(!clips.contains(clip), "\(kind)")
      clips.append(clip)
    }
  }

  @Test(arguments: [SamplerKind.eulerAncestral, .lcm])
  func `A sampler's own noise is the same for every window and thread count`(
    sampler: SamplerKind
  ) async throws {
    var request = request()
    request.settings.stepCount = 3
    request.settings.sampler = sampler
    request.frameCount = 31
    let long = try #require(await folder.studio(threads: 1).clip(request))
    let again = try await folder.studio(threads: 3).clip(request)
    #expect(long == again)
    request.frameCount = 17
    let short = try await folder.studio(threads: 2).clip(request)
    #expect(long[0..<17] == short)
  }

  @Test func `A picture is a clip of one frame`() async throws {
    #expect(try await folder.studio().clip(request(), as: .image)?.frameCount == 1)
  }

  @Test func `A clip longer than the window is made in windows`() async throws {
    let studio = try await folder.studio()
    var request = request()
    request.frameCount = 31
    var progress: [StepProgress] = []
    var clip: Clip?
    var warnings = 0
    for try await event in studio.events(of: request) {
      switch event {
      case .step(let step): progress.append(step)
      case .finished(let result): clip = result.clip
      case .warning: warnings += 1
      default: break
      }
    }
    // 33 frames are 9 latent frames: windows of 5 that take over 2.
    #expect(progress.map(\.window) == [1, 1, 2, 2, 3, 3])
    #expect(progress.map(\.index) == Array(1...6))
    #expect(progress.allSatisfy { $0.count == 6 && $0.windowCount == 3 })
    #expect(clip?.frameCount == 31)
    #expect(warnings == 0)
    // The first window does not know of those after it.
    var short = request
    short.frameCount = 17
    let first = try await studio.clip(short)
    #expect(first != nil && clip?[0..<17] == first)
  }

  @Test(.timeLimit(.minutes(5))) func `Cancelling stops within a step and leaves no file`()
    async throws
  {
    let studio = try await folder.studio()
    let path = folder.path("cancelled.mp4")
    let task = Task { [endless] in
      for try await event in studio.events(of: endless, writingTo: path) {
        if case .step(let step) = event, step.index == 3 { withUnsafeCurrentTask { $0?.cancel() } }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try files() == ["model"])
    // The studio is free again at once.
    #expect(try await studio.clip(request())?.frameCount == 9)
  }

  @Test(.timeLimit(.minutes(5))) func `Leaving the loop stops the work`() async throws {
    let studio = try await folder.studio()
    for try await event in studio.events(of: endless, writingTo: folder.path("left.mp4")) {
      if case .step = event { break }
    }
    // Clips are made in turn: these would wait for hours had the work gone on.
    for _ in 0..<2 { #expect(try await studio.clip(request()) != nil) }
    #expect(try files() == ["model"])
  }

  /// More work than a test that waits for its turn on a busy machine sees the end of.
  private var endless: ClipRequest {
    var request = request()
    request.settings.stepCount = 1000
    request.size = FrameSize(352, 352)
    request.frameCount = 480
    return request
  }

  /// What lies in the folder, but for windows that were complete before the work was stopped.
  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
      .filter { !$0.hasSuffix(".unfinished") }
  }
}
