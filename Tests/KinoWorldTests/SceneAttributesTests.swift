import Foundation
import Testing

@testable import KinoWorld

@Suite("What can be told about a scene")
struct SceneAttributesTests {
  @Test("the attributes of a scene are those of its objects, ground, sky and camera")
  func ofAScene() throws {
    let scene = try Scene(parsing: "a small red glass ball rolls left on snow at night")
    let attributes = SceneAttributes(scene)
    #expect(
      attributes.objects == [
        .init(
          shape: .sphere, colour: .red, finish: .glass, size: .small, kind: .roll, heading: .left)
      ])
    #expect(attributes.objectCount == 1)
    #expect(attributes.ground == .snow && attributes.sky == .night && attributes.camera == .still)
    #expect(attributes.answers == [0, 4, 2, 0])
    #expect(attributes.objects[0].answers == [0, 0, 3, 0, 2, 0])
  }

  @Test("what waits to be hit has no motion of its own")
  func struck() throws {
    let scene = try Scene(parsing: "a red cube hits a blue ball")
    let attributes = SceneAttributes(scene)
    let striker = try #require(scene.objects.firstIndex { $0.motion.kind == .collide })
    let struck = try #require(scene.objects[striker].partner)
    #expect(attributes.objects[striker].kind == .collide)
    #expect(attributes.objects[struck].kind == nil && attributes.objects[struck].heading == nil)
  }

  @Test("a mirror changes left for right, in objects and pans, and twice changes nothing")
  func mirrored() {
    let attributes = SceneAttributes(
      objects: [
        .init(shape: .cube, kind: .slide, heading: .left), .init(shape: .disc, heading: .toward),
      ], objectCount: 2, ground: .sand, camera: .panRight)
    let mirrored = attributes.mirrored
    #expect(mirrored.objects.map(\.heading) == [.right, .toward])
    #expect(mirrored.camera == .panLeft && mirrored.ground == .sand)
    #expect(mirrored.mirrored == attributes)
  }

  @Test("a mirrored scene is mirrored for every seed, and twice is itself")
  func mirroredScenes() {
    for seed in 0..<100 {
      let attributes = SceneAttributes(.random(seed: UInt64(seed), split: .any))
      #expect(attributes.mirrored.mirrored == attributes)
    }
  }

  @Test("a picture tells neither motion nor camera")
  func still() {
    let still = SceneAttributes(.random(seed: 4)).still
    #expect(still.camera == nil && still.objects.allSatisfy { $0.kind == nil && $0.heading == nil })
    #expect(still.ground != nil && still.objects[0].shape != nil)
  }

  @Test("a prompt states what it says and nothing else")
  func stated() throws {
    let stated = try SceneAttributes(statedBy: "a shiny red cube spins, next to a ball, on grass")
    #expect(
      stated.objects == [
        .init(shape: .cube, colour: .red, finish: .shiny, kind: .spin, heading: .nowhere),
        .init(shape: .sphere),
      ])
    #expect(stated.objectCount == 2 && stated.ground == .grass)
    #expect(stated.sky == nil && stated.camera == nil)
    let open = try SceneAttributes(statedBy: "a ball rolls")
    #expect(open.objects[0].kind == .roll && open.objects[0].heading == nil)
    #expect(throws: WorldError.self) { try SceneAttributes(statedBy: "qwertyuiop") }
  }

  @Test("a caption states only what is true of its scene")
  func captionsAreTrue() throws {
    for seed in 0..<60 {
      let scene = Scene.random(seed: UInt64(seed), split: .heldOut)
      let caption = CaptionGrammar().caption(for: scene, length: .sentence, seed: UInt64(seed))
      let (stated, truth) = (try SceneAttributes(statedBy: caption), SceneAttributes(scene))
      #expect(stated.objectCount == truth.objectCount, "\(caption)")
      for (said, known) in zip(stated.answers, truth.answers) {
        #expect(said == nil || said == known, "\(caption)")
      }
      for object in stated.objects {
        #expect(
          truth.objects.contains { other in
            zip(object.answers, other.answers).allSatisfy { $0 == nil || $1 == nil || $0 == $1 }
          }, "\(caption)")
      }
    }
  }

  @Test("a scene shows all of its objects unless one is hidden, far off or outside the picture")
  func visibility() throws {
    var scene = try Scene(parsing: "a red ball to the left of a blue cube on sand")
    #expect(scene.showsAllObjects(seconds: 1))
    let place = scene.objects[0].anchor
    scene.objects[0].anchor = SIMD2(40, 0)
    #expect(!scene.showsAllObjects(seconds: 1))
    scene.objects[0].anchor = SIMD2(0, -90)
    #expect(!scene.showsAllObjects(seconds: 1))
    // Straight behind the cube, as the camera sees it.
    let cube = scene.objects[1].anchor
    let eye = SIMD2(
      scene.camera.target.x + sin(scene.camera.azimuth) * scene.camera.distance,
      scene.camera.target.z + cos(scene.camera.azimuth) * scene.camera.distance)
    scene.objects[0].anchor = cube + (cube - eye) * 0.35
    scene.objects[0].size = .small
    scene.objects[1].size = .big
    #expect(!scene.showsAllObjects(seconds: 1))
    scene.objects[0].anchor = place
    #expect(scene.showsAllObjects(seconds: 1))
  }

  @Test("the object map shows each object where it stands, and nothing in the sky")
  func objectMap() throws {
    let scene = try Scene(parsing: "a big red ball to the left of a big blue cube")
    let map = SceneRenderer(width: 128, height: 128)
      .objectMap(scene, time: 0, columns: 32, rows: 32)
    func meanColumn(_ number: UInt8) throws -> Double {
      let columns = map.indices.filter { map[$0] == number }.map { Double($0 % 32) }
      try #require(columns.count > 4)
      return columns.reduce(0, +) / Double(columns.count)
    }
    #expect(try meanColumn(1) < meanColumn(2))
    #expect(map.prefix(32).allSatisfy { $0 == 0 })
    #expect(Set(map) == [0, 1, 2])
  }
}

@Suite("What a judge says")
struct SceneVerdictTests {
  /// A verdict that is sure of what it says.
  static func verdict(_ attributes: SceneAttributes) -> SceneVerdict {
    func sure(_ answers: [Int?], _ questions: [SceneAttributes.Question]) -> [[Double]] {
      zip(answers, questions).map { answer, question in
        let count = question.answers.count
        return (0..<count).map { index in
          answer == nil ? 1 / Double(count) : index == answer ? 0.99 : 0.01 / Double(count - 1)
        }
      }
    }
    return SceneVerdict(
      candidates: attributes.objects.map {
        .init(presence: 0.9, probabilities: sure($0.answers, SceneAttributes.objectQuestions))
      } + [
        .init(
          presence: 0.1,
          probabilities: sure(Array(repeating: 0, count: 6), SceneAttributes.objectQuestions))
      ], probabilities: sure(attributes.answers, SceneAttributes.sceneQuestions))
  }

  @Test("objects are a set: their order changes nothing, and each is judged by its own")
  func sets() {
    let (ball, cube) = (
      SceneAttributes.Object(shape: .sphere, colour: .red, kind: .roll, heading: .left),
      SceneAttributes.Object(shape: .cube, colour: .blue, kind: .still, heading: .nowhere)
    )
    let seen = Self.verdict(.init(objects: [cube, ball], objectCount: 2, ground: .sand))
    let stated = SceneAttributes(objects: [ball, cube], objectCount: 2, ground: .grass)
    #expect(seen.pairing(with: stated.objects) == [1, 0])
    let wrong = seen.judgements(of: stated).filter { !$0.isRight }
    #expect(wrong == [.init(attribute: "ground", stated: "grass", seen: "sand")])
  }

  @Test("what is not there is wrong in everything stated of it")
  func missing() {
    let seen = Self.verdict(
      .init(objects: [.init(shape: .cube, colour: .blue)], objectCount: 1))
    let stated = SceneAttributes(
      objects: [.init(shape: .sphere, colour: .red), .init(shape: .cube, colour: .blue)],
      objectCount: 2)
    #expect(seen.pairing(with: stated.objects) == [nil, 0])
    let judgements = seen.judgements(of: stated)
    #expect(judgements.filter(\.isRight).map(\.attribute) == ["other shape", "other colour"])
    #expect(judgements.first?.seen == nil)
  }

  @Test("a wrong colour leaves the shape right")
  func partlyRight() {
    let seen = Self.verdict(.init(objects: [.init(shape: .cube, colour: .blue)], objectCount: 1))
    let judgements = seen.judgements(
      of: .init(objects: [.init(shape: .cube, colour: .red)], objectCount: 1))
    #expect(judgements.map(\.isRight) == [true, false, true])
  }

  @Test("logits become probabilities, question by question")
  func logits() {
    var row = [Float](repeating: 0, count: 47)
    row[0] = 3
    row[2] = 5
    let verdict = SceneVerdict(
      objectLogits: [row], sceneLogits: [Float](repeating: 0, count: 22))
    #expect(verdict.objects.count == 1)
    #expect(verdict.candidates[0].probabilities.map(\.count) == [10, 14, 4, 3, 10, 5])
    #expect(verdict.candidates[0].probabilities.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-9 })
    #expect(
      verdict.judgements(of: .init(objects: [.init(shape: .cube)])).map(\.isRight) == [true])
  }
}
