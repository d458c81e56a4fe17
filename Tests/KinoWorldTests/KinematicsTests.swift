import Testing

@testable import KinoWorld

struct KinematicsTests {
  private func scene(_ prompt: String) throws -> Scene { try Scene(parsing: prompt) }

  @Test func `A falling object follows the law of free fall`() throws {
    let scene = try scene("a red ball falls")
    let start = scene.position(of: 0, at: 0).y
    for t in [0.1, 0.2, 0.3, 0.4, 0.5] {
      let expected = start - Float(0.5 * 9.8 * t * t)
      #expect(abs(scene.position(of: 0, at: t).y - expected) < 1e-4)
    }
    #expect(abs(scene.position(of: 0, at: 30).y - scene.objects[0].restHeight) < 1e-5)
  }

  @Test func `Each bounce is lower than the last by the square of the restitution`() throws {
    let scene = try scene("a red ball bounces")
    let motion = scene.objects[0].motion
    let heights = (0..<4_000).map { motion.lift(at: Float($0) * 0.001) }
    var apexes: [Float] = [heights[0]]
    for k in 1..<heights.count - 1 where heights[k] > heights[k - 1] && heights[k] >= heights[k + 1]
    {
      apexes.append(heights[k])
    }
    #expect(apexes.count > 3)
    let ratio = motion.restitution * motion.restitution
    for (high, low) in zip(apexes, apexes.dropFirst()).prefix(3) {
      #expect(abs(low / high - ratio) < 0.01)
    }
  }

  @Test func `A jump starts from the ground and rises as high as it says`() throws {
    let motion = try scene("a cube jumps").objects[0].motion
    #expect(motion.lift(at: 0) == 0)
    let top = (0..<1_000).map { motion.lift(at: Float($0) * 0.001) }.max() ?? 0
    #expect(abs(top - motion.height) < 1e-3)
  }

  @Test func `A ball rolls without slipping`() throws {
    let scene = try scene("a red ball rolls right")
    let object = scene.objects[0]
    let (t, dt): (Float, Float) = (0.5, 0.01)
    let (a, b) = (scene.pose(of: 0, at: t), scene.pose(of: 0, at: t + dt))
    // The touching point's own motion cancels the centre's.
    let down = SIMD3<Float>(0, -object.rollingRadius, 0)
    let local = SIMD3(dot(down, a.axes.x), dot(down, a.axes.y), dot(down, a.axes.z))
    let contact = (b.position + b.axes(local)) - (a.position + down)
    #expect(length(contact) < 0.02 * length(b.position - a.position))
    #expect(b.position.x > a.position.x)
  }

  @Test func `A hit conserves momentum and loses little energy`() {
    let hit = Collision(approach: 1, speed: 2, masses: (1, 2.5))
    let momentum = 1 * hit.after.striker + 2.5 * hit.after.struck
    #expect(abs(momentum - 2) < 1e-5)
    #expect(abs((hit.after.struck - hit.after.striker) - 2 * Collision.restitution) < 1e-5)
    #expect(hit.offset(ofStriker: false, at: hit.hit - 0.01) == 0)
    #expect(abs(hit.offset(ofStriker: false, at: 60) - hit.offset(ofStriker: false, at: 50)) < 1e-5)
  }

  @Test(arguments: Scene.Direction.allCases)
  func `Objects travel the way they are said to`(_ direction: Scene.Direction) throws {
    let words = [
      "left": "left", "right": "right", "toward": "toward the camera", "away": "into the distance",
    ]
    let scene = try scene("a green cube slides \(words[direction.rawValue] ?? "")")
    let d = scene.position(of: 0, at: 1) - scene.position(of: 0, at: 0)
    #expect(dot(d, Scene.Motion(.slide, direction).heading) > 0.8)
    #expect(abs(d.y) < 1e-6)
  }

  @Test func `Whatever is said to move has visibly moved after a second`() {
    for seed in 0..<500 as Range<UInt64> {
      let scene = Scene.random(seed: seed)
      for (index, object) in scene.objects.enumerated() where object.motion.kind != .still {
        var travel: Float = 0
        for step in 0..<12 {
          let (a, b) = (
            scene.pose(of: index, at: Float(step) / 12),
            scene.pose(of: index, at: Float(step + 1) / 12)
          )
          travel += length(b.position - a.position) + length(b.axes.x - a.axes.x)
        }
        #expect(travel > 0.6, "seed \(seed) \(object.motion.kind)")
      }
    }
  }

  @Test func `Long scenes stay finite and within their bounds`() {
    for seed in 0..<200 as Range<UInt64> {
      let scene = Scene.random(seed: seed)
      for index in scene.objects.indices {
        for time in [10.0, 60, 600] {
          let p = scene.position(of: index, at: time)
          #expect(abs(p.x) < 12 && abs(p.z) < 12 && p.y < 4, "seed \(seed)")
        }
      }
    }
  }
}
