/// What a picture of a scene shows in each of its square cells: known without drawing it, and without
/// light, ground or sky.
///
/// A cell's numbers are means or shares over a grid of 4x4 rays, of which those that meet the ground, the
/// sky or a wall count as nothing. ``values`` holds ``width`` numbers per cell, in the order of `parts`.
public struct SceneTruth: Hashable, Sendable {
  /// One kind of knowledge about a cell.
  public enum Part: CaseIterable, Hashable, Sendable {
    /// 16 numbers, 1 where a ray meets an object, else 0: rows from the top.
    case mask
    /// 16 x 3 numbers: the outward normal where each ray meets an object, as right, up and towards the
    /// camera in -1...1; 0 elsewhere.
    case normals
    /// The share of rays that meet each shape, in the order of `Scene.Shape.allCases`.
    case shapes
    /// As ``shapes``, for `Scene.Colour.allCases`.
    case colours
    /// As ``shapes``, for `Scene.Finish.allCases`.
    case finishes
    /// Two numbers: how fast what is seen moves right and down in the picture, in picture heights per
    /// second, summed over the rays and divided by 16.
    case motion

    /// Numbers per cell.
    public var width: Int {
      switch self {
      case .mask: SceneTruth.raysPerCell
      case .normals: SceneTruth.raysPerCell * 3
      case .shapes: Scene.Shape.allCases.count
      case .colours: Scene.Colour.allCases.count
      case .finishes: Scene.Finish.allCases.count
      case .motion: 2
      }
    }
  }

  /// Rays along each side of a cell.
  static let raysPerSide = 4
  static let raysPerCell = raysPerSide * raysPerSide

  /// Numbers per cell.
  public static let width = Part.allCases.reduce(0) { $0 + $1.width }

  /// The places of a part among a cell's numbers.
  public static func range(of part: Part) -> Range<Int> {
    let before = Part.allCases.prefix { $0 != part }.reduce(0) { $0 + $1.width }
    return before..<before + part.width
  }

  /// Rows of cells, from the top.
  public let rows: Int
  /// Cells in a row.
  public let columns: Int
  /// `[rows, columns, width]`, the last index fastest.
  public private(set) var values: [Float]

  init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    values = Array(repeating: 0, count: rows * columns * SceneTruth.width)
  }

  /// The cells of a rectangle, which must lie inside.
  public func cut(row: Int, column: Int, rows: Int, columns: Int) -> SceneTruth {
    precondition(
      row >= 0 && column >= 0 && row + rows <= self.rows && column + columns <= self.columns,
      "SceneTruth: \(rows)x\(columns) cells at \(row), \(column) of \(self.rows)x\(self.columns)")
    var result = SceneTruth(rows: rows, columns: columns)
    result.values = (row..<row + rows).flatMap { row in
      let start = (row * self.columns + column) * SceneTruth.width
      return values[start..<start + columns * SceneTruth.width]
    }
    return result
  }

  /// Cells, numbered row by row, in which any ray meets an object.
  public var objectCells: [Int] {
    let mask = SceneTruth.range(of: .mask)
    return (0..<rows * columns).filter { cell in
      let start = cell * SceneTruth.width
      return values[start + mask.lowerBound..<start + mask.upperBound].contains { $0 > 0 }
    }
  }

  /// A part's numbers of one cell.
  public func numbers(_ part: Part, row: Int, column: Int) -> ArraySlice<Float> {
    let start = (row * columns + column) * SceneTruth.width
    let range = SceneTruth.range(of: part)
    return values[start + range.lowerBound..<start + range.upperBound]
  }
}

extension SceneRenderer {
  /// Tells what a picture shows in each cell, by rays alone: about a thousandth of drawing it.
  ///
  /// - Parameters:
  ///   - scene: What is seen.
  ///   - time: The scene's time in seconds; earlier times count as 0.
  ///   - cell: Pixels along a cell's side; what is left at the right and at the bottom is not looked at.
  /// - Returns: The cells, from the top left.
  public func truth(_ scene: Scene, time: Double, cell: Int = 16) -> SceneTruth {
    precondition(cell > 0, "SceneRenderer: cells of \(cell) pixels")
    let moment = TruthMoment(scene, time: Float(max(0, time)), width: width, height: height)
    var truth = SceneTruth(rows: height / cell, columns: width / cell)
    let step = Float(cell) / Float(SceneTruth.raysPerSide)
    for row in 0..<truth.rows * SceneTruth.raysPerSide {
      for column in 0..<truth.columns * SceneTruth.raysPerSide {
        if let sight = moment.sight((Float(column) + 0.5) * step, (Float(row) + 0.5) * step) {
          truth.add(sight, row, column)
        }
      }
    }
    return truth
  }
}

extension SceneTruth {
  fileprivate mutating func add(_ sight: TruthMoment.Sight, _ row: Int, _ column: Int) {
    let side = SceneTruth.raysPerSide
    let cell = (row / side * columns + column / side) * SceneTruth.width
    let ray = row % side * side + column % side
    let share = 1 / Float(SceneTruth.raysPerCell)
    func place(_ part: Part, _ index: Int) -> Int {
      cell + SceneTruth.range(of: part).lowerBound + index
    }
    values[place(.mask, ray)] = 1
    for axis in 0..<3 {
      values[place(.normals, ray * 3 + axis)] = sight.normal[axis]
    }
    values[place(.shapes, index(of: sight.object.shape))] += share
    values[place(.colours, index(of: sight.object.colour))] += share
    values[place(.finishes, index(of: sight.object.finish))] += share
    for axis in 0..<2 {
      values[place(.motion, axis)] += sight.motion[axis] * share
    }
  }

  private func index<Value: CaseIterable & Equatable>(of value: Value) -> Int {
    Array(Value.allCases).firstIndex(of: value) ?? 0
  }
}

/// A scene at one time, ready for rays, and a moment later, for speeds.
struct TruthMoment {
  /// What a ray meets.
  struct Sight {
    /// The object's place among the scene's.
    var index: Int
    var object: Scene.Object
    var normal: Vector
    var motion: SIMD2<Float>
  }

  private static let laterBy: Float = 1 / 48

  private let scene: Scene
  private let solids: [Solid]
  private let later: [Pose]
  private let view: Viewpoint
  private let laterView: Viewpoint
  private let half: SIMD2<Float>
  private let fan: RayFan
  private let pixel: Float

  init(_ scene: Scene, time: Float, width: Int, height: Int) {
    self.scene = scene
    var solids = scene.objects.indices.map {
      Solid(scene.objects[$0], pose: scene.pose(of: $0, at: time))
    }
    if let wall = scene.wall { solids.append(Solid(wall)) }
    self.solids = solids
    later = scene.objects.indices.map { scene.pose(of: $0, at: time + Self.laterBy) }
    view = scene.camera.viewpoint(at: time)
    laterView = scene.camera.viewpoint(at: time + Self.laterBy)
    half = Scene.Camera.halfAngles(width: width, height: height)
    fan = RayFan(view, half: half, width: width, height: height)
    pixel = 2 * half.y / Float(height)
  }

  /// What is seen at a pixel; `nil` for ground, sky and walls.
  func sight(_ x: Float, _ y: Float) -> Sight? {
    let direction = fan.direction(x, y)
    var nearest = direction.y < -1e-4 ? min(-fan.origin.y / direction.y, 400) : 400
    var met: Int?
    for index in solids.indices {
      let distance = solids[index].hit(fan.origin, direction, farthest: nearest, pixel: pixel)
      if distance > 0 && distance < nearest { (nearest, met) = (distance, index) }
    }
    guard let met, met < scene.objects.count else { return nil }
    let solid = solids[met]
    let point = fan.origin + direction * nearest
    let offset = solid.toLocal(point - solid.center)
    let normal = solid.axes(solid.localNormal(offset * solid.inverseScale))
    let moved = later[met].position + later[met].axes(offset)
    return Sight(
      index: met, object: scene.objects[met],
      normal: Vector(
        dot(normal, view.right), dot(normal, view.up), -dot(normal, view.forward)),
      motion: (place(of: moved, in: laterView) - place(of: point, in: view)) / Self.laterBy)
  }

  /// Where a point is in the picture, in picture heights right of and below the middle.
  private func place(of point: Vector, in view: Viewpoint) -> SIMD2<Float> {
    let offset = point - view.origin
    let scale = 0.5 / (half.y * max(0.05, dot(offset, view.forward)))
    return SIMD2(dot(offset, view.right), -dot(offset, view.up)) * scale
  }
}
