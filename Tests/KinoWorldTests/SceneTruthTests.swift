import Testing

@testable import KinoWorld

struct SceneTruthTests {
  private let renderer = SceneRenderer(width: 128, height: 128)

  private func sum(_ part: SceneTruth.Part, _ truth: SceneTruth) -> [Float] {
    var sums = [Float](repeating: 0, count: part.width)
    for row in 0..<truth.rows {
      for column in 0..<truth.columns {
        for (index, value) in truth.numbers(part, row: row, column: column).enumerated() {
          sums[index] += value
        }
      }
    }
    return sums
  }

  @Test func `A cell's numbers hold every part once`() {
    let ranges = SceneTruth.Part.allCases.map { SceneTruth.range(of: $0) }
    #expect(ranges.first?.lowerBound == 0)
    #expect(ranges.last?.upperBound == SceneTruth.width)
    for (one, next) in zip(ranges, ranges.dropFirst()) {
      #expect(one.upperBound == next.lowerBound)
    }
  }

  @Test func `Shapes, colours and finishes are those of the objects that the rays meet`() throws {
    let scene = try Scene(parsing: "a big shiny blue cube on grass on a sunny day")
    let truth = renderer.truth(scene, time: 0)
    #expect(truth.rows == 8 && truth.columns == 8)
    let rays = sum(.mask, truth).reduce(0, +)
    #expect(rays > 30)
    func share<Value: CaseIterable & Equatable>(_ part: SceneTruth.Part, _ value: Value) -> Float {
      let sums = sum(part, truth)
      let index = Array(Value.allCases).firstIndex(of: value) ?? 0
      #expect(abs(sums.reduce(0, +) - sums[index]) < 1e-4)
      return sums[index]
    }
    #expect(abs(share(.shapes, Scene.Shape.cube) - rays / 16) < 1e-3)
    #expect(abs(share(.colours, Scene.Colour.blue) - rays / 16) < 1e-3)
    #expect(abs(share(.finishes, Scene.Finish.shiny) - rays / 16) < 1e-3)
  }

  @Test func `The mask lies where the picture shows the object`() throws {
    let scene = try Scene(parsing: "a big matte red cube on snow on a cloudy day")
    let truth = renderer.truth(scene, time: 0)
    let frame = renderer.render(scene, frameCount: 1, framesPerSecond: 1).pixels
    var (both, either) = (0, 0)
    for row in 0..<32 {
      for column in 0..<32 {
        let mask = truth.numbers(.mask, row: row / 4, column: column / 4)
        let isObject = mask[mask.startIndex + row % 4 * 4 + column % 4] == 1
        let pixel = ((row * 4 + 2) * 128 + column * 4 + 2) * 3
        let isRed = Int(frame[pixel]) > Int(frame[pixel + 1]) + 50
        both += isObject && isRed ? 1 : 0
        either += isObject || isRed ? 1 : 0
      }
    }
    #expect(Double(both) > 0.75 * Double(either), "\(both) of \(either)")
  }

  @Test func `Normals have length one where an object is, and face the camera`() throws {
    let scene = try Scene(parsing: "a big matte red ball on snow on a cloudy day")
    let truth = renderer.truth(scene, time: 0)
    for row in 0..<8 {
      for column in 0..<8 {
        let mask = Array(truth.numbers(.mask, row: row, column: column))
        let normals = Array(truth.numbers(.normals, row: row, column: column))
        for ray in 0..<16 {
          let n = normals[ray * 3..<ray * 3 + 3].map { $0 * $0 }.reduce(0, +)
          #expect(abs(n - mask[ray]) < 1e-3)
          if mask[ray] == 1 { #expect(normals[ray * 3 + 2] > -0.1) }
        }
      }
    }
  }

  @Test(arguments: [("left", -1), ("right", 1)] as [(String, Float)])
  func `Motion points where the object goes`(_ direction: String, _ sign: Float) throws {
    let scene = try Scene(parsing: "a red cube slides to the \(direction), the camera stands still")
    let motion = sum(.motion, renderer.truth(scene, time: 0.5))
    #expect(motion[0] * sign > 0.1)
    #expect(abs(motion[1]) < abs(motion[0]))
  }

  @Test func `What falls moves down, and what stands still does not move`() throws {
    let falling = try Scene(parsing: "a red cube falls, the camera stands still")
    #expect(sum(.motion, renderer.truth(falling, time: 0.2))[1] > 0.1)
    let still = try Scene(parsing: "a red cube stands still, the camera stands still")
    #expect(sum(.motion, renderer.truth(still, time: 0.2)).allSatisfy { abs($0) < 1e-3 })
  }

  @Test func `Portrait and landscape pictures have cells of their own shape`() {
    let truth = SceneRenderer(width: 160, height: 96).truth(.random(seed: 3), time: 1, cell: 32)
    #expect(truth.rows == 3 && truth.columns == 5)
    #expect(truth.values.count == 15 * SceneTruth.width)
  }
}
