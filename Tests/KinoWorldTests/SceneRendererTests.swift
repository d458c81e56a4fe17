import Testing

@testable import KinoWorld

struct SceneRendererTests {
  @Test func `The same scene gives the same bytes whatever the thread count`() {
    let renderer = SceneRenderer(width: 48, height: 32)
    for seed in [1, 6, 11, 34] as [UInt64] {
      let scene = Scene.random(seed: seed)
      let one = renderer.render(scene, frameCount: 5, framesPerSecond: 12)
      #expect(one == renderer.render(scene, frameCount: 5, framesPerSecond: 12, threads: 3))
      #expect(one == renderer.render(scene, frameCount: 5, framesPerSecond: 12, threads: 64))
      #expect(one.pixels.count == 5 * 32 * 48 * 3)
    }
  }

  @Test func `A clip's frames are the moments it names`() {
    let renderer = SceneRenderer(width: 24, height: 24)
    let scene = Scene.random(seed: 2)
    let clip = renderer.render(scene, frameCount: 3, framesPerSecond: 2, startTime: 0.5)
    var frame = [UInt8](repeating: 0, count: 24 * 24 * 3)
    frame.withUnsafeMutableBufferPointer { renderer.renderFrame(scene, time: 1, into: $0) }
    #expect(Array(clip.pixels[frame.count..<2 * frame.count]) == frame)
  }

  @Test(arguments: ["red", "green", "blue", "yellow"])
  func `An object is seen in its colour`(_ colour: String) throws {
    let scene = try Scene(parsing: "a big matte \(colour) cube on snow on a cloudy day")
    let renderer = SceneRenderer(width: 64, height: 64)
    let clip = renderer.render(scene, frameCount: 1, framesPerSecond: 1)
    let pixels = (0..<64 * 64).map {
      (Int(clip.pixels[$0 * 3]), Int(clip.pixels[$0 * 3 + 1]), Int(clip.pixels[$0 * 3 + 2]))
    }
    let matching = pixels.count { r, g, b in
      switch colour {
      case "red": r > g + 60 && r > b + 60
      case "green": g > r + 40 && g > b + 40
      case "blue": b > r + 60 && b > g + 40
      default: r > b + 80 && g > b + 60
      }
    }
    #expect((250..<2_000).contains(matching), "\(matching) of 4096 pixels")
  }

  @Test func `Night is darker than day, and every picture has contrast`() throws {
    let renderer = SceneRenderer(width: 32, height: 32)
    func mean(_ prompt: String) throws -> Double {
      let clip = renderer.render(try Scene(parsing: prompt), frameCount: 1, framesPerSecond: 1)
      return Double(clip.pixels.reduce(0) { $0 + Int($1) }) / Double(clip.pixels.count)
    }
    #expect(
      try mean("a red ball on grass at night") < mean("a red ball on grass on a sunny day") - 30)
    for seed in 0..<60 as Range<UInt64> {
      let clip = renderer.render(Scene.random(seed: seed), frameCount: 1, framesPerSecond: 1)
      let (low, high) = (clip.pixels.min() ?? 0, clip.pixels.max() ?? 0)
      #expect(high - low > 60, "seed \(seed)")
    }
  }

  @Test(arguments: [(1, 1), (7, 3), (3, 40), (40, 3)])
  func `Odd sizes are drawn`(_ width: Int, _ height: Int) {
    let clip = SceneRenderer(width: width, height: height)
      .render(Scene.random(seed: 9), frameCount: 2, framesPerSecond: 30)
    #expect(clip.pixels.count == 2 * width * height * 3)
  }

  @Test func `Edges are smoothed`() throws {
    let scene = try Scene(parsing: "a white ball on grass at night")
    // Pixels that lie between their two neighbours in a row: steps, once smoothed, have some.
    func between(_ samples: Int) -> Int {
      let pixels = SceneRenderer(width: 48, height: 48, samplesPerEdgePixel: samples)
        .render(scene, frameCount: 1, framesPerSecond: 1).pixels
      return (0..<48 * 46).count { index in
        let place = (index / 46 * 48 + index % 46) * 3
        let (a, b, c) = (Int(pixels[place]), Int(pixels[place + 3]), Int(pixels[place + 6]))
        return abs(a - c) > 60 && min(abs(a - b), abs(b - c)) > 15 && (a < b) == (b < c)
      }
    }
    #expect(between(6) > between(1))
  }

  @Test(arguments: Scene.Shape.allCases)
  func `Distances never overshoot the surface`(_ shape: Scene.Shape) {
    // Marching by the distance must not step through: along any line it changes by at most the step.
    let object = Scene.Object(
      shape: shape, colour: .red, finish: .matte, size: .medium, motion: Scene.Motion(.still),
      anchor: SIMD2(), yaw: 0.3, partner: nil)
    let solid = Solid(object, pose: Pose(position: SIMD3(0, 1, 0), axes: .yaw(0.3)))
    var random = WorldRandom(seed: 4)
    for _ in 0..<2_000 {
      func point() -> Vector {
        Vector(random.uniform(-1.2, 1.2), random.uniform(-0.2, 2.2), random.uniform(-1.2, 1.2))
      }
      let (a, b) = (point(), point())
      #expect(abs(solid.distance(a) - solid.distance(b)) <= length(a - b) * 1.02 + 1e-4)
      if length(a - solid.center) > solid.bound { #expect(solid.distance(a) > -1e-4) }
    }
  }
}
