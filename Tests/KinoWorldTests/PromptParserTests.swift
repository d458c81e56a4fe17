import Testing

@testable import KinoWorld

struct PromptParserTests {
  @Test func `A prompt of a user's becomes the scene it describes`() throws {
    let scene = try Scene(parsing: "a shiny red ball bounces past a blue cube at sunset")
    #expect(scene.objects.map(\.shape) == [.sphere, .cube])
    #expect(scene.objects.map(\.colour) == [.red, .blue])
    #expect(scene.objects[0].finish == .shiny)
    #expect(scene.objects[0].motion.kind == .bounce)
    #expect(scene.sky == .sunset)
    #expect(scene.relation(of: 0, to: 1) == .inFrontOf)
  }

  @Test(arguments: [
    ("A glass cone falls", Scene.Shape.cone, Scene.MotionKind.fall),
    ("rolling green ball!!!", .sphere, .roll),
    ("the ball is spinning", .sphere, .spin),
    ("Зелёная пирамида вращается", .pyramid, .spin),
    ("жёлтое кольцо катится влево по траве", .torus, .roll),
    ("a purple elephant watches a jumping brick", .brick, .jump),
  ])
  func `Words are understood in any order, unknown ones ignored`(
    _ prompt: String, _ shape: Scene.Shape, _ kind: Scene.MotionKind
  ) throws {
    let scene = try Scene(parsing: prompt)
    #expect(scene.objects.count == 1)
    #expect(scene.objects[0].shape == shape && scene.objects[0].motion.kind == kind)
  }

  @Test func `What is named after a relation is placed by it`() throws {
    let scene = try Scene(parsing: "a red cube to the left of a green cone, behind a blue ball")
    #expect(scene.relation(of: 0, to: 1) == .leftOf)
    let russian = try Scene(parsing: "красный куб справа от синего шара")
    #expect(russian.relation(of: 0, to: 1) == .rightOf)
  }

  @Test func `Collisions, circles and walls find their partners`() throws {
    let hit = try Scene(parsing: "a red ball crashes into a green cube on snow")
    #expect(hit.objects[0].motion.kind == .collide && hit.objects[0].partner == 1)
    let circle = try Scene(parsing: "синий шар кружит вокруг белого куба ночью")
    #expect(circle.objects[0].motion.kind == .circle && circle.objects[0].partner == 1)
    #expect(circle.sky == .night)
    let wall = try Scene(parsing: "an orange ball rolls behind a brown wall")
    #expect(wall.objects[0].motion.kind == .passBehind && wall.wall?.colour == .brown)
  }

  @Test func `The camera's motion is not an object's`() throws {
    let scene = try Scene(parsing: "a red cube while the camera orbits around it")
    #expect(scene.camera.motion == .orbit)
    #expect(scene.objects.map(\.motion.kind) == [.still])
    #expect(try Scene(parsing: "ball slides toward the camera").camera.motion == .still)
  }

  @Test func `Three equal balls are equal also in what is left open`() throws {
    let scene = try Scene(parsing: "three balls jump")
    #expect(scene.objects.count == 3)
    #expect(
      Set(scene.objects.map(\.colour)).count == 1 && Set(scene.objects.map(\.finish)).count == 1)
  }

  @Test func `Only a place is enough`() throws {
    let scene = try Scene(parsing: "sunset on the beach")
    #expect(scene.ground == .sand && scene.sky == .sunset && scene.objects.count == 1)
  }

  @Test(arguments: [
    "", "   ", "\u{0}", "lorem ipsum dolor", "🎈🎉", "שלום עולם", "...,,,;;;", "1234567",
  ])
  func `A prompt without a known word is refused with examples`(_ prompt: String) {
    let error = #expect(throws: WorldError.self) { try Scene(parsing: prompt) }
    #expect(error?.code == .nothingUnderstood)
    #expect(error?.description.contains("cube") == true)
  }

  @Test func `Hostile prompts neither crash nor hang`() throws {
    let pieces = [
      "ball", "cube", "behind", "hits", "around", "the", "two", "and", ".", ",", "wall", "camera",
      "left of", "rolls", "🎲", "\u{202E}", "куб", "за", "four", "orbits", "red", "still", "jumping",
    ]
    var random = WorldRandom(seed: 5)
    for _ in 0..<400 {
      let prompt = (0..<1 + random.index(30)).map { _ in random.pick(pieces) }.joined(
        separator: " ")
      guard let scene = try? Scene(parsing: prompt) else { continue }
      #expect((1...4).contains(scene.objects.count), "\(prompt)")
      for object in scene.objects {
        if let partner = object.partner {
          #expect(scene.objects.indices.contains(partner), "\(prompt)")
        }
      }
      #expect(smallestGap(in: scene) > -1e-3, "\(prompt)")
    }
    #expect(
      try Scene(parsing: String(repeating: "red ball bounces, ", count: 6_000)).objects.count == 4)
    #expect(throws: WorldError.self) { try Scene(parsing: String(repeating: "x", count: 100_000)) }
  }

  @Test func `The same prompt gives the same scene`() throws {
    let prompt = "a blue capsule rolls left"
    #expect(try Scene(parsing: prompt) == Scene(parsing: prompt))
  }
}
