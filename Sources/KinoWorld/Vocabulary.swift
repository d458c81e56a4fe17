extension Scene {
  /// What an object looks like in outline.
  public enum Shape: String, Codable, CaseIterable, Hashable, Sendable {
    case sphere, cube, cylinder, cone, torus, pyramid, capsule, octahedron, disc, brick
  }

  /// An object's colour. Gold and silver are always metal.
  public enum Colour: String, Codable, CaseIterable, Hashable, Sendable {
    case red, green, blue, yellow, orange, purple, pink, cyan, white, black, brown, gray, gold,
      silver

    /// Tells whether the colour only makes sense as a metal.
    public var isMetallic: Bool { self == .gold || self == .silver }
  }

  /// How an object's surface answers to light.
  public enum Finish: String, Codable, CaseIterable, Hashable, Sendable {
    case matte, shiny, metal, glass
  }

  /// How large an object is: 0.74, 1 and 1.32 times its shape's usual size of about one metre.
  public enum Size: String, Codable, CaseIterable, Hashable, Sendable {
    case small, medium, big
  }

  /// What the objects stand on.
  public enum Ground: String, Codable, CaseIterable, Hashable, Sendable {
    case checker, grass, sand, wood, snow, water
  }

  /// The light and what is above the horizon.
  public enum Sky: String, Codable, CaseIterable, Hashable, Sendable {
    case day, sunset, night, overcast
  }

  /// A way along the ground, as the camera sees it when the scene starts.
  public enum Direction: String, Codable, CaseIterable, Hashable, Sendable {
    case left, right, toward, away
  }

  /// Where one object is seen from another.
  public enum Relation: String, Codable, CaseIterable, Hashable, Sendable {
    case leftOf, rightOf, inFrontOf, behind

    /// The same fact told from the other object.
    public var inverse: Relation {
      switch self {
      case .leftOf: .rightOf
      case .rightOf: .leftOf
      case .inFrontOf: .behind
      case .behind: .inFrontOf
      }
    }
  }

  /// How the camera moves.
  public enum CameraMotion: String, Codable, CaseIterable, Hashable, Sendable {
    case still, orbit, dollyIn, dollyOut, panLeft, panRight, rise, shake
  }

  /// What kind of motion an object performs.
  public enum MotionKind: String, Codable, CaseIterable, Hashable, Sendable {
    case still, bounce, roll, slide, spin, circle, fall, jump, collide, passBehind

    /// Directions this motion may take; empty where direction means nothing.
    public var directions: [Direction] {
      switch self {
      case .roll, .slide: Direction.allCases
      case .bounce, .collide, .passBehind: [.left, .right]
      case .still, .spin, .circle, .fall, .jump: []
      }
    }

    /// Tells whether the motion is told wrongly without a direction.
    var needsDirection: Bool {
      self == .roll || self == .slide || self == .collide || self == .passBehind
    }
  }
}

extension Scene.Shape {
  /// Tells whether the shape can roll on the ground without tumbling.
  public var canRoll: Bool {
    switch self {
    case .sphere, .cylinder, .torus, .capsule, .disc: true
    case .cube, .cone, .pyramid, .octahedron, .brick: false
    }
  }

  /// Tells whether the shape meets others at half height, so that a hit looks like one.
  var collidesWell: Bool {
    switch self {
    case .sphere, .cube, .cylinder, .brick: true
    case .cone, .torus, .pyramid, .capsule, .octahedron, .disc: false
    }
  }
}

extension Scene.Size {
  /// The factor by which the shape's usual dimensions are multiplied.
  public var scale: Float {
    switch self {
    case .small: 0.74
    case .medium: 1
    case .big: 1.32
    }
  }
}
