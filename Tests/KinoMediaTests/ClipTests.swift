import KinoMedia
import Testing

@Suite struct ClipTests {
  private let clip = Samples.clip(width: 6, height: 4, frameCount: 5)

  @Test func `slices, joins and reversal are of frames`() {
    #expect(clip.frameCount == 5)
    #expect(clip[1..<3].frameCount == 2)
    #expect(clip[1..<3][0] == clip[1])
    #expect(clip[3...][1] == clip[4])
    #expect(clip[..<2] + clip[2...] == clip)
    #expect(clip.reversed()[0] == clip[4])
    #expect(clip.reversed().reversed() == clip)
    #expect(clip.durationSeconds == 5.0 / 16)
    #expect(Clip(frames: Array(clip.frames), framesPerSecond: 16) == clip)
  }

  @Test func `a frame can be replaced`() {
    var changed = clip
    changed[2] = clip[0]
    #expect(changed[2] == clip[0] && changed[1] == clip[1] && changed[3] == clip[3])
  }

  @Test func `drawing cuts what sticks out`() {
    var frame = Frame(width: 4, height: 4, color: .black)
    let white = Frame(width: 3, height: 3, color: .white)
    frame.draw(white, x: -1, y: 2)
    #expect(frame[x: 0, y: 2] == .white && frame[x: 1, y: 3] == .white)
    #expect(frame[x: 2, y: 2] == .black && frame[x: 0, y: 1] == .black)
    let before = frame
    for place in [(9, 0), (0, 9), (-9, 0), (0, -9)] { frame.draw(white, x: place.0, y: place.1) }
    #expect(frame == before)
  }

  @Test func `equal clips compare as equal`() {
    let comparison = ClipComparison(clip, clip)
    #expect(comparison.psnr == .infinity)
    #expect(abs(comparison.ssim - 1) < 1e-6)
  }

  @Test func `PSNR follows its definition`() {
    let black = Frame(width: 16, height: 16, color: .black)
    let gray = Frame(width: 16, height: 16, color: Color(red: 10, green: 10, blue: 10))
    #expect(abs(ClipComparison(black, gray).psnr - 28.1308) < 1e-3)
    #expect(
      abs(ClipComparison(black, Frame(width: 16, height: 16, color: .white)).psnr) < 1e-9)
  }

  @Test func `SSIM of flat pictures follows its formula`() {
    let dark = Frame(width: 16, height: 16, color: Color(red: 50, green: 50, blue: 50))
    let light = Frame(width: 16, height: 16, color: Color(red: 100, green: 100, blue: 100))
    let c1 = 6.5025
    let expected = (2 * 50 * 100 + c1) / (50 * 50 + 100 * 100 + c1)
    #expect(abs(ClipComparison(dark, light).ssim - expected) < 1e-3)
  }

  @Test func `SSIM minds noise more than brightness`() {
    let frame = Samples.frame(width: 64, height: 64)
    func changed(_ change: (Int) -> Int) -> ClipComparison {
      let pixels = frame.pixels.enumerated().map { index, value in
        UInt8(min(255, max(0, Int(value) + change(index / 3))))
      }
      return ClipComparison(frame, Frame(width: 64, height: 64, pixels: pixels))
    }
    let noisy = changed { $0 * 2_654_435_761 >> 13 & 1 == 0 ? 8 : -8 }
    let brighter = changed { _ in 8 }
    #expect(abs(noisy.psnr - brighter.psnr) < 1)
    #expect(noisy.ssim < 0.9)
    #expect(brighter.ssim > 0.95 && brighter.ssim < 1)
  }

  @Test(arguments: [(1, 1), (2, 7), (10, 10), (11, 11), (12, 3)])
  func `pictures smaller than the window are compared too`(width: Int, height: Int) {
    let frame = Samples.frame(width: width, height: height)
    #expect(abs(ClipComparison(frame, frame).ssim - 1) < 1e-6)
  }
}
