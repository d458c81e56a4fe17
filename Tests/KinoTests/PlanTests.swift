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
