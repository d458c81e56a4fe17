import Foundation
import Testing

@testable import KinoWorld

/// The least distance between the vertical tubes around any two objects that are not to meet, over ten
/// seconds, where their heights overlap; negative where they interpenetrate.
func smallestGap(in scene: Scene) -> Float {
  var least = Float.infinity
  for step in 0..<100 {
    let poses = scene.objects.indices.map { scene.pose(of: $0, at: Float(step) * 0.1) }
    for i in scene.objects.indices {
      for j in scene.objects.indices where j > i {
        let (a, b) = (scene.objects[i], scene.objects[j])
        let d = poses[i].position - poses[j].position
        if abs(d.y) > a.restHeight + b.restHeight { continue }
        let needed =
          a.partner == j || b.partner == i
          ? (a.motion.kind == .circle || b.motion.kind == .circle
            ? a.footprint + b.footprint : Scene.contactDistance(a, b)) : a.footprint + b.footprint
        least = min(least, (d.x * d.x + d.z * d.z).squareRoot() - needed)
      }
    }
  }
  return least
}

struct SceneTests {
  @Test func `The same seed gives the same scene, and coding keeps it`() throws {
    for seed in 0..<50 as Range<UInt64> {
      let scene = Scene.random(seed: seed)
      #expect(scene == Scene.random(seed: seed))
      let data = try JSONEncoder().encode(scene)
      #expect(try JSONDecoder().decode(Scene.self, from: data) == scene)
    }
    #expect(Set((0..<100 as Range<UInt64>).map { Scene.random(seed: $0) }).count == 100)
  }

  @Test func `Random numbers never change`() {
    var random = WorldRandom(seed: 1)
    #expect(random.next() == 6_791_897_765_849_424_158)
    #expect(WorldRandom.hash("kino") == 7_520_379_118_554_465_478)
  }

  @Test func `One combination in twenty is held out`() {
    var (triples, pairs): ([Bool], [Bool]) = ([], [])
    for shape in Scene.Shape.allCases {
      for colour in Scene.Colour.allCases {
        triples += Scene.Finish.allCases.filter { Scene.canShow(colour, $0) }
          .map { Scene.isHeldOut(shape, colour, $0) }
      }
      pairs += Scene.MotionKind.allCases.filter { Scene.canShow(shape, $0) }
        .map { Scene.isHeldOut(shape, $0) }
    }
    let share = Double(triples.filter { $0 }.count) / Double(triples.count)
    #expect((0.03...0.07).contains(share), "\(share)")
    let pairShare = Double(pairs.filter { $0 }.count) / Double(pairs.count)
    #expect((0.02...0.08).contains(pairShare), "\(pairShare)")
  }

  @Test func `Training scenes never show a held-out combination, held-out scenes always do`() {
    for seed in 0..<2_000 as Range<UInt64> {
      #expect(!Scene.random(seed: seed, split: .training).isHeldOut)
    }
    for seed in 0..<200 as Range<UInt64> {
      #expect(Scene.random(seed: seed, split: .heldOut).isHeldOut)
    }
  }

  @Test func `Every word of the vocabulary is drawn often`() {
    let scenes = (0..<4_000 as Range<UInt64>).map { Scene.random(seed: $0) }
    let objects = scenes.flatMap(\.objects)
    for shape in Scene.Shape.allCases {
      #expect(objects.count { $0.shape == shape } > 250, "\(shape)")
    }
    for colour in Scene.Colour.allCases {
      #expect(objects.count { $0.colour == colour } > 120, "\(colour)")
    }
    for kind in Scene.MotionKind.allCases {
      #expect(scenes.count { $0.objects[0].motion.kind == kind } > 150, "\(kind)")
    }
    for motion in Scene.CameraMotion.allCases {
      #expect(scenes.count { $0.camera.motion == motion } > 150, "\(motion)")
    }
    for ground in Scene.Ground.allCases {
      #expect(scenes.count { $0.ground == ground } > 400, "\(ground)")
    }
    for sky in Scene.Sky.allCases { #expect(scenes.count { $0.sky == sky } > 400, "\(sky)") }
    let glass = Double(objects.count { $0.finish == .glass }) / Double(objects.count)
    #expect((0.1...0.2).contains(glass))
  }

  @Test func `Objects never interpenetrate`() {
    for seed in 0..<600 as Range<UInt64> {
      let scene = Scene.random(seed: seed, split: .any)
      #expect(smallestGap(in: scene) > -1e-3, "seed \(seed)")
    }
  }

  @Test func `Objects never sink into the ground`() {
    for seed in 0..<300 as Range<UInt64> {
      let scene = Scene.random(seed: seed, split: .any)
      for index in scene.objects.indices {
        for step in 0..<120 {
          let y = scene.position(of: index, at: Double(step) * 0.5).y
          #expect(y >= scene.objects[index].restHeight - 1e-4, "seed \(seed)")
        }
      }
    }
  }

  @Test(arguments: [(16, 9), (4, 3), (1, 1), (3, 4), (9, 16)])
  func `The main object stays in the picture`(_ width: Int, _ height: Int) {
    let half = Scene.Camera.halfAngles(width: width, height: height)
    var (inside, total) = (0, 0)
    for seed in 0..<400 as Range<UInt64> {
      let scene = Scene.random(seed: seed)
      for step in 0..<9 {
        let time = Float(step) * 0.3
        let view = scene.camera.viewpoint(at: time)
        let d = scene.pose(of: 0, at: time).position - view.origin
        let depth = dot(d, view.forward)
        total += 1
        if abs(dot(d, view.right)) < depth * half.x && abs(dot(d, view.up)) < depth * half.y {
          inside += 1
        }
      }
    }
    #expect(Double(inside) / Double(total) > 0.99, "\(inside) of \(total)")
  }
}
