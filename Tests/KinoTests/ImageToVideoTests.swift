import Foundation
import KinoDiffusion
import KinoModels
import KinoTensor
import KinoTestSupport
import Testing

@testable import Kino

/// Models that know frames as pictures: image to video of Wan 2.1 and 2.2.
@Suite struct ImageToVideoTests {
  @Test(arguments: ["image-to-video", "first-last-to-video", "image-experts"])
  func `Loops agree with the reference's pipelines`(name: String) throws {
    let golden = try Golden(name)
    let parts = try PipelineParts(golden)
    let pictures = golden["pictures"] * 2 - 1
    let (count, _, height, width) = pictures.shape4
    let frames = 9
    let grey = { (count: Int) in Tensor.zeros([1, 3, count, height, width]) }
    func picture(_ index: Int) -> Tensor {
      pictures.slice(0, index..<index + 1).expandingDimension(at: 2)
    }
    var clip = [picture(0), grey(frames - count)]
    if count == 2 { clip.append(picture(1)) }
    let latents = withoutGradient {
      parts.autoencoder.normalized(parts.autoencoder.encode(concatenate(clip, along: 2)).mean)
    }
    let condition = PictureCondition(
      latents: latents.squeezing(0),
      isKnown: (0..<frames).map { $0 == 0 || count == 2 && $0 == frames - 1 }, scale: 4,
      states: golden.tensors["images"].map { $0.reshaped(to: 1, -1, 20) })
    let result = try sampled(golden, parts: parts, pictures: condition)
    expectClose(result, golden["result"].squeezing(0), tolerance: 1e-4)
  }

  private static let size = FrameSize(64, 64)

  /// A clip whose frames differ.
  private func source(_ folder: TinyFolder, _ name: String, frames: Int) throws -> String {
    let clip = Clip(
      frames: (0..<frames).map {
        Frame(width: 64, height: 64, color: Color(red: 60, green: UInt8(40 + 9 * $0), blue: 120))
      }, framesPerSecond: 8)
    try clip.write(to: folder.path(name))
    return folder.path(name)
  }

  private func clip(_ studio: Studio, _ composition: Composition) async throws -> Clip {
    try #require(try await studio.clip(composition, request().settings))
  }

  @Test(arguments: [TinyModel.Form.image, .imageExperts])
  func `A picture begins a clip, and a clip goes on from its last frame`(
    form: TinyModel.Form
  ) async throws {
    let folder = try TinyFolder(form: form)
    let studio = try await folder.studio()
    let picture = try source(folder, "a.png", frames: 1)
    let animated = try await clip(studio, .animate(picture, "a red ball", seconds: 1))
    #expect(animated.frameCount == 8 && animated.size == Self.size)
    #expect(try animated[0] == Clip.read(picture)[0])
    #expect(animated[7] != animated[0])
    // What the picture shows matters to what follows.
    let other = folder.path("b.png")
    try Clip(
      frames: [Frame(width: 64, height: 64, color: Color(red: 250, green: 250, blue: 0))],
      framesPerSecond: 8
    ).write(to: other)
    #expect(try await clip(studio, .animate(other, "a red ball", seconds: 1))[7] != animated[7])
    let path = try source(folder, "a.mp4", frames: 6)
    let extended = try await clip(studio, .extend(path, by: 1, .after, "a red ball"))
    #expect(extended.frameCount == 14)
    #expect(try extended[0..<6] == Clip.read(path))
  }

  @Test(arguments: [TinyModel.Form.firstLast, .imageExperts])
  func `A clip is made between two known ends`(form: TinyModel.Form) async throws {
    let folder = try TinyFolder(form: form)
    let studio = try await folder.studio()
    let path = try source(folder, "a.mp4", frames: 6)
    let looped = try await clip(studio, .loop(path, by: 1, "a red ball"))
    #expect(looped.frameCount == 14)
    let pictures = (
      try source(folder, "a.png", frames: 1), try source(folder, "b.png", frames: 1)
    )
    let joined = try await clip(studio, .connect(pictures.0, pictures.1, by: 1, "a red ball"))
    #expect(joined.frameCount == 10)
    #expect(try joined[9] == Clip.read(pictures.1)[0])
  }

  @Test func `What a model can't be told is refused with what it can`() async throws {
    let folders = try [TinyModel.Form.image, .firstLast].map { try TinyFolder(form: $0) }
    let path = try source(folders[0], "a.mp4", frames: 6)
    let picture = try source(folders[0], "a.png", frames: 1)
    let studios = (try await folders[0].studio(), try await folders[1].studio())
    let generate = Composition.generate("a red ball", size: Self.size)
    let cases: [(Studio, Composition, String)] = [
      (studios.0, generate, "animate, or extend"),
      (studios.0, .image("a red ball"), "animate, or extend"),
      (studios.0, .loop(path, by: 1), "animate, or extend"),
      (studios.0, .extend(path, by: 1, .before), "animate, or extend"),
      (studios.0, .edit(path, "a red ball"), "animate, or extend"),
      (studios.1, .animate(picture), "loop or connect"), (studios.1, generate, "loop or connect"),
      (studios.1, .loop(path, by: 9), "at most 17 frames"),
    ]
    for (studio, composition, words) in cases {
      let error = await #expect(throws: StudioError.self, "\(composition.verb)") {
        try await studio.plan(composition, request().settings)
      }
      #expect(error?.code == .unsupported && error?.details.contains(words) == true)
    }
    // A verb that makes no frame needs none of this.
    #expect(try await clip(studios.0, .reverse(path)).frameCount == 6)
  }

  @Test func `A long clip is made in pieces, each from the last frame before it`() async throws {
    let folder = try TinyFolder(form: .image)
    let picture = try source(folder, "a.png", frames: 1)
    var composition = Composition.animate(picture, "a red ball", seconds: 5)
    composition.updateShots { $0.prompts.append(TimedPrompt("a blue cube", start: 2.5)) }
    let model = try Model(at: folder.model)
    let shots = try composition.resolved(for: model, request().settings).shots
    #expect(shots.map(\.frameCount) == [17, 16, 7] && shots.map(\.firstDraw) == [0, 4, 8])
    #expect(shots.map(\.joins) == [[], .previous, .previous])
    let texts = shots.map { $0.prompts.map(\.text) }
    #expect(texts == [["a red ball"], ["a red ball", "a blue cube"], ["a blue cube"]])
    #expect(shots[1].prompts.map(\.frame) == [0, 3])
    let studio = try await folder.studio()
    let made = try await clip(studio, composition)
    #expect(made.frameCount == 40)
    #expect(try made[0] == Clip.read(picture)[0])
    // Another start is seen in every piece, since each goes on from the one before.
    let other = folder.path("b.png")
    try Clip(
      frames: [Frame(width: 64, height: 64, color: Color(red: 250, green: 250, blue: 0))],
      framesPerSecond: 8
    ).write(to: other)
    let second = try await clip(studio, .animate(other, "a red ball", seconds: 5))
    #expect([16, 32, 39].allSatisfy { made[$0] != second[$0] })
  }

  @Test func `A long way back is made in pieces, of which the last knows the end`() async throws {
    let folder = try TinyFolder(form: .imageExperts)
    let path = try source(folder, "a.mp4", frames: 6)
    let model = try Model(at: folder.model)
    // Frames of a window, less the known ones on both sides, and one more.
    for count in [15, 16, 31, 32, 40] {
      let shots = try Composition.loop(path, by: Double(count) / 8, "a red ball")
        .resolved(for: model, request().settings).shots
      #expect(shots.reduce(0) { $0 + $1.frameCount } == count)
      #expect(shots.count == (count + 1 + 15) / 16)
      #expect(shots.dropLast().allSatisfy { $0.after == 0 } && shots.last?.after == 1)
      #expect(shots.allSatisfy { $0.before == 1 && $0.canvasFrameCount <= 17 })
    }
    let looped = try await clip(folder.studio(), .loop(path, by: 4, "a red ball"))
    #expect(looped.frameCount == 38)
  }

  @Test func `Letting encoders go changes no frame`() async throws {
    let folder = try TinyFolder(form: .image)
    let picture = try source(folder, "a.png", frames: 1)
    let composition = Composition.animate(picture, "a red ball", seconds: 0.5)
    // Products of a tiny picture's few rows depend on the number of threads.
    let whole = try await clip(folder.studio(threads: 1), composition)
    var model = try Model(at: folder.model)
    var family = try model.wan()
    (family.memoryLimit, family.embeddingFolder) = (0, nil)
    model.family = family
    #expect(try await clip(Studio(model, threadCount: 1), composition) == whole)
  }
}
