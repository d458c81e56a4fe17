import Testing

@testable import KinoMedia

@Suite struct DetailTransferTests {
  /// A frame that is softer than an original, and off by some levels.
  private func copy(of frame: Frame, offBy levels: Int) -> Frame {
    Frame(
      width: frame.width, height: frame.height,
      pixels: frame.pixels.map { UInt8(max(0, min(255, Int($0) / 8 * 8 + 4 + levels))) })
  }

  private func transferred(_ transfer: DetailTransfer, to frame: Frame) -> Frame {
    var sum = [Float](repeating: 0, count: frame.pixels.count)
    transfer.add(to: frame, strength: 1, into: &sum)
    return frame.adding(sum)
  }

  @Test(arguments: [-4, 0, 3]) func `Still parts are the original, whatever the copies' colours do`(
    drift: Int
  ) {
    let original = Samples.frame()
    let transfer = DetailTransfer(original: original, copy: copy(of: original, offBy: 0))
    #expect(transferred(transfer, to: copy(of: original, offBy: drift)) == original)
  }

  @Test func `What has moved stays as it is, and leaves no ghost`() {
    let ground = Frame(width: 64, height: 48, color: Color(red: 90, green: 120, blue: 60))
    let ball = Frame(width: 12, height: 12, color: Color(red: 220, green: 30, blue: 30))
    var (original, later) = (ground, ground)
    original.draw(ball, x: 8, y: 16)
    later.draw(ball, x: 40, y: 16)
    let transfer = DetailTransfer(original: original, copy: copy(of: original, offBy: 0))
    let soft = copy(of: later, offBy: 0)
    let result = transferred(transfer, to: soft)
    for (x, y) in [(14, 22), (46, 22)] { #expect(result[x: x, y: y] == soft[x: x, y: y]) }
    #expect(result[x: 60, y: 4] == ground[x: 60, y: 4])
    // Anywhere, a pixel lies between the frame and the original.
    for index in result.pixels.indices {
      let ends = [soft.pixels[index], original.pixels[index]]
      #expect(
        (ends[0]...max(ends[0], ends[1])).contains(result.pixels[index])
          || (ends[1]...max(ends[0], ends[1])).contains(result.pixels[index]))
    }
  }
}
