/// What can be told about a scene by looking at a clip of it: the answers that a judge learns to give.
///
/// Objects are a set: their order here means nothing. What can't be seen, or is not defined, is `nil` and is
/// neither trained on nor judged.
public struct SceneAttributes: Codable, Hashable, Sendable {
  /// Up to four objects in any order.
  public var objects: [Object]
  /// How many objects there are, in `1...4`.
  public var objectCount: Int?
  /// What the objects stand on.
  public var ground: Scene.Ground?
  /// The light and what is above the horizon.
  public var sky: Scene.Sky?
  /// How the camera moves; `nil` in a picture.
  public var camera: Scene.CameraMotion?

  /// What can be told about one object.
  public struct Object: Codable, Hashable, Sendable {
    /// Its form.
    public var shape: Scene.Shape?
    /// The colour of its surface.
    public var colour: Scene.Colour?
    /// How its surface throws light back.
    public var finish: Scene.Finish?
    /// How large it is.
    public var size: Scene.Size?
    /// What it does; `nil` in a picture, and for one that waits to be hit.
    public var kind: Scene.MotionKind?
    /// Where to; `nil` where the motion is.
    public var heading: Heading?

    /// Describes an object; what is left out is not told.
    public init(
      shape: Scene.Shape? = nil, colour: Scene.Colour? = nil, finish: Scene.Finish? = nil,
      size: Scene.Size? = nil, kind: Scene.MotionKind? = nil, heading: Heading? = nil
    ) {
      self.shape = shape
      self.colour = colour
      self.finish = finish
      self.size = size
      self.kind = kind
      self.heading = heading
    }
  }

  /// Where an object goes along the ground, as the camera sees it when the scene starts.
  public enum Heading: String, Codable, CaseIterable, Hashable, Sendable {
    case left, right, toward, away, nowhere

    /// The heading of a motion with a direction, or without one.
    public init(_ direction: Scene.Direction?) {
      switch direction {
      case .left: self = .left
      case .right: self = .right
      case .toward: self = .toward
      case .away: self = .away
      case nil: self = .nowhere
      }
    }
  }

  /// Describes a scene by its parts; what is left out is not told.
  public init(
    objects: [Object], objectCount: Int? = nil, ground: Scene.Ground? = nil,
    sky: Scene.Sky? = nil, camera: Scene.CameraMotion? = nil
  ) {
    self.objects = objects
    self.objectCount = objectCount
    self.ground = ground
    self.sky = sky
    self.camera = camera
  }

  /// Describes a scene.
  public init(_ scene: Scene) {
    self.init(
      objects: scene.objects.indices.map { index in
        let object = scene.objects[index]
        // What waits to be hit stands still and is then pushed: neither is wrong.
        let isStruck = scene.objects.contains {
          $0.motion.kind == .collide && $0.partner == index
        }
        return Object(
          shape: object.shape, colour: object.colour, finish: object.finish, size: object.size,
          kind: isStruck ? nil : object.motion.kind,
          heading: isStruck ? nil : Heading(object.motion.direction))
      },
      objectCount: scene.objects.count, ground: scene.ground, sky: scene.sky,
      camera: scene.camera.motion)
  }

  /// What a statement says, in its order; `nil` where it is silent. A motion without a direction says nothing
  /// of where to, unless it can't go anywhere; a hit without its other side leaves the number of objects open.
  package init(_ statement: SceneStatement) {
    let isComplete = statement.objects.allSatisfy { $0.kind != .collide || $0.partner != nil }
    self.init(
      objects: statement.objects.map { object in
        let staysInPlace = object.kind.map { $0.directions.isEmpty } ?? false
        return Object(
          shape: object.shape, colour: object.colour, finish: object.finish, size: object.size,
          kind: object.kind,
          heading: object.direction.map { Heading($0) } ?? (staysInPlace ? .nowhere : nil))
      },
      objectCount: isComplete && !statement.objects.isEmpty ? statement.objects.count : nil,
      ground: statement.ground, sky: statement.sky, camera: statement.camera)
  }

  /// What a prompt says, in English or Russian; `nil` where it is silent.
  ///
  /// - Throws: ``WorldError`` if no word names anything in this world.
  public init(statedBy prompt: String) throws {
    let statement = PromptParser(prompt).statement
    guard !statement.isEmpty else { throw WorldError.nothingUnderstood(prompt) }
    self.init(statement)
  }

  /// What is told by the picture seen in a mirror: left and right change places.
  public var mirrored: SceneAttributes {
    var result = self
    for index in result.objects.indices {
      switch result.objects[index].heading {
      case .left: result.objects[index].heading = .right
      case .right: result.objects[index].heading = .left
      case .toward, .away, .nowhere, nil: break
      }
    }
    switch camera {
    case .panLeft: result.camera = .panRight
    case .panRight: result.camera = .panLeft
    case .still, .orbit, .dollyIn, .dollyOut, .rise, .shake, nil: break
    }
    return result
  }

  /// What a single picture can tell.
  public var still: SceneAttributes {
    var result = self
    result.camera = nil
    for index in result.objects.indices {
      result.objects[index].kind = nil
      result.objects[index].heading = nil
    }
    return result
  }
}

extension SceneAttributes {
  /// One question about a scene or an object, with the names of its possible answers.
  public struct Question: Codable, Hashable, Sendable {
    /// For example `shape`.
    public var name: String
    /// For example `sphere`, `cube`.
    public var answers: [String]

    /// A question with the names of its answers.
    public init(_ name: String, _ answers: [String]) {
      self.name = name
      self.answers = answers
    }
  }

  /// What is asked about every object, in the order of ``Object/answers``.
  public static let objectQuestions: [Question] = [
    Question("shape", Scene.Shape.allCases.map(\.rawValue)),
    Question("colour", Scene.Colour.allCases.map(\.rawValue)),
    Question("finish", Scene.Finish.allCases.map(\.rawValue)),
    Question("size", Scene.Size.allCases.map(\.rawValue)),
    Question("motion", Scene.MotionKind.allCases.map(\.rawValue)),
    Question("direction", Heading.allCases.map(\.rawValue)),
  ]

  /// What is asked about the scene, in the order of ``answers``.
  public static let sceneQuestions: [Question] = [
    Question("objects", ["1", "2", "3", "4"]),
    Question("ground", Scene.Ground.allCases.map(\.rawValue)),
    Question("sky", Scene.Sky.allCases.map(\.rawValue)),
    Question("camera", Scene.CameraMotion.allCases.map(\.rawValue)),
  ]

  /// The number of each question's answer, `nil` where it is not told.
  public var answers: [Int?] {
    [
      objectCount.map { $0 - 1 }, Self.number(ground), Self.number(sky), Self.number(camera),
    ]
  }

  static func number<Value: CaseIterable & Equatable>(_ value: Value?) -> Int? {
    value.flatMap { value in Value.allCases.enumerated().first { $0.element == value }?.offset }
  }
}

extension SceneAttributes.Object {
  /// The number of each question's answer, `nil` where it is not told.
  public var answers: [Int?] {
    [
      SceneAttributes.number(shape), SceneAttributes.number(colour), SceneAttributes.number(finish),
      SceneAttributes.number(size), SceneAttributes.number(kind), SceneAttributes.number(heading),
    ]
  }
}
