import Foundation
import KinoMedia
import Testing

struct MotionMaskTests {
  /// A white square of 6x6 pixels that moves by `speed` columns a frame, on black.
  private func square(frames: Int, speed: Int, size: FrameSize = FrameSize(width: 48, height: 32))
    -> Clip
  {
    let square = Frame(width: 6, height: 6, color: .white)
    let pictures = (0..<frames).map { index in
      var frame = Frame(width: size.width, height: size.height, color: .black)
      frame.draw(square, x: 10 + index * speed, y: 12)
      return frame
    }
    return Clip(frames: pictures, framesPerSecond: 12)
  }

  /// What a rule over columns and rows says of every pixel of a frame.
  private func mask(_ size: FrameSize, _ rule: (_ x: Int, _ y: Int) -> Bool) -> [Bool] {
    (0..<size.height).flatMap { y in (0..<size.width).map { rule($0, y) } }
  }

  @Test(arguments: [0, 1, 4])
  func `A square that moves is marked where it was and is, with the pixels around`(reach: Int) {
    let clip = square(frames: 3, speed: 2)
    let found = MotionMask(clip, reach: reach)
    let still = mask(clip.size) { _, _ in false }
    // Two columns at either end of the square change from frame to frame.
    let moved = (1...2).flatMap { frame in
      mask(clip.size) { x, y in
        let left = 10 + 2 * (frame - 1)
        let columns = [left...left + 1, left + 6...left + 7]
        return 12 - reach...17 + reach ~= y
          && columns.contains { $0.lowerBound - reach...$0.upperBound + reach ~= x }
      }
    }
    #expect(found.isMoving == still + moved)
    #expect(found.movingCount == moved.count { $0 })
    #expect(found.movingShare == Double(found.movingCount) / Double(3 * 48 * 32))
  }

  @Test func `Marks end at the edges of the frame`() {
    var second = Frame(width: 8, height: 8, color: .black)
    second[x: 0, y: 7] = .white
    let clip = Clip(
      frames: [Frame(width: 8, height: 8, color: .black), second], framesPerSecond: 12)
    let found = MotionMask(clip, reach: 2).isMoving.suffix(64)
    #expect(Array(found) == mask(clip.size) { x, y in x <= 2 && y >= 5 })
  }

  @Test func `A change of an eighth of the range counts in any channel, and less does not`() {
    func moves(_ color: Color) -> Bool {
      let grey = Frame(width: 4, height: 4, color: Color(red: 100, green: 100, blue: 100))
      let other = Frame(width: 4, height: 4, color: color)
      return MotionMask(Clip(frames: [grey, other], framesPerSecond: 12)).movingCount > 0
    }
    #expect(!moves(Color(red: 131, green: 69, blue: 131)))
    #expect(moves(Color(red: 132, green: 100, blue: 100)))
    #expect(moves(Color(red: 100, green: 68, blue: 100)))
    #expect(moves(Color(red: 100, green: 100, blue: 132)))
  }

  @Test func `Clips without motion have none`() {
    #expect(MotionMask(square(frames: 3, speed: 0)).movingCount == 0)
    #expect(MotionMask(square(frames: 1, speed: 1)).isMoving.count == 48 * 32)
    let empty = Clip(width: 4, height: 4, framesPerSecond: 1, pixels: [])
    #expect(MotionMask(empty).isMoving.isEmpty && MotionMask(empty).movingShare == 0)
  }

  // MARK: Scores

  private func errors(_ original: Clip, _ restored: Clip) -> RestorationErrors {
    RestorationErrors(
      original: original, restored: restored, motion: MotionMask(original), framesPerLatent: 4)
  }

  private func score(_ original: Clip, _ restored: Clip) -> RestorationScore {
    errors(original, restored).score
  }

  private func psnr(_ error: Double) -> Double { 10 * log10(255 * 255 / (error * error)) }

  @Test func `Each part has the error made in it`() throws {
    let clip = square(frames: 6, speed: 2)
    let motion = MotionMask(clip)
    var restored = clip
    for frame in 0..<6 {
      var picture = clip[frame]
      for y in 0..<32 {
        for x in 0..<48 {
          // Every channel is off by 8 in the first frame, by 4 where it moves, by 1 elsewhere.
          let moves = motion.isMoving[frame * 48 * 32 + y * 48 + x]
          let error: UInt8 = frame == 0 ? 8 : moves ? 4 : 1
          let old = picture[x: x, y: y].red
          let new = old > 127 ? old - error : old + error
          picture[x: x, y: y] = Color(red: new, green: new, blue: new)
        }
      }
      restored[frame] = picture
    }
    let found = score(clip, restored)
    #expect(abs(try #require(found.firstFrame) - psnr(8)) < 1e-9)
    #expect(abs(try #require(found.moving) - psnr(4)) < 1e-9)
    #expect(abs(try #require(found.still) - psnr(1)) < 1e-9)
    #expect(found.latentFrames.count == 4)
    // Frames 1 and 5 are firsts of a latent; all have as much motion.
    let share = Double(motion.movingCount) / Double(5 * 48 * 32)
    let mixed = psnr((share * 16 + (1 - share)).squareRoot())
    for value in found.latentFrames { #expect(abs(try #require(value) - mixed) < 1e-9) }
  }

  @Test func `What has no pixels has no score, and what has no error has 100 dB`() {
    let still = square(frames: 3, speed: 0)
    let found = score(still, still)
    #expect(found.moving == nil)
    #expect(found.still == 100 && found.firstFrame == 100)
    #expect(found.latentFrames == [100, 100, nil, nil])
    let picture = score(still[..<1], still[..<1])
    #expect(picture.still == nil && picture.firstFrame == 100)
    #expect(picture.latentFrames == [nil, nil, nil, nil])
  }

  @Test func `Clips count by their pixels in a part, and not where they lack it`() throws {
    let (still, moving) = (square(frames: 2, speed: 0), square(frames: 2, speed: 3))
    // All of the clip that stays is off by 2; the other, whose first frame is the same, is exact.
    let off = Clip(
      width: still.width, height: still.height, framesPerSecond: 12,
      pixels: still.pixels.map { $0 > 127 ? $0 - 2 : $0 + 2 })
    var sum = errors(still, off)
    sum += errors(moving, moving)
    #expect(sum.score.moving == 100)
    #expect(abs(try #require(sum.score.firstFrame) - psnr(2.0.squareRoot())) < 1e-9)
    let share = Double(MotionMask(moving).movingCount) / Double(48 * 32)
    let expected = psnr((4 / (2 - share)).squareRoot())
    #expect(abs(try #require(sum.score.still) - expected) < 1e-9)
  }

  @Test func `A score is written and read again`() throws {
    let score = RestorationScore(moving: nil, still: 30, firstFrame: 20, latentFrames: [10, nil])
    let data = try JSONEncoder().encode(score)
    #expect(try JSONDecoder().decode(RestorationScore.self, from: data) == score)
  }
}
