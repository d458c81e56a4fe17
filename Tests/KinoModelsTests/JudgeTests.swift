import KinoNN
import KinoTensor
import Testing

@testable import KinoModels

@Suite("The judge's network")
struct JudgeTests {
  static let configuration = Judge.Configuration(
    side: 32, frameCount: 5, channels: [8, 8, 16], width: 16, headCount: 2, blockCount: 2,
    slotCount: 3,
    objectQuestions: [
      .init(name: "shape", answers: ["ball", "cube"]),
      .init(name: "colour", answers: ["red", "green", "blue"]),
    ], sceneQuestions: [.init(name: "ground", answers: ["sand", "snow", "grass", "wood"])])

  static func judge(seed: UInt64 = 1) -> Judge {
    let registry = ParameterRegistry(seed: seed, isTrainable: false)
    return Judge(registry.root, configuration: configuration)
  }

  @Test("clips and pictures get an answer a slot, a gaze a frame and an answer a cell")
  func shapes() {
    let judge = Self.judge()
    var random = RandomSource(seed: 2)
    for frames in [1, 5] {
      let answers = judge(random.uniform([2, 3, frames, 32, 32]) * 2 - 1)
      #expect(answers.objects.shape == [2, 3, 6])
      #expect(answers.scene.shape == [2, 4])
      #expect(answers.gaze.shape == [2, frames, 3, 4])
      #expect(answers.cells.shape == [2, frames, 4, 6])
      #expect(answers.gaze.sum(along: 3).floats().allSatisfy { abs($0 - 1) < 1e-5 })
    }
  }

  @Test("the same clip gets the same answer, alone or in a batch")
  func determinism() {
    let judge = Self.judge()
    var random = RandomSource(seed: 3)
    let pixels = random.uniform([2, 3, 5, 32, 32]) * 2 - 1
    let (whole, again) = (judge.readings(of: pixels), judge.readings(of: pixels))
    #expect(whole.map(\.objects) == again.map(\.objects))
    let alone = judge.readings(of: pixels.slice(0, 1..<2))[0]
    for (a, b) in zip(alone.objects.joined(), whole[1].objects.joined()) {
      #expect(abs(a - b) < 1e-4)
    }
  }

  @Test(
    "clips of any size and length are fitted: the square in the middle, frames from first to last")
  func fitted() {
    let judge = Self.judge()
    // A frame's number in every pixel, and the borders that are cut off at 9.
    let frames = (0..<9).map { Tensor.full(Double($0) / 10, shape: [1, 3, 1, 64, 64]) }
    let border = Tensor.full(9, shape: [1, 3, 9, 64, 16])
    let clip = concatenate([border, concatenate(frames, along: 2), border], along: 4)
    let fitted = judge.fitted(clip)
    #expect(fitted.shape == [1, 3, 5, 32, 32])
    let means = fitted.mean(along: 1, 3, 4).floats()
    for (mean, expected) in zip(means, [0, 0.2, 0.4, 0.6, 0.8]) {
      #expect(abs(Double(mean) - expected) < 1e-5)
    }
    #expect(judge.fitted(clip.slice(2, 0..<1)).shape == [1, 3, 1, 32, 32])
    #expect(judge.fitted(clip.slice(2, 0..<2)).shape == [1, 3, 5, 32, 32])
  }

  @Test("a configuration out of range is refused by name")
  func configurations() throws {
    try Self.configuration.validate()
    var wrong = Self.configuration
    wrong.side = 40
    #expect(throws: ModelError.self) { try wrong.validate() }
    wrong = Self.configuration
    wrong.width = 17
    #expect(throws: ModelError.self) { try wrong.validate() }
    wrong = Self.configuration
    wrong.sceneQuestions = []
    #expect(throws: ModelError.self) { try wrong.validate() }
  }
}
