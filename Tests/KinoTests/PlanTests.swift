import Foundation
import KinoTestSupport
import Testing

@testable import Kino

@Suite struct PlanTests {
  let folder: TinyFolder

  init() throws { folder = try TinyFolder() }

  @Test(arguments: [(FrameSize(64, 64), 9, 12, 1), (FrameSize(100, 70), 31, 9 * 4 * 3, 3)])
  func `A plan counts tokens and windows`(
    size: FrameSize, frames: Int, tokens: Int, windows: Int
  ) async throws {
    var request = request()
    request.size = size
    request.frameCount = frames
    let plan = try await folder.studio().plan(request)
    #expect(plan.tokenCount == tokens)
    #expect(plan.windowCount == windows)
    #expect(plan.peakBytes > 0 && plan.samplingOperations > 0 && plan.decodingOperations > 0)
    #expect(plan.fastestSeconds > 0 && plan.fastestSeconds <= plan.slowestSeconds)
  }

  @Test func `More of anything costs more`() async throws {
    let studio = try await folder.studio()
    let base = try await studio.plan(request())
    let changes: [(inout ClipRequest) -> Void] = [
      { $0.size = FrameSize(128, 64) }, { $0.frameCount = 17 }, { $0.settings.stepCount = 4 },
    ]
    for change in changes {
      var request = request()
      change(&request)
      let plan = try await studio.plan(request)
      #expect(plan.samplingOperations > base.samplingOperations)
    }
  }

  @Test func `Decoding takes memory by the piece, not by the clip`() async throws {
    let studio = try await folder.studio()
    var short = request()
    short.frameCount = 33
    var long = short
    long.frameCount = 480
    let plans = (try await studio.plan(short), try await studio.plan(long))
    #expect(plans.0.decodingBytes == plans.1.decodingBytes)
  }
}

/// Decoding in tiles where memory is short.
@Suite struct TiledPlanTests {
  @Test func `A plan takes tiles where memory is short, and the frames stay`() async throws {
    let folder = try TinyFolder(profile: nil)
    let model = try Model(at: folder.model)
    var large = request()
    (large.size, large.frameCount) = (FrameSize(512, 512), 5)
    let work = try large.validated(for: model)
    let whole = try Plan(work, model: model, keepsFrames: true)
    #expect(whole.decodingTiles == 1)
    let limit =
      Plan.programBytes + whole.outputBytes + whole.weightBytes + whole.decodingBytes - 1
    let tiled = try Plan(work, model: model, keepsFrames: true, available: limit)
    #expect(tiled.decodingTiles > 1 && tiled.decodingBytes < whole.decodingBytes)
    let clip = try await self.clip(work, whole, model)
    #expect(clip?.frameCount == 5)
    let other = try await self.clip(work, tiled, model)
    let pixels = zip(clip?.pixels ?? [], other?.pixels ?? [])
    #expect(pixels.allSatisfy { abs(Int($0) - Int($1)) <= 1 } && other?.frameCount == 5)
  }

  private func clip(_ work: ResolvedComposition, _ plan: Plan, _ model: Model) async throws -> Clip?
  {
    let (clips, made) = AsyncStream.makeStream(of: Clip.self)
    try await Studio(model).actor.render(
      work, plan: plan, to: .memory, recipe: Recipe(work, model: model, hash: "")
    ) { event in
      if case .finished(let result) = event { made.yield(result.clip) }
    }
    made.finish()
    return await clips.first { _ in true }
  }
}
